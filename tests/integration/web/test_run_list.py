"""The list of runs: its tabs, its filters, its pages."""

from __future__ import annotations

import re

from sqlalchemy import Connection

from tests.integration.web.stage import Stage


def put_many(c: Connection) -> None:
    for number in range(60):
        Stage.put_run(
            c, f"noop-{number:02}", "failed" if number % 10 == 0 else "done", started_by="token:ana"
        )
    Stage.put_run(c, "client-x", "waiting", flow="client", params={"client_id": "bar-paco"}, progress=0.4)


def listed(text: str) -> list[str]:
    return re.findall(r'<h2 class="h3"><a class="id" href="/runs/([^"]+)"', text)


def test_every_run_is_on_exactly_one_page(stage: Stage) -> None:
    stage.write(put_many)
    stage.login()
    seen, href = [], "/runs"
    while href:
        text = stage.browser.get(href).text
        seen += listed(text)
        older = re.search(r'<a href="([^"]+)">Older runs', text)
        href = older[1].replace("&amp;", "&") if older else ""
    assert len(seen) == len(set(seen)) == 61


def test_tabs_count_and_filters_stay_from_tab_to_tab(stage: Stage) -> None:
    stage.write(put_many)
    stage.login()
    text = stage.browser.get("/runs").text
    for tab in (
        'all <span class="count">61', 'failed <span class="count">6', 'waiting <span class="count">1',
    ):  # fmt: skip
        assert tab in text, tab
    text = stage.browser.get("/runs?state=failed&by=token:ana").text
    assert len(listed(text)) == 6
    assert 'href="/runs?state=done&amp;by=token%3Aana"' in text
    assert listed(stage.browser.get("/runs?text=PACO").text) == ["client-x"]
    assert "40 %" in stage.browser.get("/runs?flow=client").text
    assert "No run is like that." in stage.browser.get("/runs?flow=client&state=failed").text
    assert listed(stage.browser.get("/runs?until=2020-01-01").text) == []


def test_an_address_that_makes_no_sense_is_told_so(stage: Stage) -> None:
    stage.login()
    for query in ("state=finished", "since=x", "after=x", "text=" + "x" * 201):
        assert stage.browser.get(f"/runs?{query}").status_code == 422, query
