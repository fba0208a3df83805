"""One run: its steps as pictures and as a table, its log, its artifacts, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response

from master.api.services import Services
from master.approvals import list_approvals
from master.darwin.listing import FLOWS
from master.dispatch.states import StepState
from master.flows.again import plan_retry, retry_from_step
from master.flows.runs import cancel_run, get_run, retry_run
from master.flows.shown import (
    StepGroup,
    find_step,
    group_steps,
    list_artifacts,
    read_attempts,
    read_group,
    read_log,
    read_steps,
)
from master.store.artifacts import ArtifactFolder
from master.store.tables import artifacts
from master.tokens import Principal
from master.web.door import Reading
from master.web.forms import back, read_form
from master.web.runs.graph import draw_graph
from master.web.runs.timeline import draw_timeline, spans_of
from master.web.views import IMAGE_TYPES, collapse_events, steps_to_show
from tasks.errors import D8Error, InvalidInput, NotFound

#: Steps of a run that are all read, for its pictures. Of a run that has more, only so many as are listed.
MOST_STEPS, MOST_LISTED = 300, 120
_ATTEMPTS = 120
_ARTIFACTS = 500
_APPROVALS = 100
_EVENTS_READ, _EVENTS = 300, 40
LOG_PAGE = 200
#: What of a text is shown in a page.
MOST_PREVIEW = 64 * 1024
#: What a page shows as text; anything else that is not a picture is offered for download.
TEXT_TYPES = frozenset(
    {
        "application/json",
        "application/toml",
        "application/x-ndjson",
        "application/x-yaml",
        "application/yaml",
        "application/xml",
        "application/javascript",
    }
)


def read_one(reading: Reading) -> dict[str, Any]:
    """``/runs/{run_id}?steps=``: one run; ``steps`` shows those whose keys begin so. ``NotFound``: there is none."""
    connection, run_id = reading.connection, reading.path("run_id")
    run = get_run(connection, run_id)._asdict()
    groups = group_steps(connection, run_id)
    stem = reading.query.get("steps", "")
    drawn = [group for group in groups if group.total]
    total = sum(group.total + group.aside for group in groups)
    most = MOST_STEPS if total <= MOST_STEPS else MOST_LISTED
    steps = read_steps(connection, run_id, limit=most)
    attempts = read_attempts(connection, run_id, steps_at_most=most)
    return {
        "run": run,
        "counts": _counts(drawn),
        "total": sum(group.total for group in drawn),
        "aside": sum(group.aside for group in groups),
        "groups": drawn,
        "graph": draw_graph(steps) if total <= MOST_STEPS else None,
        "timeline": draw_timeline(spans_of(attempts, steps, owner=""), reading.now),
        "steps": read_group(connection, run_id, stem, limit=MOST_LISTED)
        if stem
        else steps_to_show(steps, MOST_LISTED),
        "steps_total": total,
        "steps_read": most,
        "stem": stem,
        "is_evolution": run["flow"] in FLOWS,
        "attempts": attempts[-_ATTEMPTS:],
        "asked": list_approvals(connection, run_id=run_id, newest_first=True, limit=_APPROVALS)[::-1],
        "artifacts": list_artifacts(connection, run_id, limit=_ARTIFACTS),
        "events": collapse_events(read_log(connection, run_id, limit=_EVENTS_READ), _EVENTS),
        "is_text": is_text,
    }


def _counts(groups: Sequence[StepGroup]) -> dict[str, int]:
    return {str(state): sum(group.counts.get(state, 0) for group in groups) for state in StepState}


def read_log_page(reading: Reading) -> dict[str, Any]:
    """``/runs/{run_id}/log?before=``: a page of its events, newest first."""
    run_id, text = reading.path("run_id"), reading.query.get("before", "")
    if text and not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidInput(f"before={text[:40]!r} is not the number of an event")
    run = get_run(reading.connection, run_id)._asdict()
    found = read_log(reading.connection, run_id, limit=LOG_PAGE + 1, before=int(text) if text else None)
    return {
        "run": run,
        "events": [{**event, "count": 1} for event in found[:LOG_PAGE]],
        "older": found[LOG_PAGE - 1]["seq"] if len(found) > LOG_PAGE else None,
        "before": text,
    }


def read_step(reading: Reading) -> dict[str, Any]:
    """``/runs/{run_id}/step?key=``: one step, and what taking the run up again from there would do."""
    connection, run_id, key = reading.connection, reading.path("run_id"), reading.query.get("key", "")
    run = get_run(connection, run_id)._asdict()
    step = find_step(connection, run_id, key)
    try:
        anew, why_not = plan_retry(connection, run_id, key), ""
    except D8Error as error:
        anew, why_not = [], str(error)
    return {"run": run, "step": step, "anew": anew, "why_not": why_not, "most_named": 40}


def is_text(media_type: str) -> bool:
    """Whether a page shows such an artifact as text."""
    base = media_type.partition(";")[0].strip().lower()
    return base.startswith("text/") or base in TEXT_TYPES or base.endswith(("+json", "+yaml"))


def read_artifact(reading: Reading) -> dict[str, Any]:
    """A preview: a picture as a picture, whose scripts no browser runs; anything that reads as text as text, never
    as a page."""
    run_id, digest = reading.path("run_id"), reading.path("digest")
    query = select(artifacts).where(artifacts.c.digest == digest, artifacts.c.run_id == run_id)
    row = reading.connection.execute(query).first()
    if row is None:
        raise NotFound(f"run {run_id} has no artifact {digest[:80]!r}: its page lists them")
    text = None
    if row.media_type not in IMAGE_TYPES and is_text(row.media_type):
        text = _head(reading, digest).decode("utf-8", errors="replace")
    return {
        "run": get_run(reading.connection, run_id)._asdict(),
        "artifact": row._asdict(),
        "text": text,
        "cut": row.size > MOST_PREVIEW,
        "most": MOST_PREVIEW,
    }


def _head(reading: Reading, digest: str) -> bytes:
    path = ArtifactFolder(reading.services.settings.artifact_folder).path(digest)
    try:
        with path.open("rb") as file:
            return file.read(MOST_PREVIEW)
    except FileNotFoundError:
        raise NotFound(f"artifact {digest} is not kept here: it may have been removed by retention") from None


async def post_run(services: Services, request: Request, caller: Principal) -> Response:
    """``/runs/{run_id}/cancel`` and ``/runs/{run_id}/retry``, the latter from the step of field ``step`` if there is
    one."""
    run_id, verb = request.path_params["run_id"], request.path_params["verb"]
    if verb not in ("cancel", "retry"):
        raise NotFound(f"a run can be asked to cancel or retry, not to {verb[:40]!r}")
    now, step = services.clock(), (await read_form(request)).get("step", "")
    if verb == "cancel":
        await services.write(lambda connection: cancel_run(connection, run_id, by=caller.name, now=now))
    elif step:
        await services.write(
            lambda connection: retry_from_step(connection, run_id, step, by=caller.name, now=now)
        )
    else:
        await services.write(lambda connection: retry_run(connection, run_id, by=caller.name, now=now))
    return back({"back": f"run:{run_id}"})
