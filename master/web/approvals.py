"""The questions to the owner: what is pending, what is to be done, what was decided; and their answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from master.api.approval_routes import answer, voter_of
from master.api.services import Services
from master.approvals import (
    Approval,
    ApprovalState,
    Voter,
    abandon,
    decide,
    execute,
    list_approvals,
    list_decided,
    list_to_do,
)
from master.ledger import parse_money
from master.tokens import Principal
from master.web.door import Door, Reading, Section
from master.web.forms import DOOR, back, read_form
from tasks.errors import InvalidInput

MOST_NOTE = 2000
MOST_REFERENCE = 200
_DECIDED = 100


def routes(door: Door) -> list[BaseRoute]:
    return [
        door.page("/approvals", "approvals.html", read_approvals),
        door.form("/approvals/{approval_id}/decision", post_decision),
        door.form("/approvals/{approval_id}/execution", post_execution),
    ]


def read_approvals(reading: Reading) -> dict[str, Any]:
    """Pending requests in the order in which they were made, what is approved and to be done, then the
    decided ones, newest first."""
    connection = reading.connection
    return {
        "pending": list_approvals(connection, ApprovalState.PENDING),
        "decided": [each for each in list_decided(connection, _DECIDED) if not each.awaits_execution],
        "to_do": list_to_do(connection),
    }


async def post_decision(services: Services, request: Request, caller: Principal) -> Response:
    """``approve`` or ``reject`` in the field ``decision``, bound to what was shown by ``digest``."""
    form = await read_form(request)
    choice, note, digest = form.get("decision", ""), form.get("note", "").strip(), form.get("digest", "")
    if choice not in ("approve", "reject"):
        raise InvalidInput(
            f"a decision is 'approve' or 'reject', not {choice[:40]!r}: use the page's buttons"
        )
    if len(note) > MOST_NOTE:
        raise InvalidInput(f"the reason has {len(note)} characters: {MOST_NOTE} are enough")
    if choice == "reject" and not note:
        raise InvalidInput("a rejection needs a reason: go back and say what should be different")
    approval_id = request.path_params["approval_id"]

    def act(connection: Connection, voter: Voter, now: datetime) -> Approval:
        return decide(
            connection,
            approval_id,
            approve=choice == "approve",
            voter=voter,
            policy=services.policy(),
            note=note,
            now=now,
            digest=digest,
        )

    await answer(services, approval_id, voter_of(caller, DOOR), act)
    return back(form)


async def post_execution(services: Services, request: Request, caller: Principal) -> Response:
    """``done`` in the field ``outcome``, with the fields ``actual`` and ``reference``; or ``abandon``
    with the reason in ``note``."""
    form = await read_form(request)
    outcome, note = form.get("outcome", ""), form.get("note", "").strip()
    if outcome not in ("done", "abandon"):
        raise InvalidInput(f"what was approved is 'done' or 'abandon', not {outcome[:40]!r}")
    if outcome == "abandon" and not note:
        raise InvalidInput("what is not done needs a reason: go back and say why")
    if len(note) > MOST_NOTE or len(form.get("reference", "")) > MOST_REFERENCE:
        raise InvalidInput(f"a note has at most {MOST_NOTE} characters, a reference {MOST_REFERENCE}")
    actual = parse_money(form["actual"]) if form.get("actual", "").strip() else None
    approval_id = request.path_params["approval_id"]

    def act(connection: Connection, voter: Voter, now: datetime) -> Approval:
        if outcome == "abandon":
            return abandon(connection, approval_id, voter=voter, reason=note, now=now)
        reference = form.get("reference", "").strip()
        return execute(
            connection, approval_id, actual=actual, voter=voter, reference=reference, note=note, now=now
        )

    await answer(services, approval_id, voter_of(caller, DOOR), act)
    return back(form)


SECTION = Section(path="/approvals", name="Approvals", routes=routes)
