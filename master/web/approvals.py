"""The questions to the owner: what is pending, what is to be done, what was decided; and their answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from master.api.approval_routes import answer, voter_of
from master.api.services import Services
from master.approvals import (
    Approval,
    ApprovalState,
    ApprovalType,
    Voter,
    abandon,
    decide,
    execute,
    get_approval,
    list_approvals,
    list_to_do,
)
from master.approvals.history import (
    After,
    ApprovalFilter,
    count_by_state,
    find_decided,
    list_categories,
    list_happenings,
    list_revisions,
    list_votes,
)
from master.ledger import parse_money
from master.ledger.days import EntryFilter, find_entries
from master.ledger.report import BudgetUse, budget_uses
from master.tokens import Principal
from master.web.door import Door, Reading, Section
from master.web.forms import DOOR, back, read_form
from master.web.ledger import read_charts
from master.web.spending import bar_of
from tasks.errors import InvalidInput

MOST_NOTE = 2000
MOST_REFERENCE = 200
MOST_TEXT = 200
#: Decided requests in one page.
PAGE = 30
_FIELDS = ("show", "type", "category", "text")
#: What the page's tabs show; everything that was decided without one.
SHOWN: dict[str, tuple[ApprovalState, ...]] = {
    "approved": (ApprovalState.APPROVED,),
    "executed": (ApprovalState.EXECUTED,),
    "rejected": (ApprovalState.REJECTED,),
    "expired": (ApprovalState.EXPIRED,),
    "abandoned": (ApprovalState.ABANDONED,),
    "cancelled": (ApprovalState.CANCELLED, ApprovalState.SUPERSEDED),
}


def routes(door: Door) -> list[BaseRoute]:
    return [
        door.page("/approvals", "approvals.html", read_approvals),
        door.page("/approvals/{approval_id}", "approval.html", read_one),
        door.form("/approvals/{approval_id}/decision", post_decision),
        door.form("/approvals/{approval_id}/execution", post_execution),
    ]


def read_approvals(reading: Reading) -> dict[str, Any]:
    """``/approvals?show=&type=&category=&text=&after=``. What waits for the owner, in the order in which it was
    asked, and what is approved and to be done; then what was decided, the latest first."""
    connection, query = reading.connection, reading.query
    asked = {name: query.get(name, "").strip() for name in _FIELDS}
    if asked["show"] not in ("", *SHOWN):
        raise InvalidInput(f"no request is {asked['show'][:40]!r}: choose one of {', '.join(SHOWN)}")
    if len(asked["text"]) > MOST_TEXT:
        raise InvalidInput(f"the text has {len(asked['text'])} characters: {MOST_TEXT} are enough")
    after = read_after(query.get("after", ""))
    wanted = ApprovalFilter(
        states=SHOWN.get(asked["show"], ()),
        type=asked["type"],
        category=asked["category"],
        text=asked["text"],
    )
    found = find_decided(connection, wanted, limit=PAGE + 1, after=after)
    counts = count_by_state(connection)
    now_first = not any(asked.values()) and after is None
    month = reading.policy.month(reading.now)
    return {
        "pending": list_approvals(connection, ApprovalState.PENDING),
        "to_do": list_to_do(connection),
        "decided": found[:PAGE],
        "older": address_of(asked, after_text(found[PAGE - 1])) if len(found) > PAGE else "",
        "newest": address_of(asked) if after is not None else "",
        "tabs": [
            (name, sum(counts[state] for state in states), address_of({"show": name}))
            for name, states in SHOWN.items()
        ],
        "asked": asked,
        "filtered": any(asked[name] for name in ("type", "category", "text")),
        "types": [str(each) for each in ApprovalType],
        "categories": list_categories(connection),
        "now_first": now_first,
        "month": month,
        "charts": read_charts(reading, month) if now_first else [],
        "bars": read_bars(reading, month) if now_first else [],
    }


def read_bars(reading: Reading, month: str) -> list[tuple[BudgetUse, dict[str, int]]]:
    """The month's budget lines, each with the parts of its bar."""
    lines = budget_uses(reading.connection, reading.policy.budgets, month)
    return [(line, bar_of(line)) for line in lines]


def after_text(approval: Approval) -> str:
    """Names the request after which the next page begins."""
    return f"{approval.decided_at.isoformat()}~{approval.id}" if approval.decided_at else ""


def read_after(text: str) -> After | None:
    """``InvalidInput`` for what ``after_text`` does not write."""
    if not text:
        return None
    moment, _, approval_id = text.partition("~")
    try:
        decided_at = datetime.fromisoformat(moment)
    except ValueError:
        decided_at = None
    if decided_at is None or decided_at.tzinfo is None or not approval_id:
        raise InvalidInput(f"after={text[:60]!r} names no request: go back to the first page")
    return After(decided_at=decided_at, approval_id=approval_id)


def address_of(asked: dict[str, str], after: str = "") -> str:
    """The page with these filters, from its newest request or from that after one."""
    fields = {name: value for name, value in {**asked, "after": after}.items() if value}
    return "/approvals" + (f"?{urlencode(fields)}" if fields else "") + ("#decided" if fields else "")


def read_one(reading: Reading) -> dict[str, Any]:
    """``/approvals/{approval_id}``: one request, all that was said to it, and its money. ``NotFound``."""
    connection = reading.connection
    approval = get_approval(connection, reading.path("approval_id"))
    return {
        "a": approval,
        "votes": list_votes(connection, approval.id),
        "revisions": list_revisions(connection, approval.id),
        "entries": find_entries(connection, EntryFilter(approval_id=approval.id), limit=20)[::-1],
        "events": [{**event, "step": "", "count": 1} for event in list_happenings(connection, approval)],
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
