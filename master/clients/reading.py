"""The board of projects, and one project as its page shows it. Bounded reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from master.approvals import Approval, ApprovalState, list_approvals
from master.clients.board import PHASES, Stage, stage_of
from master.clients.states import ClientState
from master.clients.store import Client, get_brief, get_client
from master.clients.tables import clients
from master.dispatch.states import OPEN_STEPS
from master.store.tables import STEPS_IN_FLIGHT, steps
from tasks.client_build import Result as Built
from tasks.client_review import Result as Review
from tasks.record import Record

#: Projects of the board that are over, of each kind, the latest; and those under way.
OVER = 12
UNDER_WAY = 120

#: A flow asks for something of a phase at the least so often.
_LAST = (
    select(steps.c.key)
    .where(steps.c.run_id == bindparam("b_run"), steps.c.kind == "task")
    .order_by(steps.c.id.desc())
    .limit(20)
)

#: The project's papers, in the order in which a person reads them.
PAPERS = ("executive-summary.md", "quality-report.md", "log.md")
_MOST_PAPER_BYTES = 256 * 1024


class Card(Record):
    """One project on the board."""

    client: Client
    stage: Stage
    #: Title of the question that waits for the owner; "" without one.
    question: str


class Version(Record):
    """One built draft of the site."""

    number: int
    #: sha256 of its zip among the artifacts.
    site: str
    files: int
    bytes: int
    #: None until it is reviewed.
    review: Review | None
    #: The question about it, once the owner was asked.
    approval: Approval | None


def read_board(connection: Connection) -> dict[str, Any]:
    """Cards by stage, the oldest first under way and the latest first when over; and how many there are."""
    found = [
        *_of_state(connection, ClientState.PENDING, UNDER_WAY, newest=False),
        *_of_state(connection, ClientState.IN_PROGRESS, UNDER_WAY, newest=False),
        *_of_state(connection, ClientState.COMPLETED, OVER, newest=True),
        *_of_state(connection, ClientState.FAILED, OVER, newest=True),
    ]
    under_way = [
        client.run_id for client in found if client.state is ClientState.IN_PROGRESS and client.run_id
    ]
    keys = _keys(connection, under_way)
    asked = {one.run_id: one.title for one in list_approvals(connection, ApprovalState.PENDING)}
    cards: dict[Stage, list[Card]] = {stage: [] for stage in Stage}
    for client in found:
        question = asked.get(client.run_id, "") if client.run_id else ""
        stage = stage_of(client.state, keys.get(client.run_id, []), waits=bool(question))
        cards[stage].append(Card(client=client, stage=stage, question=question))
    rows = connection.execute(select(clients.c.state, func.count()).group_by(clients.c.state))
    counts = {str(row[0]): int(row[1]) for row in rows}
    return {"cards": cards, "counts": counts}


def _of_state(connection: Connection, state: ClientState, limit: int, *, newest: bool) -> list[Client]:
    order = clients.c.created_at.desc() if newest else clients.c.created_at
    columns = [clients.c[name] for name in Client.model_fields]
    query = select(*columns).where(clients.c.state == state.value).order_by(order, clients.c.id).limit(limit)
    return [Client.model_validate(row._asdict()) for row in connection.execute(query)]


def _keys(connection: Connection, run_ids: Iterable[str]) -> dict[str, list[tuple[str, bool]]]:
    """What tells the stage: the open steps of each run, or of a run that has none, its last ones."""
    runs = list(run_ids)
    found: dict[str, list[tuple[str, bool]]] = {}
    is_open = select(steps.c.run_id, steps.c.key).where(STEPS_IN_FLIGHT, steps.c.run_id.in_(runs))
    for row in connection.execute(is_open.order_by(steps.c.id)):
        found.setdefault(row.run_id, []).append((row.key, True))
    for run_id in runs:
        if run_id not in found:
            last = connection.execute(_LAST, {"b_run": run_id}).scalars().all()
            found[run_id] = [(key, False) for key in reversed(last)]
    return found


def look_at_project(connection: Connection, client_id: str, output: Path) -> dict[str, Any]:
    """One project: its brief, its way so far, its versions, its papers. ``NotFound``: there is none."""
    client = get_client(connection, client_id)
    asked = list_approvals(connection, run_id=client.run_id) if client.run_id else []
    found = _steps(connection, client.run_id) if client.run_id else []
    waits = any(one.state is ApprovalState.PENDING for one in asked)
    keys = [(one["key"], one["state"] in OPEN_STEPS) for one in found]
    return {
        "client": client,
        "brief": get_brief(connection, client.id),
        "stage": stage_of(client.state, keys, waits=waits),
        "phases": [(phase, [_told(one) for one in found if _phase(one) == phase]) for phase in PHASES],
        "asked": asked,
        "versions": _versions(found, asked),
        "papers": read_papers(output, client.id),
    }


def _steps(connection: Connection, run_id: str) -> list[dict[str, Any]]:
    query = (
        select(
            steps.c.id, steps.c.key, steps.c.task, steps.c.state, steps.c.worker, steps.c.error, steps.c.note,
            steps.c.result, steps.c.created_at, steps.c.claimed_at, steps.c.finished_at,
        )
        .where(steps.c.run_id == run_id, steps.c.kind == "task")
        .order_by(steps.c.id)
    )  # fmt: skip
    return [row._asdict() for row in connection.execute(query)]


def _phase(step: dict[str, Any]) -> str:
    return str(step["key"]).partition(":")[0]


def _told(step: dict[str, Any]) -> dict[str, Any]:
    """``design:copywriter:words:v2`` in its parts."""
    _, role, what, version = (*str(step["key"]).split(":"), "", "", "")[:4]
    return {**step, "role": role, "what": what, "version": int(version[1:]) if version[1:].isdigit() else 1}


def _versions(found: list[dict[str, Any]], asked: list[Approval]) -> list[Version]:
    """The newest first."""
    done = {one["key"]: one["result"] for one in found if one["state"] == "done" and one["result"]}
    by_site = {str(one.evidence.get("site", "")): one for one in asked}
    versions = []
    for key, result in done.items():
        if not key.startswith("build:developer:site:b"):
            continue
        number = key.rpartition(":b")[2]
        built, review = (
            Built.model_validate(json.loads(result)),
            done.get(f"quality:reviewer:review:b{number}"),
        )
        versions.append(
            Version(
                number=int(number),
                site=built.site_sha256,
                files=len(built.files),
                bytes=sum(file.bytes for file in built.files),
                review=Review.model_validate(json.loads(review)) if review else None,
                approval=by_site.get(built.site_sha256),
            )
        )
    return sorted(versions, key=lambda one: -one.number)


def read_papers(output: Path, client_id: str) -> dict[str, str]:
    """The project's documents that are there, by name."""
    found = {}
    for name in PAPERS:
        path = output / client_id / name
        try:
            with path.open("rb") as stream:
                found[name] = stream.read(_MOST_PAPER_BYTES).decode("utf-8", errors="replace")
        except OSError:
            continue
    return found
