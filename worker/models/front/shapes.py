"""Answers in OpenAI's words: whole, and as the parts of a stream."""

from __future__ import annotations

import base64
import dataclasses
import json
import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from worker.models.protocol import Generated, Usage
from worker.models.wire import EmbedReply

#: Ends every stream.
DONE = b"data: [DONE]\n\n"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heading:
    """What every part of one answer says alike."""

    id: str
    #: Seconds since 1970.
    created_s: int
    #: As it was asked for.
    model: str
    #: Texts for each prompt, by which the tokens of a prompt were counted.
    n: int


class Shape(ABC):
    """How one kind of text request is answered."""

    #: What OpenAI calls the whole answer, and a part of it.
    whole_name: str
    part_name: str

    def __init__(self, heading: Heading) -> None:
        self._heading = heading

    def whole(self, results: Sequence[Generated], usage: Usage) -> dict[str, Any]:
        choices = [self._choice(index, result) for index, result in enumerate(results)]
        return self._with(self.whole_name, choices) | {"usage": self.usage(usage)}

    def usage(self, usage: Usage) -> dict[str, int]:
        """A prompt with several texts counts once, as OpenAI counts it."""
        prompt = usage.prompt_tokens // self._heading.n
        return {
            "prompt_tokens": prompt,
            "completion_tokens": usage.generated_tokens,
            "total_tokens": prompt + usage.generated_tokens,
        }

    @abstractmethod
    def begin(self, index: int) -> dict[str, Any] | None:
        """What comes before the first part of a text; None for nothing."""

    @abstractmethod
    def part(self, index: int, text: str) -> dict[str, Any]: ...

    @abstractmethod
    def end(self, index: int, finish: str) -> dict[str, Any]: ...

    def last(self, usage: Usage) -> dict[str, Any]:
        """The part with the usage, for who asked for it."""
        return self._with(self.part_name, []) | {"usage": self.usage(usage)}

    @abstractmethod
    def _choice(self, index: int, result: Generated) -> dict[str, Any]: ...

    def _with(self, name: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        heading = self._heading
        return {
            "id": heading.id,
            "object": name,
            "created": heading.created_s,
            "model": heading.model,
            "choices": choices,
        }


class CompletionShape(Shape):
    whole_name = part_name = "text_completion"

    def begin(self, index: int) -> None:
        return None

    def part(self, index: int, text: str) -> dict[str, Any]:
        return self._with(self.part_name, [_text(index, text, None)])

    def end(self, index: int, finish: str) -> dict[str, Any]:
        return self._with(self.part_name, [_text(index, "", finish)])

    def _choice(self, index: int, result: Generated) -> dict[str, Any]:
        return _text(index, result.text, result.finish)


class ChatShape(Shape):
    whole_name = "chat.completion"
    part_name = "chat.completion.chunk"

    def begin(self, index: int) -> dict[str, Any]:
        return self._delta(index, {"role": "assistant", "content": ""}, None)

    def part(self, index: int, text: str) -> dict[str, Any]:
        return self._delta(index, {"content": text}, None)

    def end(self, index: int, finish: str) -> dict[str, Any]:
        return self._delta(index, {}, finish)

    def _delta(self, index: int, delta: dict[str, str], finish: str | None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._with(self.part_name, [choice])

    def _choice(self, index: int, result: Generated) -> dict[str, Any]:
        message = {"role": "assistant", "content": result.text, "refusal": None}
        return {"index": index, "message": message, "logprobs": None, "finish_reason": result.finish}


def embeddings(model: str, reply: EmbedReply, encoding: str) -> dict[str, Any]:
    return {
        "object": "list",
        "model": model,
        "data": [
            {"object": "embedding", "index": index, "embedding": _encoded(vector, encoding)}
            for index, vector in enumerate(reply.vectors)
        ],
        "usage": {"prompt_tokens": reply.usage.prompt_tokens, "total_tokens": reply.usage.prompt_tokens},
    }


def event(message: dict[str, Any]) -> bytes:
    """A message as a server-sent event."""
    return b"data: " + json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _text(index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def _encoded(vector: Sequence[float], encoding: str) -> list[float] | str:
    """OpenAI's base64 is of 32-bit floats, the lowest byte first."""
    if encoding == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    return list(vector)
