"""What the fleet's pages read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from master.fleet.history import (
    list_paces,
    list_strikes,
    list_worker_attempts,
    list_worker_events,
    list_worker_failures,
)
from master.fleet.invites import list_invites
from master.fleet.logs import find_log
from master.fleet.roster import list_workers, show_worker
from master.fleet.samples import MINUTE_S, read_series
from master.fleet.strikes import STRIKES
from master.web.door import Reading
from master.web.fleet.charts import Chart, Window, charts_of, sparks_of
from master.web.fleet.shapes import (
    OUTCOME_NAMES,
    RANGES,
    STATE_NAMES,
    USUAL_RANGE,
    acts_for,
    add_up,
    describe_server,
    gpus_now,
    host_now,
    in_order,
    is_here,
    log_lines,
)
from master.web.reading import name_steps
from tasks.protocol import Hardware

#: What the small pictures of the list show.
_LATELY = timedelta(hours=1)
_ATTEMPTS = 20
_EVENTS = 20
_LINES = 400


def read_fleet(reading: Reading) -> dict[str, Any]:
    """Every worker, what is to be done about it first; open invites; whom ``?drained=NAME`` was about."""
    connection, build = reading.connection, reading.services.build
    everyone = list_workers(connection, removed=True)
    workers = [worker for worker in everyone if worker["state"] != "removed"]
    return {
        "workers": _describe(reading, in_order(workers)),
        "removed": [worker["name"] for worker in everyone if worker["state"] == "removed"],
        "sums": add_up(workers, build),
        "invites": list_invites(connection, now=reading.now),
        "told": _told(reading, everyone),
        **_names(),
    }


def read_worker(reading: Reading) -> dict[str, Any]:
    """``/fleet/NAME?range=24h``. ``NotFound``: no worker was ever called so."""
    connection, name = reading.connection, reading.path("worker")
    chosen = reading.query.get("range", USUAL_RANGE)
    chosen = chosen if chosen in RANGES else USUAL_RANGE
    worker = show_worker(connection, name)
    log = find_log(connection, name)
    lines, more = log_lines(log.text, _LINES)
    return {
        "w": _describe(reading, [worker])[0],
        "told": _told(reading, [worker]),
        "charts": _draw(reading, worker, chosen),
        "range": chosen,
        "ranges": [(key, words) for key, (words, _, _) in RANGES.items()],
        "attempts": list_worker_attempts(connection, name, _ATTEMPTS),
        "failures": list_worker_failures(connection, name, _ATTEMPTS),
        "strikes": list_strikes(connection, name),
        "most_strikes": STRIKES,
        "paces": list_paces(connection, name),
        "log": log,
        "lines": lines,
        "more_lines": more,
        "events": name_steps(connection, list_worker_events(connection, name, 5 * _EVENTS), _EVENTS),
        "heartbeat_s": reading.services.settings.heartbeat_s,
        **_names(),
    }


def _names() -> dict[str, Any]:
    return {"state_names": STATE_NAMES, "outcome_names": OUTCOME_NAMES}


def _describe(reading: Reading, workers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each with its numbers as they are and were in the last hour."""
    window = Window(start=reading.now - _LATELY, end=reading.now, span_s=MINUTE_S)
    names = [worker["name"] for worker in workers]
    series = read_series(reading.connection, names, MINUTE_S, since=window.start)
    found = []
    for worker in workers:
        hardware, here = Hardware.model_validate(worker["hardware"]), is_here(worker)
        own = series.get(worker["name"]) if here else None
        found.append(
            {
                **worker,
                "gpus_now": gpus_now(hardware),
                "host_now": host_now(hardware),
                "server": describe_server(worker),
                "acts": acts_for(worker, reading.services.build),
                "sparks": {(each.kind, each.gpu): each for each in sparks_of(hardware, own, window)}
                if own
                else {},
                "here": here,
            }
        )
    return found


def _draw(reading: Reading, worker: dict[str, Any], chosen: str) -> dict[int | None, list[Chart]]:
    """By GPU; None for the machine itself."""
    _, length, span_s = RANGES[chosen]
    window = Window(start=reading.now - length, end=reading.now, span_s=span_s)
    series = read_series(reading.connection, [worker["name"]], span_s, since=window.start).get(worker["name"])
    found: dict[int | None, list[Chart]] = {}
    if series is not None:
        for chart in charts_of(Hardware.model_validate(worker["hardware"]), series, window):
            found.setdefault(chart.gpu, []).append(chart)
    return found


def _told(reading: Reading, workers: list[dict[str, Any]]) -> dict[str, str]:
    """What a form has just done, as long as it is so: the state that ``?told=STATE:NAME`` names."""
    state, _, name = reading.query.get("told", "").partition(":")
    is_so = any((worker["name"], worker["state"]) == (name, state) for worker in workers)
    return {"state": state, "name": name} if is_so and state in ("draining", "active", "removed") else {}
