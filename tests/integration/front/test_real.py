"""OpenAI's client and a real model: what the fake one ignores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.integration.front.server import Server, ask_twice
from tests.support import wait_until
from worker.models.client import ModelClient
from worker.models.protocol import GenerateItem


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("real")
    # What is asked twice is computed twice: a kept answer would show nothing of the engine.
    server = Server(folder, "--dtype", "float32", "--cache-folder", str(folder / "cache"), "--kept-mib", "0")
    yield server
    server.process.stop()


@pytest.fixture(scope="module")
def program(real: Server) -> Iterator[OpenAI]:
    with real.client() as made:
        yield made


def test_every_request_keeps_its_own_seed_and_temperature(program: OpenAI, real: Server) -> None:
    warm: dict[str, Any] = {"model": "embedded:smollm2", "temperature": 1.2}
    first = ask_twice(program, **warm)
    again = ask_twice(program, **warm)
    greedy = ask_twice(program, model="embedded:smollm2", temperature=0)

    inside = ModelClient(real.socket_path).generate(
        "embedded:smollm2", [GenerateItem(prompt="Once upon a time", max_new_tokens=12)]
    )
    assert first == again
    assert first[0] != first[1]
    assert greedy == [inside[0].text] * 2


def test_without_a_seed_no_two_answers_are_alike(program: OpenAI) -> None:
    answer = program.completions.create(
        model="embedded:smollm2", prompt="Once upon a time", max_tokens=16, n=3
    )
    other = program.completions.create(model="embedded:smollm2", prompt="Once upon a time", max_tokens=16)

    assert len({one.text for one in [*answer.choices, *other.choices]}) == 4


def test_a_streamed_chat_is_the_whole_ones_text(program: OpenAI) -> None:
    settings: dict[str, Any] = {
        "model": "embedded:smollm2",
        "messages": [{"role": "user", "content": "Name a color."}],
        "max_tokens": 12,
        "temperature": 0.8,
        "seed": 7,
    }
    whole = program.chat.completions.create(**settings).choices[0].message.content
    parts = [
        part.choices[0].delta.content or ""
        for part in program.chat.completions.create(stream=True, **settings)
    ]

    assert "".join(parts) == whole
    assert len([part for part in parts if part]) > 1


def test_an_answer_obeys_its_schema(program: OpenAI) -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "color": {"enum": ["red", "blue"]},
            "count": {"type": "integer", "maximum": 99, "minimum": 0},
        },
        "required": ["color", "count"],
        "additionalProperties": False,
    }
    answer = program.chat.completions.create(
        model="embedded:smollm2",
        messages=[{"role": "user", "content": "How many apples of which color?"}],
        response_format={"type": "json_schema", "json_schema": {"name": "apples", "schema": schema}},
        max_tokens=40,
    )
    told = json.loads(answer.choices[0].message.content or "")

    assert told["color"] in ("red", "blue")
    assert 0 <= told["count"] <= 99
    assert set(told) == {"color", "count"}


def test_vllms_names_hold_a_text_to_a_form_too(program: OpenAI) -> None:
    def held(**form: Any) -> str:
        return (
            program.completions.create(
                model="embedded:smollm2",
                prompt="It is",
                max_tokens=30,
                extra_body={"structured_outputs": form},
            )
            .choices[0]
            .text
        )

    assert held(choice=["hot", "cold"]) in ("hot", "cold")
    assert held(regex="[0-9]{3}").isdigit()
    assert isinstance(
        json.loads(held(json={"type": "array", "items": {"type": "boolean"}, "maxItems": 2})), list
    )


def test_what_the_model_cannot_do_is_a_bad_request(program: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="the model's context 8192"):
        program.completions.create(model="embedded:smollm2", prompt="very " * 9000)
    with pytest.raises(openai.BadRequestError, match="grammar cannot be used"):
        program.completions.create(
            model="embedded:smollm2", prompt="a", extra_body={"structured_outputs": {"regex": "(("}}
        )
    with pytest.raises(openai.BadRequestError, match="embeds none"):
        program.embeddings.create(model="embedded:smollm2", input="a")


def test_who_closes_a_stream_gives_its_text_up(program: OpenAI, real: Server) -> None:
    inside = ModelClient(real.socket_path)
    before = inside.health().stats.cancelled
    stream = program.completions.create(
        model="embedded:smollm2", prompt="Once upon a time", max_tokens=4000, n=2, stream=True
    )

    next(iter(stream))
    stream.close()

    wait_until(lambda: inside.health().stats.cancelled == before + 2, what="both texts are given up")
    assert inside.health().stats.queue_depth == 0


def test_a_deadline_that_passes_is_a_timeout(program: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError, match="deadline") as caught:
        program.completions.create(
            model="embedded:smollm2", prompt="Once", max_tokens=4000, extra_body={"deadline_s": 0.2}
        )

    assert caught.value.status_code == 408
