"""A deterministic model without Torch, for tests of everything around models: reference ``fake:``.

Scores and vectors are hashes of their texts, so equal inputs give equal outputs in every process;
generated text repeats the end of the prompt.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from worker.models.protocol import Generated, GenerateItem, Scored, ScoreItem, Usage
from worker.models.wire import DescribeReply, EmbedReply, GenerateReply, ScoreReply

_DIMENSIONS = 32

Reply = TypeVar("Reply")


class FakeBackend:
    """Answers at once, in the caller's thread."""

    def score(self, items: Sequence[ScoreItem]) -> Future[ScoreReply]:
        usage = Usage(prompt_tokens=sum(_count(item.prompt) for item in items))
        return _done(ScoreReply(results=tuple(_score(item) for item in items), usage=usage))

    def generate(
        self, items: Sequence[GenerateItem], listener: Callable[[int, str], None] | None = None
    ) -> Future[GenerateReply]:
        results = tuple(_generate(item) for item in items)
        if listener is not None:
            for number, result in enumerate(results):
                for part in re.findall(r"\S+\s*", result.text):
                    listener(number, part)
        usage = Usage(
            prompt_tokens=sum(_count(item.prompt) for item in items),
            generated_tokens=sum(result.tokens for result in results),
        )
        return _done(GenerateReply(results=results, usage=usage))

    def embed(self, texts: Sequence[str]) -> Future[EmbedReply]:
        usage = Usage(prompt_tokens=sum(_count(text) for text in texts))
        return _done(EmbedReply(vectors=tuple(_vector(text) for text in texts), usage=usage))

    def chat_prompt(self, messages: Sequence[tuple[str, str]]) -> str:
        return "".join(f"{role}: {text}\n" for role, text in messages) + "assistant:"

    def describe(self) -> DescribeReply:
        return DescribeReply(
            model="fake:", sha256=hashlib.sha256(b"fake:").hexdigest(), dtype="none", device="none"
        )

    def forget(self) -> None:
        """There is nothing to forget."""

    @property
    def prefix_cache_bytes(self) -> int:
        return 0


def _done(reply: Reply) -> Future[Reply]:
    future: Future[Reply] = Future()
    future.set_result(reply)
    return future


def _count(text: str) -> int:
    """Tokens of a text: its words, at least one."""
    return max(1, len(text.split()))


def _unit(*parts: str) -> float:
    """A number in (0, 1] that depends on these texts alone."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return (int.from_bytes(digest[:8], "big") + 1) / 2**64


def _score(item: ScoreItem) -> Scored:
    weights = [_unit(item.prompt, choice) for choice in item.choices]
    return Scored(
        logprobs=tuple(math.log(weight / sum(weights)) for weight in weights),
        tokens=tuple(_count(choice) for choice in item.choices),
    )


def _generate(item: GenerateItem) -> Generated:
    words = item.prompt.split()[-item.max_new_tokens :]
    text = " ".join(words)
    cuts = [text.index(stop) for stop in item.stop if stop and stop in text]
    if cuts:
        text = text[: min(cuts)]
    ended = bool(cuts) or len(words) < item.max_new_tokens
    return Generated(text=text, tokens=len(text.split()), finish="stop" if ended else "length")


def _vector(text: str) -> tuple[float, ...]:
    raw = [2 * _unit(text, str(axis)) - 1 for axis in range(_DIMENSIONS)]
    length = math.sqrt(sum(value * value for value in raw))
    return tuple(value / length for value in raw)
