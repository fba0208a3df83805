"""What pages read of runs, requests and the ledger: bounded, in a stable order, the same on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from master.approvals import (
    ApprovalState,
    ApprovalType,
    Policy,
    Question,
    Voter,
    create_approval,
    decide,
    execute,
)
from master.approvals.history import (
    After as AfterRequest,
)
from master.approvals.history import (
    ApprovalFilter,
    count_by_state,
    find_decided,
    list_categories,
    list_happenings,
)
from master.approvals.store import get_approval
from master.events import record_event
from master.flows.shown import (
    After,
    RunFilter,
    count_runs,
    find_runs,
    find_step,
    group_steps,
    list_starters,
    read_attempts,
    read_group,
    read_log,
    read_steps,
)
from master.ledger.days import EntryFilter, find_entries, list_labels, spending_by_day
from master.ledger.entries import ENERGY, USAGE, Entry, Kind, move
from master.ledger.journal import append_entry
from master.ledger.money import parse_money
from master.ledger.movements import record_movement
from master.store.tables import attempts, outcomes, runs, steps
from tasks.errors import NotFound
from tests.integration.core.conftest import Bench

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ME = Voter(identity="token:me", name="me", door="test")


def put_run(c: Connection, run_id: str, *, minutes: int = 0, **values: Any) -> None:
    at = NOW + timedelta(minutes=minutes)
    known = {"flow": "noop", "params": {}, "state": "done", "woken_at": at, "created_at": at}
    c.execute(insert(runs).values(id=run_id, **{**known, **values}))


def put_steps(c: Connection, run_id: str, *states: str, stem: str = "s", first: int = 0) -> list[int]:
    """Steps ``stem:0``, ``stem:1``, ... in these states, asked for a second apart."""
    found = []
    for number, state in enumerate(states, start=first):
        at = NOW + timedelta(seconds=number)
        ended = at + timedelta(seconds=5) if state in ("done", "failed", "cancelled") else None
        values = {"run_id": run_id, "kind": "task", "task": "fleet.noop", "state": state, "created_at": at}
        query = insert(steps).values(key=f"{stem}:{number}", finished_at=ended, **values)
        found.append(c.execute(query.returning(steps.c.id)).scalar_one())
        if ended is not None:
            c.execute(
                insert(outcomes).values(step_id=found[-1], run_id=run_id, attempt=1, state=state, at=ended)
            )
    return found


def write(bench: Bench, function: Any) -> Any:
    with bench.database.write() as connection:
        return function(connection)


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [run["id"] for run in found]


def test_runs_are_found_by_what_is_known_of_them(bench: Bench) -> None:
    def put(c: Connection) -> None:
        put_run(c, "noop-a", minutes=1, params={"name": "Álba 100%"}, started_by="token:ana")
        put_run(c, "noop-b", minutes=2, state="failed")
        put_run(c, "client-c", minutes=3, flow="client", state="running")
        put_steps(c, "client-c", "done", "running", "ready", "ready")

    write(bench, put)

    def look(**wanted: Any) -> list[str]:
        return ids(bench.read(lambda c: find_runs(c, RunFilter(**wanted), limit=10)))

    assert look() == ["client-c", "noop-b", "noop-a"]
    assert look(state="failed") == ["noop-b"]
    assert look(flow="client") == ["client-c"]
    assert look(by="token:ana") == ["noop-a"]
    assert look(text="NOOP") == ["noop-b", "noop-a"]
    assert look(text="100%") == ["noop-a"]
    assert look(text="1%0") == [], "a percent sign stands for itself"
    assert look(since=NOW + timedelta(minutes=2), until=NOW + timedelta(minutes=3)) == ["noop-b"]
    counted = bench.read(lambda c: count_runs(c, RunFilter(state="failed", text="noop")))
    assert counted == {"done": 1, "failed": 1}, "the tabs count beside the state that is chosen"
    assert bench.read(list_starters) == (["client", "noop"], ["token:ana"])
    (open_run,) = bench.read(lambda c: find_runs(c, RunFilter(state="running"), limit=1))
    assert open_run["in_flight"] == {"ready": 2, "queued": 0, "running": 1}


def test_pages_of_runs_leave_none_out_though_many_are_equally_old(bench: Bench) -> None:
    def put(c: Connection) -> None:
        for number in range(7):
            put_run(c, f"noop-{number}", minutes=number // 4)

    write(bench, put)

    def look(after: After | None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = bench.read(lambda c: find_runs(c, RunFilter(), limit=2, after=after))
        return found

    seen: list[str] = []
    after = None
    for _ in range(4):
        found = look(after)
        seen += ids(found)
        after = After(created_at=found[-1]["created_at"], run_id=found[-1]["id"])
    assert seen == [f"noop-{number}" for number in (4, 5, 6, 0, 1, 2, 3)]


def test_steps_of_a_large_run_begin_with_what_failed_and_what_is_open(bench: Bench) -> None:
    def put(c: Connection) -> None:
        put_run(c, "noop-a")
        put_steps(c, "noop-a", "done", "failed", "done", "running", "done", "ready")

    write(bench, put)
    keys = [step["key"] for step in bench.read(lambda c: read_steps(c, "noop-a", limit=6))]
    assert keys == [f"s:{number}" for number in range(6)]
    keys = [step["key"] for step in bench.read(lambda c: read_steps(c, "noop-a", limit=4))]
    assert keys == ["s:1", "s:3", "s:5", "s:4"]
    keys = [step["key"] for step in bench.read(lambda c: read_group(c, "noop-a", "s:", limit=2))]
    assert keys == ["s:4", "s:5"]


def test_steps_are_grouped_by_what_their_keys_begin_with(bench: Bench) -> None:
    def put(c: Connection) -> None:
        put_run(c, "noop-a")
        put_steps(c, "noop-a", "done", "done", "failed", stem="evaluate:g0")
        put_steps(c, "noop-a", "running", stem="wish", first=9)
        (old,) = put_steps(c, "noop-a", "done", stem="plain", first=20)
        c.execute(steps.update().where(steps.c.id == old).values(key=f"plain#aside-{old}"))
        c.execute(steps.update().where(steps.c.key == "wish:9").values(key="wish"))

    write(bench, put)
    found = {group.stem: group for group in bench.read(lambda c: group_steps(c, "noop-a"))}
    assert list(found)[:2] == ["evaluate", "wish"]
    assert (found["evaluate"].counts, found["evaluate"].total) == ({"done": 2, "failed": 1}, 3)
    assert found["evaluate"].last_at == NOW + timedelta(seconds=7)
    assert (found["wish"].counts, found["wish"].last_at) == ({"running": 1}, None)
    aside = list(found.values())[2]
    assert (aside.total, aside.aside) == (0, 1)


def test_a_step_is_shown_with_its_request_result_and_tries(bench: Bench) -> None:
    def put(c: Connection) -> None:
        put_run(c, "noop-a")
        (step_id,) = put_steps(c, "noop-a", "done")
        c.execute(steps.update().where(steps.c.id == step_id).values(request='{"n": 1}', result='{"m": 2}'))
        for number in (2, 1):
            c.execute(
                insert(attempts).values(
                    step_id=step_id, attempt=number, worker="w", session="s", build="b",
                    claimed_at=NOW + timedelta(seconds=number), outcome="",
                )
            )  # fmt: skip

    write(bench, put)
    shown = bench.read(lambda c: find_step(c, "noop-a", "s:0"))
    assert (shown["request"], shown["result"]) == ({"n": 1}, {"m": 2})
    assert [each["attempt"] for each in shown["tries"]] == [1, 2]
    listed = bench.read(lambda c: read_attempts(c, "noop-a", steps_at_most=1))
    assert [(each["key"], each["attempt"]) for each in listed] == [("s:0", 1), ("s:0", 2)]
    with pytest.raises(NotFound, match="nowhere"):
        bench.read(lambda c: find_step(c, "noop-a", "nowhere"))


def test_the_log_goes_back_page_by_page(bench: Bench) -> None:
    def put(c: Connection) -> None:
        put_run(c, "noop-a")
        (step_id,) = put_steps(c, "noop-a", "done")
        for number in range(5):
            record_event(c, f"e{number}", NOW, run_id="noop-a", step_id=step_id if number == 4 else None)
        record_event(c, "other", NOW, run_id="noop-b")

    write(bench, put)
    first = bench.read(lambda c: read_log(c, "noop-a", limit=3))
    assert [(event["name"], event["step"]) for event in first] == [("e4", "s:0"), ("e3", ""), ("e2", "")]
    rest = bench.read(lambda c: read_log(c, "noop-a", limit=3, before=first[-1]["seq"]))
    assert [event["name"] for event in rest] == ["e1", "e0"]


def ask(bench: Bench, title: str, **more: Any) -> str:
    def put(c: Connection) -> str:
        run_id = f"noop-{title}"
        put_run(c, run_id, state="waiting")
        (step_id,) = put_steps(c, run_id, "waiting", stem="ask")
        question = Question(type=ApprovalType.PAYMENT, title=title, reason="Because.", **more)
        return create_approval(
            c, question, run_id=run_id, step_id=step_id, step_key="ask:0", policy=Policy(), now=bench.now
        )

    approval_id: str = write(bench, put)
    return approval_id


def answer(bench: Bench, approval_id: str, *, yes: bool, note: str = "") -> None:
    bench.write(decide, approval_id, approve=yes, voter=ME, policy=Policy(), note=note)


def test_decided_requests_are_found_and_paged(bench: Bench) -> None:
    asked = [ask(bench, f"q{number}", category="hosting" if number else "domains") for number in range(4)]
    for number, approval_id in enumerate(asked[:3]):
        bench.pass_by(60 if number == 2 else 0)
        answer(bench, approval_id, yes=number != 2, note="too dear")

    def look(limit: int = 10, after: AfterRequest | None = None, **wanted: Any) -> list[str]:
        found = bench.read(lambda c: find_decided(c, ApprovalFilter(**wanted), limit=limit, after=after))
        return [one.id for one in found]

    both = sorted(asked[:2])
    assert look() == [asked[2], *both], "what waits is not among them"
    assert look(states=(ApprovalState.REJECTED,)) == [asked[2]]
    assert look(category="domains") == [asked[0]]
    assert look(text="TOO DEAR", category="hosting") == [asked[2], asked[1]]
    last = bench.read(lambda c: get_approval(c, both[0]))
    assert look(after=AfterRequest(decided_at=last.decided_at, approval_id=last.id)) == [both[1]]
    counts = bench.read(count_by_state)
    assert (
        counts[ApprovalState.PENDING],
        counts[ApprovalState.APPROVED],
        counts[ApprovalState.REJECTED],
    ) == (1, 2, 1)
    assert bench.read(list_categories) == ["domains", "hosting"]
    happened = bench.read(lambda c: list_happenings(c, get_approval(c, asked[2])))
    assert [event["name"] for event in happened] == ["approval_decided", "approval_requested"]


def test_what_was_paid_is_counted_on_the_owners_day(bench: Bench) -> None:
    first = ask(bench, "first", cost_minor=1500, category="hosting")
    answer(bench, first, yes=True)
    bench.write(execute, first, actual=None, voter=ME, reference="F-1", note="")
    for amount, category in (("2.50 EUR", "ads"), ("7.00 USD", "ads")):
        bench.write(
            record_movement, kind="expense", amount=parse_money(amount), category=category, project="p",
            month="2026-11", note="by hand", reference=f"R-{amount}", by="me", run_id="",
        )  # fmt: skip
    energy = Entry(
        kind=Kind.USAGE, at=bench.now, month="2026-11", details="{}", postings=move(ENERGY, USAGE, 33, "EUR")
    )
    write(bench, lambda c: append_entry(c, energy))

    def day_before(moment: datetime) -> date:
        return (moment - timedelta(hours=1)).date()

    found = bench.read(lambda c: spending_by_day(c, "2026-11", day_before))
    assert [(one.currency, one.days) for one in found] == [
        ("EUR", {date(2026, 11, 20): {"hosting": 1500, "ads": 250}}),
        ("USD", {date(2026, 11, 20): {"ads": 700}}),
    ]
    assert (found[0].categories, found[0].total_minor) == (["hosting", "ads"], 1750)
    assert bench.read(lambda c: spending_by_day(c, "2026-10", day_before)) == []


def test_entries_are_found_by_what_they_say(bench: Bench) -> None:
    approval_id = ask(bench, "first", cost_minor=1500, category="hosting", project="client:alba")
    answer(bench, approval_id, yes=True)
    bench.write(execute, approval_id, actual=None, voter=ME, reference="F-1", note="")

    def look(limit: int = 10, before: int | None = None, **wanted: str) -> list[int]:
        found = bench.read(lambda c: find_entries(c, EntryFilter(**wanted), limit=limit, before=before))
        return [one.seq for one in found]

    assert look() == [2, 1]
    assert look(kind="settle") == [2]
    assert look(project="client:alba", month="2026-11") == [2, 1]
    assert look(month="2026-10") == []
    assert look(text="f-1") == [2]
    assert look(approval_id=approval_id, before=2) == [1]
    assert bench.read(list_labels)[1:] == (["client:alba"], ["hosting"])
