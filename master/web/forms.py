"""What a form of the dashboard sends, and what is done with it."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import parse_qsl, quote

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from master.api.approval_routes import answer, voter_of
from master.api.services import Services
from master.approvals import Approval, Voter, abandon, decide, execute
from master.flows.runs import cancel_run, retry_run
from master.ledger import parse_money
from master.tokens import Principal
from tasks.errors import InvalidInput, NotFound

#: A reason has 2,000 characters, each at most 12 bytes when encoded.
MOST_BYTES = 32 * 1024
MOST_NOTE = 2000
MOST_REFERENCE = 200
DOOR = "dashboard"


async def read_form(request: Request) -> dict[str, str]:
    """The fields of an ordinary form; the last of one name counts."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise InvalidInput(f"the form is larger than {MOST_BYTES} bytes: shorten the reason")
    try:
        return dict(
            parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20)
        )
    except ValueError:
        raise InvalidInput("the form could not be read: open the page again and repeat it") from None


def back(form: dict[str, str]) -> Response:
    """To the page that the form was on; never anywhere else."""
    place = form.get("back", "")
    if place.startswith("run:"):
        return RedirectResponse(f"/runs/{quote(place[4:], safe='')}", status_code=303)
    return RedirectResponse("/approvals" if place == "approvals" else "/", status_code=303)


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
