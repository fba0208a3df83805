"""The list of runs: which are looked for, and where the next page begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any
from urllib.parse import urlencode

from master.dispatch.states import RunState
from master.flows.shown import After, RunFilter, count_runs, find_runs, list_starters
from master.web.door import Reading
from tasks.errors import InvalidInput

#: Rows in one page.
PAGE = 50
MOST_TEXT = 200
_FIELDS = ("state", "flow", "by", "text", "since", "until")


def read_runs(reading: Reading) -> dict[str, Any]:
    """``/runs?state=&flow=&by=&text=&since=&until=&after=``: one page of runs, newest first. Days are the owner's."""
    connection, query = reading.connection, reading.query
    asked = {name: query.get(name, "").strip() for name in _FIELDS}
    zone = reading.policy.zone if asked["since"] or asked["until"] else reading.now.tzinfo
    wanted = read_filter(asked, zone)
    found = find_runs(connection, wanted, limit=PAGE + 1, after=read_after(query.get("after", "")))
    counts = count_runs(connection, wanted)
    flows, people = list_starters(connection)
    return {
        "runs": found[:PAGE],
        "older": address_of(asked, after=after_text(found[PAGE - 1])) if len(found) > PAGE else "",
        "asked": asked,
        "filtered": any(value for name, value in asked.items() if name != "state"),
        "counts": [(state, counts.get(state, 0), address_of(asked, state=state)) for state in RunState],
        "all": (sum(counts.values()), address_of(asked, state="")),
        "later": bool(query.get("after", "")),
        "first": address_of(asked),
        "flows": flows,
        "people": people,
    }


def read_filter(asked: Mapping[str, str], zone: tzinfo | None) -> RunFilter:
    """``InvalidInput``: a state that there is not, a day that is none, a text that is too long."""
    if asked["state"] and asked["state"] not in list(RunState):
        raise InvalidInput(f"no run is {asked['state'][:40]!r}: a run is {', '.join(RunState)}")
    if len(asked["text"]) > MOST_TEXT:
        raise InvalidInput(f"the text has {len(asked['text'])} characters: {MOST_TEXT} are enough")
    until = _day(asked["until"], zone)
    return RunFilter(
        state=asked["state"],
        flow=asked["flow"],
        by=asked["by"],
        text=asked["text"],
        since=_day(asked["since"], zone),
        # The day itself is a part of it.
        until=None if until is None else until + timedelta(days=1),
    )


def _day(text: str, zone: tzinfo | None) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time(), zone) if text else None
    except ValueError:
        raise InvalidInput(f"{text[:40]!r} is not a day such as 2026-11-21") from None


def after_text(run: Mapping[str, Any]) -> str:
    """Names the run after which the next page begins."""
    return f"{run['created_at'].isoformat()}~{run['id']}"


def read_after(text: str) -> After | None:
    """``InvalidInput`` for what ``after_text`` does not write."""
    if not text:
        return None
    found = re.fullmatch(r"([0-9T:.+-]{19,40})~(.{1,200})", text)
    try:
        moment = datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        moment = None
    if found is None or moment is None or moment.tzinfo is None:
        raise InvalidInput(f"after={text[:60]!r} names no run: go back to the first page")
    return After(created_at=moment, run_id=found[2])


def address_of(asked: Mapping[str, str], **changed: str) -> str:
    """The list with these filters, from its first page unless ``after`` is given."""
    fields = {name: value for name, value in {**asked, **changed}.items() if value}
    return "/runs" + (f"?{urlencode(fields)}" if fields else "")
