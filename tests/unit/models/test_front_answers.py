"""How requests end for other programs: every outcome has its status, and who hangs up is given up."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, cast

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from tasks.errors import HandlerError, PermanentFailure, TransientFailure
from worker.models.answering import Activity, answer_of
from worker.models.fake import FakeBackend
from worker.models.front.app import make_front
from worker.models.front.catalog import Catalog
from worker.models.outcomes import Expired, GivenUp, Overloaded, Rejected, failed
from worker.models.protocol import Generated, GenerateItem, Usage
from worker.models.registry import Registry
from worker.models.stats import Counters
from worker.models.wire import GenerateReply

OUTCOMES = [
    (Expired("late"), 408, "expired", "false"),
    (Overloaded("too much"), 429, "overloaded", "true"),
    (Rejected("cannot be"), 400, "invalid_value", "false"),
    (PermanentFailure("broken"), 500, "failed", "false"),
    (TransientFailure("no memory"), 503, "unavailable", "true"),
]


class Ends(FakeBackend):
    """Every text ends as it is told to, after the parts that it is told to say."""

    def __init__(self, error: Exception | None, parts: Sequence[str] = ()) -> None:
        self.error = error
        self.parts = parts

    def generate(
        self, items: Sequence[GenerateItem], listener: Callable[[int, str], None] | None = None
    ) -> Future[GenerateReply]:
        future: Future[GenerateReply] = Future()
        for part in self.parts:
            if listener is not None:
                listener(0, part)
        if self.error is None:
            text = Generated(text="".join(self.parts) + "!", tokens=3, finish="stop")
            future.set_result(GenerateReply(results=(text,), usage=Usage(generated_tokens=3)))
        elif isinstance(self.error, HandlerError):
            future.set_result(GenerateReply(results=(failed(self.error),) * len(items), usage=Usage()))
        else:
            future.set_exception(self.error)
        return future


class One:
    """A registry of one model."""

    def __init__(self, backend: FakeBackend) -> None:
        self._backend = backend

    def backend(self, reference: str, purpose: str) -> FakeBackend:
        if reference == "gone":
            raise PermanentFailure("there is no such folder")
        return self._backend

    def loaded(self) -> tuple[str, ...]:
        return ("loaded",)


def front(backend: FakeBackend, *, closed: bool = False) -> TestClient:
    catalog = Catalog(cast(Registry, One(backend)), ("default", "loaded"), closed=closed)
    app = make_front(catalog, Counters(), Activity(lambda: 0.0), clock=lambda: 1000.5)
    return TestClient(app, raise_server_exceptions=False)


def ask(client: TestClient, **fields: Any) -> Any:
    return client.post("/completions", json={"model": "default", "prompt": "a", **fields})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("error", "status", "code", "again"), OUTCOMES)
def test_every_outcome_has_its_status(
    error: HandlerError, status: int, code: str, again: str, stream: bool
) -> None:
    answer = ask(front(Ends(error)), stream=stream)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["message"] == str(error)
    assert answer.headers["x-should-retry"] == again


def test_a_stream_that_fails_in_the_middle_says_so_and_does_not_end_well() -> None:
    answer = ask(front(Ends(TransientFailure("no memory"), parts=["one "])), stream=True)
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]

    assert answer.status_code == 200
    assert json.loads(events[0])["choices"][0]["text"] == "one "
    assert json.loads(events[-1])["error"]["code"] == "unavailable"
    assert "[DONE]" not in answer.text


def test_what_was_held_back_of_a_text_is_sent_at_its_end() -> None:
    answer = ask(front(Ends(None, parts=["one ", "two"])), stream=True)
    events = [json.loads(line[6:]) for line in answer.text.split("\n\n") if line and "[DONE]" not in line]

    assert [event["choices"][0]["text"] for event in events] == ["one ", "two", "!", ""]
    assert {event["created"] for event in events} == {1000}
    assert len({event["id"] for event in events}) == 1


def test_what_nobody_foresaw_is_told_without_its_inside() -> None:
    answer = ask(front(Ends(ZeroDivisionError("inside"))))

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "inside" not in answer.text


def test_a_model_that_cannot_be_found_is_not_found() -> None:
    answer = ask(front(FakeBackend()), model="gone")

    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "message": "there is no such folder",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


def test_a_closed_door_shows_what_it_has_and_no_more() -> None:
    client = front(FakeBackend(), closed=True)

    assert [ask(client, model=model).status_code for model in ("default", "loaded", "", "other")] == [
        200, 200, 200, 404
    ]  # fmt: skip
    assert [model["id"] for model in client.get("/models").json()["data"]] == ["default", "loaded"]


def test_more_than_may_wait_is_refused_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.models.answering.MAX_QUEUE_DEPTH", 1)

    assert ask(front(FakeBackend()), n=2).status_code == 429
    assert ask(front(FakeBackend()), n=2, stream=True).status_code == 429
    assert ask(front(FakeBackend())).status_code == 200


def test_a_request_whose_client_hangs_up_is_given_up() -> None:
    started = threading.Event()
    work: Future[str] = Future()

    async def receive() -> dict[str, Any]:
        await asyncio.to_thread(started.wait, 10)
        return {"type": "http.disconnect"}

    def start() -> Future[str]:
        started.set()
        return work

    request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
    with pytest.raises(GivenUp):
        asyncio.run(answer_of(request, start))

    assert work.cancelled()
