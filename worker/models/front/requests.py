"""What other programs may ask, in OpenAI's words. Fields: https://platform.openai.com/docs/api-reference"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tasks.record import Record
from worker.models.protocol import Grammar
from worker.models.wire import MAX_ITEMS

#: As many as one ``GenerateItem`` takes.
MAX_NEW_TOKENS = 32_768
MAX_TEXT = 200_000
#: Where a chat says no limit: room for any usual answer, and an end for a model that finds none. Rows
#: with a large limit leave room for fewer others beside them.
CHAT_NEW_TOKENS = 4096


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _as_texts(value: Any) -> Any:
    parts = value if isinstance(value, list) else [value]
    if any(isinstance(part, int | list) for part in parts):
        raise ValueError("arrays of tokens are not taken, send the text")
    return _as_list(value)


def _as_text(value: Any) -> Any:
    """A message's content: a text, or a list of parts that are all texts."""
    if not isinstance(value, list):
        return value
    texts = []
    for part in value:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text" or not isinstance(part.get("text"), str):
            raise ValueError(
                f"a part of type {str(kind)[:40]!r} is not taken: this server's models read text alone, send parts "
                "of type 'text'"
            )
        texts.append(part["text"])
    return "\n".join(texts)


def _without_nulls(value: Any) -> Any:
    """What is null is not said: clients send an earlier answer back with all its empty fields."""
    if not isinstance(value, dict):
        return value
    return {name: one for name, one in value.items() if one is not None}


Text = Annotated[str, Field(max_length=MAX_TEXT)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_as_texts)]


class StructuredOutputs(Record):
    """vLLM's way to hold a text to a form; exactly one of them."""

    regex: str | None = None
    choice: tuple[str, ...] | None = None
    schema_: dict[str, Any] | str | None = Field(default=None, alias="json")

    @model_validator(mode="after")
    def _exactly_one(self) -> StructuredOutputs:
        if sum(one is not None for one in (self.regex, self.choice, self.schema_)) != 1:
            raise ValueError("give exactly one of regex, choice and json")
        return self

    def grammar(self) -> Grammar:
        if self.regex is not None:
            return Grammar(kind="regex", text=self.regex)
        if self.choice is not None:
            return Grammar(kind="choice", text=json.dumps(self.choice))
        text = self.schema_ if isinstance(self.schema_, str) else json.dumps(self.schema_)
        return Grammar(kind="json_schema", text=text)


class JsonSchema(Record):
    name: str = Field(default="answer", max_length=200)
    description: str = ""
    #: Answers are always held to the schema.
    strict: bool = True
    schema_: dict[str, Any] = Field(alias="schema")


class ResponseFormat(Record):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: Annotated[JsonSchema, BeforeValidator(_without_nulls)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> ResponseFormat:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema is given for the type 'json_schema', and for no other")
        return self

    def grammar(self) -> Grammar:
        if self.type == "text":
            return Grammar()
        schema = self.json_schema.schema_ if self.json_schema is not None else {"type": "object"}
        return Grammar(kind="json_schema", text=json.dumps(schema))


class StreamOptions(Record):
    include_usage: bool = False
    #: Taken and left out: there is no padding.
    include_obfuscation: bool = False


class TextRequest(Record):
    """What both kinds of text requests may say. Defaults are OpenAI's."""

    #: A model reference; see ``worker.models.reference``.
    model: str = Field(max_length=1000)
    temperature: float = Field(default=1.0, ge=0, le=5)
    top_p: float = Field(default=1.0, gt=0, le=1)
    #: -1, as vLLM says it, and 0 mean no limit.
    top_k: int = Field(default=0, ge=-1)
    #: None: another one for every request.
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    stop: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field(default=(), max_length=16)
    #: Texts for each prompt.
    n: int = Field(default=1, ge=1, le=16)
    stream: bool = False
    stream_options: Annotated[StreamOptions, BeforeValidator(_without_nulls)] = StreamOptions()
    structured_outputs: Annotated[StructuredOutputs, BeforeValidator(_without_nulls)] | None = None
    #: Ours: see ``worker.models.protocol.Asked``.
    priority: int = Field(default=0, ge=-100, le=100)
    deadline_s: float = Field(default=0.0, ge=0, le=7 * 24 * 3600)

    def grammar(self) -> Grammar:
        return self.structured_outputs.grammar() if self.structured_outputs is not None else Grammar()


class CompletionRequest(TextRequest):
    prompt: Texts = Field(min_length=1, max_length=256)
    max_tokens: int = Field(default=16, ge=1, le=MAX_NEW_TOKENS)

    @model_validator(mode="after")
    def _not_too_many(self) -> CompletionRequest:
        if len(self.prompt) * self.n > MAX_ITEMS:
            raise ValueError(f"{len(self.prompt)} prompts with n={self.n} are more than {MAX_ITEMS} texts")
        return self


class Message(Record):
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[Text, BeforeValidator(_as_text)]
    #: Who of several speaks, which no template of ours shows.
    name: str = ""


class ChatRequest(TextRequest):
    messages: tuple[Annotated[Message, BeforeValidator(_without_nulls)], ...] = Field(
        min_length=1, max_length=MAX_ITEMS
    )
    max_tokens: int | None = Field(default=None, ge=1, le=MAX_NEW_TOKENS)
    #: The newer name of ``max_tokens``; it counts where both are given.
    max_completion_tokens: int | None = Field(default=None, ge=1, le=MAX_NEW_TOKENS)
    response_format: Annotated[ResponseFormat, BeforeValidator(_without_nulls)] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> ChatRequest:
        if self.response_format is not None and self.structured_outputs is not None:
            raise ValueError("give response_format or structured_outputs, not both")
        return self

    def limit(self) -> int:
        return self.max_completion_tokens or self.max_tokens or CHAT_NEW_TOKENS

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(role, text) pairs. What OpenAI calls developer, templates call system."""
        return tuple(
            ("system" if message.role == "developer" else message.role, message.content)
            for message in self.messages
        )

    def grammar(self) -> Grammar:
        return self.response_format.grammar() if self.response_format is not None else super().grammar()


class EmbeddingRequest(Record):
    model: str = Field(max_length=1000)
    input: Texts = Field(min_length=1, max_length=2048)
    encoding_format: Literal["float", "base64"] = "float"
