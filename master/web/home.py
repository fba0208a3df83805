"""The first page: what needs the owner, what runs, the fleet at a glance, the month's money, what was found."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select
from starlette.routing import BaseRoute

from master.approvals import ApprovalState, list_approvals, list_to_do
from master.darwin.listing import FLOWS as EVOLUTIONS
from master.dispatch.states import RunState
from master.events import newest_events
from master.fleet.history import task_paces
from master.fleet.notices import list_notices
from master.fleet.roster import list_workers
from master.flows.going import list_ended, read_going
from master.flows.left import Left, estimate_left
from master.flows.runs import list_runs
from master.ledger.glance import MonthLine, month_at_a_glance
from master.store.tables import artifacts, runs
from master.web.door import Door, Reading, Section
from master.web.fleet.shapes import N_, STATE_NAMES, gpus_now, in_order, is_here
from master.web.reading import EVENTS_READ, name_steps
from master.web.views import IMAGE_TYPES, pick_pictures
from tasks.errors import InvalidInput
from tasks.protocol import Hardware

_RESULTS = 6
_EVENTS = 12
_OPEN = 20
#: Runs of the master's own, which find nothing.
_OWN_FLOWS = ("canary", "noop", "drill", "rehearsal")
#: What a run is of, as the owner reads it.
FLOW_NAMES = {
    "darwin": N_("evolution"),
    "darwin-environment": N_("evolution"),
    "niche": N_("niche study"),
    "client": N_("client project"),
    "python": N_("given code"),
}


def routes(door: Door) -> list[BaseRoute]:
    return [door.page("/", "home.html", read_home)]


def read_home(reading: Reading) -> dict[str, Any]:
    """Everything of the first page, what needs the owner first."""
    connection = reading.connection
    ended = list_ended(connection, limit=_RESULTS, but_flows=_OWN_FLOWS)
    running = list_runs(connection, state=RunState.RUNNING, limit=_OPEN)
    workers = list_workers(connection)
    return {
        "pending": list_approvals(connection, ApprovalState.PENDING),
        "to_do": list_to_do(connection),
        "notices": list_notices(connection),
        "open_runs": [*running, *list_runs(connection, state=RunState.WAITING, limit=_OPEN)],
        "left": _left(reading, running),
        "workers": [_describe(worker) for worker in in_order(workers)],
        "state_names": STATE_NAMES,
        "flow_names": FLOW_NAMES,
        "steps_todo": _first_steps(reading, bool(workers)),
        "money_lines": _money(reading),
        "ended": ended,
        "pictures": _pictures(connection, [run["id"] for run in ended]),
        "events": name_steps(connection, newest_events(connection, EVENTS_READ), _EVENTS),
    }


def _left(reading: Reading, running: list[dict[str, Any]]) -> dict[str, Left]:
    """By run, where it can be told. Nothing moves while dispatch is paused."""
    if not running:
        return {}
    going = read_going(reading.connection, running)
    paces = task_paces(reading.connection)
    found = {
        run["id"]: estimate_left(going[run["id"]], paces, counts=run["flow"] in EVOLUTIONS, now=reading.now)
        for run in running
    }
    return {run_id: left for run_id, left in found.items() if left is not None}


def _describe(worker: Any) -> dict[str, Any]:
    gpus = gpus_now(Hardware.model_validate(worker["hardware"]))
    return {**worker, "here": is_here(worker), "gpus_now": gpus}


def _first_steps(reading: Reading, has_workers: bool) -> dict[str, bool]:
    """What a new fleet still lacks, each with whether it is done; empty when the first two are."""
    own = select(func.count()).select_from(
        select(runs.c.id).where(runs.c.flow.not_in(_OWN_FLOWS)).limit(1).subquery()
    )
    has_runs = bool(reading.connection.execute(own).scalar())
    if has_workers and has_runs:
        return {}
    has_phone = reading.services.settings.telegram_token is not None
    return {"machine": has_workers, "work": has_runs, "phone": has_phone}


def _money(reading: Reading) -> list[dict[str, Any]] | None:
    """The month's lines with where their bars change; None when the owner's rules cannot be read (which is a
    notice of its own)."""
    try:
        policy = reading.policy
    except InvalidInput:
        return None
    lines = month_at_a_glance(reading.connection, policy.budgets, policy.month(reading.now))
    return [{"line": line, **parts_of(line)} for line in lines]


def parts_of(line: MonthLine) -> dict[str, Any]:
    """Of a bar of 1000 parts, those spent and those reserved; ``over`` by how much it passes the limit."""
    used = line.spent_minor + line.held_minor
    limit = used if line.limit_minor is None else line.limit_minor
    whole = max(limit, used, 1)
    spent = 1000 * max(0, line.spent_minor) // whole
    held = min(1000 * max(0, line.held_minor) // whole, 1000 - spent)
    return {"spent": spent, "held": held, "over": max(0, used - limit)}


def _pictures(connection: Connection, run_ids: list[str]) -> dict[str, dict[str, Any]]:
    query = select(artifacts).where(
        artifacts.c.run_id.in_(run_ids), artifacts.c.media_type.in_(sorted(IMAGE_TYPES))
    )
    return pick_pictures(row._asdict() for row in connection.execute(query))


SECTION = Section(path="/", name="Home", routes=routes)
