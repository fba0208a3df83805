"""The runs: their list, and one run with everything that belongs to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from master.api.services import Services
from master.approvals import list_approvals
from master.darwin.view import FLOWS, draw_evolution, show_evolution
from master.dispatch.states import RunState
from master.flows.registry import list_flows
from master.flows.runs import cancel_run, list_attempts, list_runs, retry_run, show_run
from master.store.artifacts import ArtifactFolder
from master.store.tables import events
from master.tokens import Principal
from master.web.door import Door, Reading, Section
from master.web.forms import back
from master.web.reading import EVENTS_READ, name_steps
from master.web.views import MOST_STEPS
from tasks.errors import InvalidInput, NotFound

#: Rows in one page of the list of runs.
PAGE = 50
_ATTEMPTS = 100
_EVENTS = 24


def routes(door: Door) -> list[BaseRoute]:
    return [
        door.page("/runs", "runs.html", read_runs),
        door.page("/runs/{run_id}", "run.html", read_run),
        door.form("/runs/{run_id}/{verb}", post_run),
    ]


def read_runs(reading: Reading) -> dict[str, Any]:
    """``/runs?state=&flow=&before=``: one page of runs, newest first."""
    state, flow = reading.query.get("state", ""), reading.query.get("flow", "")
    before = _moment(reading.query.get("before", ""))
    found = list_runs(reading.connection, state=state, flow=flow, limit=PAGE + 1, before=before)
    return {
        "runs": found[:PAGE],
        "older": found[PAGE - 1]["created_at"] if len(found) > PAGE else None,
        "chosen_state": state,
        "chosen_flow": flow,
        "states": [str(each) for each in RunState],
        "flows": [each.name for each in list_flows()],
    }


def _moment(before: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(before) if before else None
        if moment is not None and moment.tzinfo is None:
            raise ValueError
    except ValueError:
        raise InvalidInput(
            f"before={before[:40]!r} is not a time with its zone, such as 2026-03-01T12:00:00+00:00"
        ) from None
    return moment


def read_run(reading: Reading) -> dict[str, Any]:
    """One run with everything that belongs to it. ``NotFound``: there is none."""
    connection, run_id = reading.connection, reading.path("run_id")
    of_run = select(events).where(events.c.run_id == run_id).order_by(events.c.seq.desc())
    newest = [row._asdict() for row in connection.execute(of_run.limit(EVENTS_READ))]
    shown = show_run(connection, run_id, most=MOST_STEPS)
    attempts = list_attempts(connection, run_id, of_steps=[step["id"] for step in shown["steps"]])
    return {
        "run": shown,
        "evolution": _evolution(reading, run_id) if shown["flow"] in FLOWS else None,
        "attempts": attempts[-_ATTEMPTS:],
        "asked": list_approvals(connection, run_id=run_id),
        "events": name_steps(connection, newest, _EVENTS),
    }


def _evolution(reading: Reading, run_id: str) -> dict[str, Any]:
    read_artifact = ArtifactFolder(reading.services.settings.artifact_folder).read
    shown = show_evolution(reading.connection, run_id, read_artifact, now=reading.now)
    return {**shown, "pictures": draw_evolution(reading.connection, shown)}


async def post_run(services: Services, request: Request, caller: Principal) -> Response:
    """``/runs/{run_id}/cancel`` and ``/runs/{run_id}/retry``."""
    run_id, verb = request.path_params["run_id"], request.path_params["verb"]
    if verb not in ("cancel", "retry"):
        raise NotFound(f"a run can be asked to cancel or retry, not to {verb[:40]!r}")
    now = services.clock()
    if verb == "cancel":
        await services.write(lambda connection: cancel_run(connection, run_id, by=caller.name, now=now))
    else:
        await services.write(lambda connection: retry_run(connection, run_id, by=caller.name, now=now))
    return back({"back": f"run:{run_id}"})


SECTION = Section(path="/runs", name="Runs", routes=routes)
