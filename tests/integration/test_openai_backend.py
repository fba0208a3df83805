"""Models at OpenAI-compatible endpoints, against a small real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tasks.errors import HandlerError, InvalidInput, PermanentFailure, TransientFailure
from worker.models.outcomes import Failed, as_error
from worker.models.protocol import GenerateItem, Grammar, ScoreItem
from worker.models.reference import parse_reference
from worker.models.remote.backend import OpenAIBackend
from worker.models.remote.http import Endpoint
from worker.models.remote.prices import FREE, Price, parse_prices
from worker.models.stats import Counters

Answer = tuple[int, dict[str, Any]]
KEY = "secret-key-of-the-test"


class FakeEndpoint:
    """Answers each path by a function of the request's body; remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[dict[str, Any]], Answer]] = {}
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.asked.append((self.path, body, self.headers.get("Authorization", "")))
                known = self.path in endpoint.answers
                status, answer = endpoint.answers[self.path](body) if known else (404, {"error": "no path"})
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    fake = FakeEndpoint()
    yield fake
    fake.stop()


@pytest.fixture
def calls() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def backend(endpoint: FakeEndpoint, calls: ThreadPoolExecutor) -> OpenAIBackend:
    return backend_at(endpoint, calls)


def backend_at(endpoint: FakeEndpoint, calls: ThreadPoolExecutor, price: Price = FREE) -> OpenAIBackend:
    where = Endpoint(base_url=endpoint.url, api_key=KEY, sleep=lambda _: None)
    return OpenAIBackend(parse_reference(f"openai:{endpoint.url}#tiny"), where, calls, Counters(), price)


def completed(text: str, **more: Any) -> Answer:
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    return 200, {"choices": [{"text": text, "finish_reason": "stop", **more}], "usage": usage}


def chatted(text: str, **more: Any) -> Answer:
    return 200, {"choices": [{"message": {"content": text}, "finish_reason": "length", **more}]}


def test_plain_prompts_are_completed_as_they_are_with_their_own_settings(
    endpoint: FakeEndpoint, backend: OpenAIBackend
) -> None:
    endpoint.answers["/completions"] = lambda body: completed(body["prompt"].upper())
    items = [
        GenerateItem(prompt=f"p{number}", temperature=0.5, seed=number, stop=("x",)) for number in range(9)
    ]

    reply = backend.generate(items).result(timeout=30)

    assert [result.text for result in reply.results] == [f"P{number}" for number in range(9)]
    assert reply.usage.prompt_tokens == 45
    sent = {body["prompt"]: body for _, body, _ in endpoint.asked}
    assert (sent["p3"]["model"], sent["p3"]["seed"], sent["p3"]["stop"]) == ("tiny", 3, ["x"])


def test_chat_prompts_are_sent_as_the_messages_they_were_made_of(
    endpoint: FakeEndpoint, backend: OpenAIBackend
) -> None:
    endpoint.answers["/chat/completions"] = lambda _: chatted("Hello")
    prompt = backend.chat_prompt([("system", "Be kind."), ("user", "Hi")])

    result = backend.generate([GenerateItem(prompt=prompt)]).result(timeout=30).results[0]

    assert (result.text, result.finish) == ("Hello", "length")
    assert endpoint.asked[0][1]["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
    ]


def test_an_endpoint_with_chat_alone_gets_plain_prompts_as_a_user_message(
    endpoint: FakeEndpoint, backend: OpenAIBackend
) -> None:
    endpoint.answers["/chat/completions"] = lambda body: chatted(body["messages"][0]["content"] + "!")

    assert backend.generate([GenerateItem(prompt="Hi")]).result(timeout=30).results[0].text == "Hi!"


def test_choices_are_weighed_by_echoed_likelihoods_where_offered(
    endpoint: FakeEndpoint, backend: OpenAIBackend
) -> None:
    def echo(body: dict[str, Any]) -> Answer:
        value = -0.5 if body["prompt"].endswith("yes") else -3.0
        told = {"text_offset": [0, 2, 6], "token_logprobs": [None, value, -9.0]}
        return completed("", logprobs=told)

    endpoint.answers["/completions"] = echo

    scored = backend.score([ScoreItem(prompt="Q:", choices=(" yes", " nay"))]).result(timeout=30).results[0]

    assert scored.logprobs == (-0.5, -3.0)
    assert scored.tokens == (1, 1)


def test_choices_are_asked_for_by_number_where_no_likelihoods_are_told(
    endpoint: FakeEndpoint, backend: OpenAIBackend
) -> None:
    def chat(body: dict[str, Any]) -> Answer:
        if "logprobs" in body:
            return 400, {"error": "logprobs are not supported"}
        assert "1. yes\n2. no" in body["messages"][-1]["content"]
        return chatted("2")

    endpoint.answers["/chat/completions"] = chat

    scored = backend.score([ScoreItem(prompt="Q:", choices=(" yes", " no"))]).result(timeout=30).results[0]

    assert scored.logprobs[1] > scored.logprobs[0]


def test_embeddings_come_back_in_order_and_with_unit_length(
    endpoint: FakeEndpoint, backend: OpenAIBackend
) -> None:
    def embed(body: dict[str, Any]) -> Answer:
        rows = [
            {"index": index, "embedding": [3.0 * len(text), 4.0 * len(text)]}
            for index, text in enumerate(body["input"])
        ]
        return 200, {"data": rows[::-1]}

    endpoint.answers["/embeddings"] = embed

    vectors = backend.embed(["x" * (1 + number) for number in range(130)]).result(timeout=30).vectors

    assert len(vectors) == 130
    assert all(vector == pytest.approx((0.6, 0.8)) for vector in vectors)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_trouble_is_waited_out(endpoint: FakeEndpoint, backend: OpenAIBackend, status: int) -> None:
    troubles = [status, status]
    endpoint.answers["/completions"] = lambda _: (
        (troubles.pop(), {"error": "later"}) if troubles else completed("at last")
    )

    assert backend.generate([GenerateItem(prompt="p")]).result(timeout=30).results[0].text == "at last"


def failure_of(backend: OpenAIBackend) -> HandlerError:
    """Why a request has no answer."""
    told = backend.generate([GenerateItem(prompt="p")]).result(timeout=30).results[0]
    assert isinstance(told, Failed)
    return as_error(told)


def test_what_an_endpoint_charges_is_counted_and_rounded_up(
    endpoint: FakeEndpoint, calls: ThreadPoolExecutor
) -> None:
    answer = completed("hello")
    answer[1]["usage"] = {"prompt_tokens": 1001, "completion_tokens": 7}
    endpoint.answers["/completions"] = lambda _: answer
    prices = parse_prices(json.dumps({"openai:here#tiny": {"prompt": 0.15, "generated": 0.6}}))
    backend = backend_at(endpoint, calls, prices["openai:here#tiny"])

    usage = backend.generate([GenerateItem(prompt="p")]).result(timeout=30).usage

    # 1001 x 0.15 + 7 x 0.6 millionths
    assert usage.cost_micros == 155


def test_prices_of_another_form_are_refused_with_the_form() -> None:
    for text in ("[1]", '{"a": 3}', '{"a": {"prompt": -1}}', "{"):
        with pytest.raises(InvalidInput, match="D8_MODEL_PRICES"):
            parse_prices(text)


@pytest.mark.parametrize(
    ("grammar", "sent"),
    [
        (
            Grammar(kind="json_schema", text='{"type": "object"}'),
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}},
                }
            },
        ),
        (Grammar(kind="regex", text="a+"), {"structured_outputs": {"regex": "a+"}}),
        (Grammar(kind="choice", text='["a", "b"]'), {"structured_outputs": {"choice": ["a", "b"]}}),
    ],
)
def test_grammars_are_asked_of_the_endpoint(
    endpoint: FakeEndpoint, backend: OpenAIBackend, grammar: Grammar, sent: dict[str, object]
) -> None:
    endpoint.answers["/completions"] = lambda _: completed("{}")

    backend.generate([GenerateItem(prompt="p", grammar=grammar)]).result(timeout=30)

    assert sent.items() <= endpoint.asked[0][1].items()


def test_trouble_that_stays_is_a_transient_failure(endpoint: FakeEndpoint, backend: OpenAIBackend) -> None:
    endpoint.answers["/completions"] = lambda _: (503, {"error": "busy"})

    with pytest.raises(TransientFailure, match=r"in 5 tries .*status 503"):
        raise failure_of(backend)


def test_a_refused_key_is_permanent_names_the_variable_and_never_shows_the_key(
    endpoint: FakeEndpoint, backend: OpenAIBackend
) -> None:
    endpoint.answers["/completions"] = lambda _: (401, {"error": f"bad key {KEY}"})

    with pytest.raises(PermanentFailure, match="D8_OPENAI_API_KEY") as failure:
        raise failure_of(backend)

    assert KEY not in str(failure.value)
    assert endpoint.asked[0][2] == f"Bearer {KEY}"


def test_an_answer_of_another_form_is_a_permanent_failure(
    endpoint: FakeEndpoint, backend: OpenAIBackend
) -> None:
    endpoint.answers["/completions"] = lambda _: (200, {"result": "hello"})

    with pytest.raises(PermanentFailure, match="not OpenAI's"):
        raise failure_of(backend)
