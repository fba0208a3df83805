"""Many streams, one reader."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from master.events import News
from master.web.hub import COMMENT, LASTS_S, LOOK_EVERY_S, SPEAK_EVERY_S, Hub, Listener, encode_news
from tasks.errors import Unhealthy


class Stage:
    """A log of events that grows by hand, a clock, and a hub that looks when it is told to."""

    def __init__(self) -> None:
        self.newest = 10
        self.runs = frozenset({"r-1"})
        self.now_s = 0.0
        self.looks = 0
        self.is_away = False
        self.is_ending = False
        self.slept: list[float] = []
        self._go = asyncio.Semaphore(0)
        self.hub = Hub(self._look, lambda: self.is_ending, sleep=self._sleep, monotonic=lambda: self.now_s)

    async def _look(self, seq: int | None) -> News:
        self.looks += 1
        if self.is_away:
            raise Unhealthy("the database is away")
        if seq is None:
            return News(seq=self.newest, events=0, runs=frozenset(), more=True)
        return News(seq=self.newest, events=self.newest - seq, runs=self.runs)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self._go.acquire()

    async def turn(self, *, seconds: float = LOOK_EVERY_S) -> None:
        """One look more, and everyone has had their turn."""
        self.now_s += seconds
        self._go.release()
        await settle()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def on_stage(test: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    async def play() -> None:
        await test(Stage())

    asyncio.run(play())


def told(text: bytes) -> dict[str, Any]:
    lines = text.decode().split("\n")
    assert lines[1] == "event: news"
    data: dict[str, Any] = json.loads(lines[2].removeprefix("data: "))
    return {"id": int(lines[0].removeprefix("id: ")), **data}


def start(wait: Awaitable[bytes]) -> asyncio.Future[bytes]:
    return asyncio.ensure_future(wait)


def test_one_message_tells_of_many_events_and_carries_the_last_number() -> None:
    text = encode_news(News(seq=9, events=3, runs=frozenset({"b", "a\n\nevent: forged"}))).decode()
    assert text.endswith("\n\n")
    assert text.count("\n") == 4, "a run's name cannot make a message of its own"
    assert told(text.encode()) == {"id": 9, "events": 3, "runs": ["a\n\nevent: forged", "b"], "more": False}


def test_a_message_that_cannot_name_every_run_says_so() -> None:
    many = frozenset(f"r-{number:03}" for number in range(51))
    message = told(encode_news(News(seq=9, events=51, runs=many)))
    assert (len(message["runs"]), message["more"]) == (50, True)


def test_all_listeners_share_one_look_and_one_message() -> None:
    async def play(stage: Stage) -> None:
        waits = [start(stage.hub.join(None).next()) for _ in range(250)]
        await settle()
        assert not any(wait.done() for wait in waits), "what was there before is no news"
        stage.newest = 12
        await stage.turn()
        texts = [await wait for wait in waits]
        assert told(texts[0]) == {"id": 12, "events": 2, "runs": ["r-1"], "more": False}
        assert all(text is texts[0] for text in texts), "encoded once, copied never"
        assert stage.looks == 2

    on_stage(play)


def test_browser_that_comes_back_is_told_at_once_that_it_missed_something() -> None:
    async def play(stage: Stage) -> None:
        assert told(await stage.hub.join(7).next()) == {"id": 10, "events": 0, "runs": [], "more": True}
        up_to_date = start(stage.hub.join(10).next())
        await settle()
        assert not up_to_date.done()
        up_to_date.cancel()

    on_stage(play)


def test_slow_listener_gets_one_message_for_all_that_it_missed() -> None:
    async def play(stage: Stage) -> None:
        slow = stage.hub.join(None)
        first = start(slow.next())
        await settle()
        stage.newest = 11
        await stage.turn()
        await first
        # It is still sending that one, while more happens.
        for stage.newest in (12, 15, 20):
            await stage.turn()
        assert told(await slow.next()) == {"id": 20, "events": 0, "runs": [], "more": True}
        assert not start(slow.next()).done()

    on_stage(play)


def test_silent_stream_is_kept_open_by_comments() -> None:
    async def play(stage: Stage) -> None:
        wait = start(stage.hub.join(None).next())
        await stage.turn(seconds=SPEAK_EVERY_S - 1)
        assert not wait.done()
        await stage.turn(seconds=1)
        assert await wait == COMMENT

    on_stage(play)


def test_stream_ends_after_some_minutes_so_that_its_token_is_checked_again() -> None:
    async def play(stage: Stage) -> None:
        listener = stage.hub.join(None)
        stage.now_s += LASTS_S[1]
        assert await listener.next() == b""

    on_stage(play)


def test_all_streams_end_with_the_server() -> None:
    async def play(stage: Stage) -> None:
        waits = [start(stage.hub.join(None).next()) for _ in range(3)]
        await settle()
        stage.is_ending = True
        await stage.turn()
        assert [await wait for wait in waits] == [b""] * 3

    on_stage(play)


def test_nobody_listening_costs_no_look() -> None:
    async def play(stage: Stage) -> None:
        listener = stage.hub.join(None)
        await settle()
        stage.hub.leave(listener)
        await stage.turn()
        looks = stage.looks
        for _ in range(3):
            await stage.turn()
        assert stage.looks == looks
        stage.newest = 30
        late: Listener = stage.hub.join(12)
        assert told(await late.next())["id"] == 30, "the next one starts it again"

    on_stage(play)


def test_streams_outlive_a_database_that_is_away() -> None:
    async def play(stage: Stage) -> None:
        wait = start(stage.hub.join(None).next())
        await settle()
        stage.is_away = True
        await stage.turn()
        stage.is_away, stage.newest = False, 11
        await stage.turn()
        assert told(await wait)["id"] == 11

    on_stage(play)


def test_what_breaks_the_reader_ends_the_streams_instead_of_leaving_them_mute() -> None:
    async def play(stage: Stage) -> None:
        wait = start(stage.hub.join(None).next())
        await settle()
        stage.newest = "not a number"  # type: ignore[assignment]
        await stage.turn()
        assert await wait == b""
        # Its failure is not lost.
        task = stage.hub._task
        assert task is not None
        assert isinstance(task.exception(), TypeError)

    on_stage(play)


def test_telling_that_takes_long_leaves_half_of_the_time_to_others() -> None:
    async def play(stage: Stage) -> None:
        look = stage.hub._look

        async def slow_look(seq: int | None) -> News:
            stage.now_s += 3.0
            return await look(seq)

        stage.hub._look = slow_look
        wait = start(stage.hub.join(None).next())
        await settle()
        assert stage.slept == [3.0]
        wait.cancel()

    on_stage(play)
