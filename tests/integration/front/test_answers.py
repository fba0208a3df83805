"""The model server as other programs see it: OpenAI's own client against a real server process."""

from __future__ import annotations

import http.client
import json
import struct
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.integration.front.server import TOKEN, Server, ask_twice
from worker.models.client import ModelClient


def test_a_completion_says_its_text_its_end_and_its_tokens(client: OpenAI) -> None:
    answer = client.completions.create(model="fake:", prompt="one two three", max_tokens=2)

    assert answer.object == "text_completion"
    assert [(one.index, one.text, one.finish_reason) for one in answer.choices] == [
        (0, "two three", "length")
    ]
    assert answer.usage is not None
    told = (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens)
    assert told == (3, 2, 5)


def test_each_of_many_prompts_gets_n_texts_and_counts_once(client: OpenAI) -> None:
    answer = client.completions.create(model="fake:", prompt=["a b", "c d e"], n=2)

    assert [(one.index, one.text) for one in answer.choices] == [
        (0, "a b"),
        (1, "a b"),
        (2, "c d e"),
        (3, "c d e"),
    ]
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 5
    assert answer.usage.completion_tokens == 10


@pytest.mark.parametrize("stop", ["three", ["four", "three"]])
def test_a_text_ends_before_its_stop(client: OpenAI, stop: str | list[str]) -> None:
    answer = client.completions.create(model="fake:", prompt="one two three four", stop=stop)

    assert answer.choices[0].text == "one two "
    assert answer.choices[0].finish_reason == "stop"


def test_a_streamed_completion_is_the_same_text_in_parts(client: OpenAI) -> None:
    parts = list(
        client.completions.create(
            model="fake:", prompt="uno dos años", n=2, stream=True, stream_options={"include_usage": True}
        )
    )

    texts = {0: "", 1: ""}
    for part in parts:
        for one in part.choices:
            texts[one.index] += one.text
    assert texts == {0: "uno dos años", 1: "uno dos años"}
    assert sum(1 for part in parts for one in part.choices if one.finish_reason == "stop") == 2
    assert parts[-1].choices == []
    assert parts[-1].usage is not None
    assert (parts[-1].usage.prompt_tokens, parts[-1].usage.completion_tokens) == (3, 6)


def test_a_stream_ends_with_done(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    body = json.dumps({"model": "fake:", "prompt": "a b", "stream": True})
    connection.request("POST", "/v1/completions", body, {"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    lines = answer.read().split(b"\n\n")
    connection.close()

    assert (answer.getheader("content-type") or "").startswith("text/event-stream")
    assert lines[-2:] == [b"data: [DONE]", b""]
    assert all(line.startswith(b"data: {") for line in lines[:-2])


def test_a_chat_goes_through_the_models_template(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="fake:",
        messages=[
            {"role": "developer", "content": "be brief"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "hello"}, {"type": "text", "text": "there"}],
            },
        ],
    )

    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == "system: be brief user: hello there assistant:"
    assert answer.choices[0].finish_reason == "stop"


def test_an_earlier_answer_can_be_sent_back_as_it_came(client: OpenAI) -> None:
    first = client.chat.completions.create(model="fake:", messages=[{"role": "user", "content": "a"}])
    messages: Any = [
        {"role": "user", "content": "a"},
        first.choices[0].message,
        {"role": "user", "content": "b"},
    ]

    second = client.chat.completions.create(model="fake:", messages=messages)

    assert (second.choices[0].message.content or "").endswith("user: b assistant:")


def test_a_streamed_chat_begins_with_the_role_and_ends_with_the_reason(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="fake:",
        messages=[{"role": "user", "content": "hello there"}],
        stream=True,
        max_completion_tokens=2,
    )
    choices = [part.choices[0] for part in stream]

    assert choices[0].delta.role == "assistant"
    assert "".join(one.delta.content or "" for one in choices) == "there assistant:"
    assert [one.finish_reason for one in choices if one.finish_reason] == ["length"]


def test_embeddings_are_the_same_as_floats_and_as_base64(client: OpenAI, server: Server) -> None:
    usual = client.embeddings.create(model="fake:", input=["one", "two words"])  # asks for base64
    floats = client.embeddings.create(model="fake:", input="two words", encoding_format="float")

    assert [row.index for row in usual.data] == [0, 1]
    assert usual.usage.prompt_tokens == 3
    assert usual.data[1].embedding == pytest.approx(floats.data[0].embedding, abs=1e-6)
    inside = ModelClient(server.socket_path).embed("fake:", ["two words"])[0]
    assert floats.data[0].embedding == inside
    assert struct.unpack("<f", struct.pack("<f", inside[0]))[0] == usual.data[1].embedding[0]


def test_the_models_are_the_defaults_those_named_and_those_loaded(client: OpenAI, server: Server) -> None:
    ModelClient(server.socket_path).describe("fake:local")

    listed = [model.id for model in client.models.list()]

    assert {"fake:", "fake:other", "fake:local"} <= set(listed)
    assert client.models.retrieve("fake:other").id == "fake:other"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")


def test_bad_requests_name_the_field(client: OpenAI) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"temperature": -1}, "temperature"),
        ({"n": 17}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"logprobs": 1}, "logprobs"),
        ({"echo": True}, "echo"),
        ({"extra_body": {"structured_outputs": {"regex": "a", "choice": ["a"]}}}, "structured_outputs"),
        ({"extra_body": {"nonsense": 1}}, "nonsense"),
    ]
    for wrong, field in cases:
        with pytest.raises(openai.BadRequestError) as caught:
            client.completions.create(model="fake:", prompt="a", **wrong)
        assert caught.value.param == field
        assert field in caught.value.message


def test_tokens_and_images_are_refused_in_words(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="arrays of tokens are not taken"):
        client.completions.create(model="fake:", prompt=[1, 2, 3])
    picture: Any = [{"type": "image_url", "image_url": {"url": "data:,"}}]
    with pytest.raises(openai.BadRequestError, match="read text alone"):
        client.chat.completions.create(model="fake:", messages=[{"role": "user", "content": picture}])


def test_a_body_beyond_the_limit_is_refused(server: Server, client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError, match="larger than 8 MiB") as caught:
        client.embeddings.create(model="fake:", input=["x" * 190_000] * 50)

    assert caught.value.status_code == 413
    assert client.embeddings.create(model="fake:", input="x").data


def test_what_is_not_offered_and_what_is_no_json_get_errors_in_the_same_form(server: Server) -> None:
    assert server.ask("POST", "/v1/responses")[0] == 404
    assert server.ask("GET", "/v1/completions")[0] == 405
    status, _, answer = server.ask("POST", "/v1/completions", b"{")
    assert status == 400
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert answer["error"]["type"] == "invalid_request_error"


def test_two_requests_with_seeds_of_their_own_run_at_once(client: OpenAI) -> None:
    assert ask_twice(client, model="fake:") == ["Once upon a time"] * 2
