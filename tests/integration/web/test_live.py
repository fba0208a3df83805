"""The stream of what happens, which keeps open pages up to date."""

from __future__ import annotations

import asyncio

from master.api.services import Services
from master.approvals import Policy
from master.clock import utc_now
from master.events import record_event
from master.fleet.releases import Releases
from master.settings import load_settings
from master.store import Writer
from master.store.artifacts import ArtifactFolder
from master.web.live import stream_news
from tasks.files import ROOT
from tests.integration.web.stage import Stage


def test_stream_is_refused_without_login(stage: Stage) -> None:
    assert stage.browser.get("/events").status_code == 401


def test_open_stream_tells_of_what_happens_and_ends_with_the_server(stage: Stage) -> None:
    settings = load_settings(home=stage.home)
    services = Services(
        settings=settings,
        database=stage.database,
        writer=Writer(stage.database),
        folder=ArtifactFolder(settings.artifact_folder),
        clock=utc_now,
        build="b",
        releases=Releases(ROOT, "b", stage.home / "release.key"),
        policy=Policy,
    )
    stage.write(lambda c: record_event(c, "run_started", utc_now(), run_id="r-1"))
    waits: list[float] = []

    async def happens(wait_s: float) -> None:
        waits.append(wait_s)
        if len(waits) == 2:
            stage.write(lambda c: record_event(c, "run_done", utc_now(), run_id="r-1"))
            stage.write(lambda c: record_event(c, "run_started", utc_now(), run_id="r-2"))

    async def listen(seq: int | None) -> list[str]:
        waits.clear()
        return [text async for text in stream_news(services, seq, lambda: len(waits) >= 4, happens)]

    news = [text for text in asyncio.run(listen(None)) if text.startswith("id: ")]
    assert len(news) == 1, "what was there before the page is no news, and two events at once are one message"
    assert '"runs": ["r-1", "r-2"]' in news[0]
    again = [text for text in asyncio.run(listen(0)) if text.startswith("id: ")]
    assert again[0].startswith("id: "), "a browser that comes back is told what it missed"
    services.writer.close()
