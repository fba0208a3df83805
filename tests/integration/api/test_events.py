"""Events as they happen, to programs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from master.api.event_stream import stream_events
from master.api.services import Services
from master.events import record_event
from master.events.follow import check_patterns, matches, settled
from tasks.errors import InvalidInput
from tests.integration.api.conftest import Caller

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def services_of(caller: Caller) -> Services:
    services: Services = caller.api.state.services
    return services


def happen(caller: Caller, name: str, run_id: str = "") -> None:
    caller.write(lambda c: record_event(c, name, NOW, run_id=run_id, n=name))


def follow(
    caller: Caller,
    seq: int | None,
    looks: int,
    meanwhile: Callable[[int], None] = lambda _: None,
    **wanted: Any,
) -> list[str]:
    """Everything that the stream says in so many looks; ``meanwhile`` is called between them."""
    count = 0

    async def sleep(_: float) -> None:
        nonlocal count
        count += 1
        meanwhile(count)

    async def read() -> list[str]:
        filters = {"run_id": "", "names": (), **wanted}
        stream = stream_events(
            services_of(caller), seq, ending=lambda: count >= looks, sleep=sleep, **filters
        )
        return [message async for message in stream]

    return "".join(asyncio.run(read())).split("\n\n")


def names(messages: list[str]) -> list[str]:
    return [line[7:] for message in messages for line in message.splitlines() if line.startswith("event: ")]


def newest(caller: Caller) -> int:
    return int(caller.get("/api/events", limit=1)["items"][0]["seq"])


def test_a_program_hears_what_happens_from_now_on(caller: Caller) -> None:
    happen(caller, "before")
    heard = follow(caller, None, 3, lambda count: happen(caller, f"then_{count}"))
    assert names(heard) == ["then_1", "then_2"]
    fields = dict(line.split(": ", 1) for line in heard[1].splitlines())
    assert json.loads(fields["data"]) == {
        "seq": int(fields["id"]), "at": "2026-11-21T12:00:00Z", "name": "then_1", "run_id": "", "step_id": None,
        "worker": "", "data": {"n": "then_1"},
    }  # fmt: skip


def test_who_comes_back_misses_nothing_and_hears_nothing_twice(caller: Caller) -> None:
    happen(caller, "one")
    seen = newest(caller)
    happen(caller, "two")
    happen(caller, "three")
    assert names(follow(caller, seen, 1)) == ["two", "three"]
    assert names(follow(caller, newest(caller), 1)) == []


def test_only_what_was_asked_for_is_told(caller: Caller) -> None:
    start = newest(caller)
    for name, run_id in (("run_done", "a"), ("run_failed", "b"), ("step_done", "a")):
        happen(caller, name, run_id)
    assert names(follow(caller, start, 1, run_id="a")) == ["run_done", "step_done"]
    assert names(follow(caller, start, 1, names=("run_*",))) == ["run_done", "run_failed"]


def test_silence_is_broken_before_a_proxy_hangs_up(caller: Caller) -> None:
    heard = follow(caller, None, 20)
    assert sum(message.startswith(": nothing new") for message in heard) == 1
    assert f"id: {newest(caller)}" in heard[-2]


def test_the_stream_begins_after_the_id_that_the_header_names(caller: Caller) -> None:
    happen(caller, "one")
    seen = newest(caller)
    happen(caller, "two")
    # The test's client waits for the end of an answer: this stream ends at once.
    with pytest.MonkeyPatch.context() as patch:
        looks = iter([False, True])
        patch.setattr("master.api.event_routes.server_is_ending", lambda: next(looks))
        answer = caller.client.get("/api/events/stream", headers={"Last-Event-ID": str(seen)})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert names(answer.text.split("\n\n")) == ["two"]


def test_a_stranger_and_a_wrong_pattern_are_refused(caller: Caller) -> None:
    assert caller.client.get("/api/events/stream", params={"name": "Run Done"}).status_code == 422
    del caller.client.headers["authorization"]
    assert caller.client.get("/api/events/stream").status_code == 401


def test_a_gap_is_waited_for_until_it_is_old() -> None:
    """On Postgres the event between may be committed later."""
    found = [{"seq": seq, "at": NOW} for seq in (5, 6, 8, 9)]
    assert [event["seq"] for event in settled(found, 4, NOW)] == [5, 6]
    assert [event["seq"] for event in settled(found, 3, NOW)] == []
    assert len(settled(found, 3, NOW + timedelta(seconds=11))) == 4


def test_patterns_are_names_or_beginnings() -> None:
    assert matches("run_done", ())
    assert matches("run_done", ("x", "run_*"))
    assert not matches("rerun", ("run_*",))
    for wrong in ("", "Run", "run.done", "a" * 101):
        with pytest.raises(InvalidInput):
            check_patterns((wrong,))
