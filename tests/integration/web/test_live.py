"""The stream of what happens, which keeps open pages up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Message

from master.api.app import create_api, quick_path
from master.api.services import Services
from master.approvals import Policy
from master.clock import utc_now
from master.events import record_event
from master.fleet.releases import Releases
from master.settings import load_settings
from master.store.artifacts import ArtifactFolder
from master.web.live import EventStreams
from tasks.files import ROOT
from tests.integration.web.stage import ORIGIN, Stage


class Hearing:
    """One open stream, as a server sees it: what was sent to the browser, and whether it has left."""

    def __init__(
        self, streams: EventStreams, *, headers: tuple[tuple[str, str], ...] = (), query: str = ""
    ) -> None:
        self.status = 0
        self._texts: asyncio.Queue[str] = asyncio.Queue()
        self.left = asyncio.Event()
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/events",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers],
        }
        self.task = asyncio.ensure_future(streams(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.status = message.get("status", self.status)
        if message.get("body"):
            self._texts.put_nowait(message["body"].decode())

    async def text(self) -> str:
        return await asyncio.wait_for(self._texts.get(), 10)


def streams_of(stage: Stage, ending: Callable[[], bool] = lambda: False, **more: Any) -> EventStreams:
    settings = load_settings(home=stage.home)
    services = Services(
        settings=settings,
        database=stage.database,
        writer=None,  # type: ignore[arg-type]
        folder=ArtifactFolder(settings.artifact_folder),
        clock=utc_now,
        build="b",
        releases=Releases(ROOT, "b", stage.home / "release.key"),
        policy=Policy,
    )

    async def anyone(_: Request) -> None:
        return None

    return EventStreams(services, anyone, ending=ending, **more)


def test_stream_is_refused_without_login(stage: Stage) -> None:
    assert stage.browser.get("/events").status_code == 401


def test_open_stream_tells_of_what_happens_and_ends_with_the_server(stage: Stage) -> None:
    def put(*run_ids: str) -> None:
        def record(connection: Connection) -> None:
            for run_id in run_ids:
                record_event(connection, "run_started", utc_now(), run_id=run_id)

        stage.write(record)

    async def play() -> None:
        put("r-0")
        is_ending = False
        streams = streams_of(stage, lambda: is_ending)
        new = Hearing(streams)
        assert (await new.text()).startswith("retry: ")
        # Its first look is over when the other, who has missed everything, is told so.
        behind = Hearing(streams, headers=(("last-event-id", "0"),), query="after=9")
        assert (await behind.text()).startswith("retry: ")
        assert '"more": true' in await behind.text(), "a browser that comes back is told what it missed"
        await asyncio.to_thread(put, "r-1", "r-2")
        news = await new.text()
        assert '"events": 2, "runs": ["r-1", "r-2"], "more": false' in news, "two at once are one message"
        assert await behind.text() == news
        is_ending = True
        await asyncio.wait_for(asyncio.gather(new.task, behind.task), 10)
        assert len(streams.hub) == 0

    asyncio.run(play())


def test_stream_whose_browser_has_left_is_closed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("master.web.hub.SPEAK_EVERY_S", 0.0)

    async def play() -> None:
        streams = streams_of(stage)
        hearing = Hearing(streams)
        assert (await hearing.text()).startswith("retry: ")
        assert await hearing.text() == ": nothing new\n\n"
        assert not hearing.task.done()
        hearing.left.set()
        await asyncio.wait_for(hearing.task, 10)
        assert len(streams.hub) == 0

    asyncio.run(play())


def test_stream_too_many_is_told_why_and_when_to_come_back(stage: Stage) -> None:
    async def play() -> None:
        hearing = Hearing(streams_of(stage, room=0))
        assert "raise LimitNOFILE" in await hearing.text()
        assert hearing.status == 503

    asyncio.run(play())


def test_streams_are_led_past_the_pages_and_guarded_all_the_same(d8_home: Path) -> None:
    api = create_api(load_settings(home=d8_home))
    with TestClient(quick_path(api), base_url=ORIGIN) as browser, TestClient(api):
        assert browser.get("/events").status_code == 401
        assert browser.post("/events").status_code == 405
        assert browser.get("/events", headers={"authorization": "Bearer x"}).status_code == 401
