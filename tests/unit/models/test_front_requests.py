"""What other programs may ask: defaults, forms, and what is refused in words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from worker.models.front.errors import ApiError
from worker.models.front.reading import tidied
from worker.models.front.requests import (
    CHAT_NEW_TOKENS,
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    ResponseFormat,
    StructuredOutputs,
)
from worker.models.front.texts import make_items

HELLO = [{"role": "user", "content": "hello"}]


def completion(**fields: Any) -> CompletionRequest:
    return CompletionRequest.model_validate({"model": "fake:", "prompt": "a", **fields})


def chat(**fields: Any) -> ChatRequest:
    return ChatRequest.model_validate({"model": "fake:", "messages": HELLO, **fields})


def test_the_defaults_are_openais() -> None:
    asked = completion()

    assert (asked.temperature, asked.top_p, asked.n, asked.max_tokens) == (1.0, 1.0, 1, 16)
    assert asked.seed is None
    assert chat().limit() == CHAT_NEW_TOKENS


def test_the_newer_name_of_a_chats_limit_counts() -> None:
    assert chat(max_tokens=3).limit() == 3
    assert chat(max_tokens=3, max_completion_tokens=5).limit() == 5


def test_items_of_one_prompt_have_seeds_that_follow_each_other() -> None:
    items = make_items(completion(prompt=["a", "b"], n=3, seed=7, top_k=-1, stop="x"), ["a", "b"], 5, 99)

    assert [(item.prompt, item.seed) for item in items] == [
        ("a", 7), ("a", 8), ("a", 9), ("b", 7), ("b", 8), ("b", 9)
    ]  # fmt: skip
    assert items[0].top_k == 0
    assert items[0].stop == ("x",)
    assert items[0].max_new_tokens == 5


@pytest.mark.parametrize("seed", [-(2**63), -1, 0, 2**63 - 1])
def test_every_seed_of_64_bits_is_taken(seed: int) -> None:
    items = make_items(completion(seed=seed, n=2), ["a"], 5, 99)

    assert items == make_items(completion(seed=seed, n=2), ["a"], 5, 100)
    assert items[0].seed != items[1].seed


def test_without_a_seed_the_random_one_is_taken() -> None:
    assert make_items(completion(), ["a"], 5, 99)[0].seed == 99
    assert make_items(completion(seed=0), ["a"], 5, 99)[0].seed == 0


def test_priority_and_deadline_reach_every_item() -> None:
    items = make_items(completion(n=2, priority=-5, deadline_s=1.5), ["a"], 5, 0)

    assert {(item.priority, item.deadline_s) for item in items} == {(-5, 1.5)}


def test_forms_become_grammars() -> None:
    schema = {"type": "array"}

    def of(**form: Any) -> tuple[str, str]:
        grammar = StructuredOutputs.model_validate(form).grammar()
        return grammar.kind, grammar.text

    assert of(regex="a+") == ("regex", "a+")
    assert of(choice=["a", "b"]) == ("choice", '["a", "b"]')
    assert of(json=schema) == of(json=json.dumps(schema)) == ("json_schema", '{"type": "array"}')


def test_response_formats_become_grammars() -> None:
    def of(**form: Any) -> tuple[str, str]:
        grammar = ResponseFormat.model_validate(form).grammar()
        return grammar.kind, grammar.text

    assert of(type="text") == ("none", "")
    assert of(type="json_object") == ("json_schema", '{"type": "object"}')
    schema = {"name": "x", "strict": True, "schema": {"type": "null"}}
    assert of(type="json_schema", json_schema=schema) == ("json_schema", '{"type": "null"}')
    with pytest.raises(ValidationError, match="json_schema is given for"):
        of(type="json_schema")


def test_a_chat_has_one_form() -> None:
    both = {"response_format": {"type": "json_object"}, "structured_outputs": {"regex": "a"}}
    with pytest.raises(ValidationError, match="not both"):
        chat(**both)


def test_more_texts_than_one_message_carries_are_refused() -> None:
    with pytest.raises(ValidationError, match="more than 1024 texts"):
        completion(prompt=["a"] * 200, n=16)


@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2], [3]]])
def test_arrays_of_tokens_are_refused_in_words(tokens: Any) -> None:
    with pytest.raises(ValidationError, match="arrays of tokens are not taken"):
        completion(prompt=tokens)
    with pytest.raises(ValidationError, match="arrays of tokens are not taken"):
        EmbeddingRequest.model_validate({"model": "", "input": tokens})


def test_what_a_tool_said_is_refused_by_its_field() -> None:
    with pytest.raises(ValidationError, match=r"messages\.0\.role"):
        chat(messages=[{"role": "tool", "content": "42"}])
    with pytest.raises(ValidationError, match=r"messages\.0\.tool_calls"):
        chat(messages=[{"role": "assistant", "content": "", "tool_calls": [{}]}])


def test_developers_are_systems_to_templates() -> None:
    parts = [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]
    asked = chat(messages=[{"role": "developer", "content": "a"}, {"role": "user", "content": parts}])

    assert asked.pairs() == (("system", "a"), ("user", "b\nc"))


def test_what_says_nothing_is_left_out() -> None:
    idle: dict[str, Any] = {
        "user": "me",
        "stop": None,
        "echo": False,
        "frequency_penalty": 0.0,
        "tools": [],
        "logit_bias": {},
    }

    assert tidied({"model": "x", **idle}) == {"model": "x"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("logprobs", 0), ("logprobs", True), ("echo", True), ("frequency_penalty", 0.1), ("tools", [{}]),
     ("best_of", 2), ("dimensions", 8), ("logit_bias", {"1": 1}), ("suffix", "x")],
)  # fmt: skip
def test_what_would_change_the_answer_and_is_not_offered_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ApiError, match=f"{name} is not offered") as caught:
        tidied({name: value})

    assert caught.value.status == 400
    assert caught.value.body()["error"]["param"] == name
