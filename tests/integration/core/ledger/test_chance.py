"""The ledger under chance: against a model, from several processes at once, and with every row tampered with."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import Table, delete, select, update
from sqlalchemy.exc import IntegrityError

from master.capabilities import load_capabilities
from master.dispatch.claims import record_report
from master.ledger import (
    BudgetLine,
    Money,
    has_room,
    post_costs,
    record_movement,
    release,
    reserve,
    reverse,
    settle,
    verify_ledger,
)
from master.ledger.prices import Prices
from master.ledger.report import balance, budget_uses, list_entries
from master.ledger.tables import ledger_entries, ledger_head, ledger_postings, ledger_reservations
from master.store import Database
from master.store.migrate import migrate
from tasks.errors import Refused
from tests.integration.core.conftest import Bench, result_of
from tests.ledger_play import TABLES, change, play, play_together, replay, tamperings

NOW = datetime(2026, 11, 21, tzinfo=UTC)
APPROVALS = st.sampled_from("abcdef")
AMOUNTS = st.integers(min_value=1, max_value=900)
LINES = (
    BudgetLine(category="hosting", currency="EUR", month_minor=1000),
    BudgetLine(category="", currency="EUR", month_minor=1500),
)


class Model:
    """What the ledger is meant to do, in few lines: what is held for whom, what is spent, what can be undone."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[str, int]] = {}
        self.known: set[str] = set()
        self.spent = {"hosting": 0, "ads": 0}
        self.income = 0
        self.paid: dict[int, tuple[str, int]] = {}
        self.entries = 0

    def use(self, category: str) -> int:
        held = sum(minor for of, minor in self.held.values() if category in (of, ""))
        return held + sum(minor for of, minor in self.spent.items() if category in (of, ""))

    def fits(self, category: str, minor: int) -> bool:
        own = category != "hosting" or self.use("hosting") + minor <= 1000
        return own and self.use("") + minor <= 1500

    def pay(self, category: str, minor: int) -> None:
        self.spent[category] += minor
        self.entries += 1
        self.paid[self.entries] = (category, minor)


class LedgerMachine(RuleBasedStateMachine):
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        # One transaction for all, which nobody commits: the next example finds the database empty.
        self.context = self.database.write()
        self.connection = self.context.__enter__()

    def _refused(self, expected: bool, function: Any, *arguments: Any, **named: Any) -> Any:
        if expected:
            with pytest.raises(Refused):
                function(self.connection, *arguments, now=NOW, **named)
            return None
        return function(self.connection, *arguments, now=NOW, **named)

    @rule(approval=APPROVALS, category=st.sampled_from(["hosting", "ads"]), minor=AMOUNTS)
    def reserving(self, approval: str, category: str, minor: int) -> None:
        model, amount = self.model, Money(minor=minor, currency="EUR")
        fits = model.fits(category, minor)
        assert fits == has_room(
            self.connection, category=category, amount=amount, month="2026-11", budgets=LINES
        )
        same = model.held.get(approval) == (category, minor)
        self._refused(
            not same and (approval in model.known or not fits),
            reserve,
            approval_id=approval,
            run_id="",
            project="",
            category=category,
            amount=amount,
            month="2026-11",
            budgets=LINES,
            note="",
        )
        if approval not in model.known and fits:
            model.known.add(approval)
            model.held[approval] = (category, minor)
            model.entries += 1

    @rule(approval=APPROVALS, minor=AMOUNTS)
    def settling(self, approval: str, minor: int) -> None:
        category, reserved = self.model.held.get(approval, ("", 0))
        refused = minor > reserved
        named = {"actual": Money(minor=minor, currency="EUR"), "reference": f"{self.model.entries}"}
        self._refused(refused, settle, approval, note="", by="", **named)
        if not refused:
            del self.model.held[approval]
            self.model.pay(category, minor)

    @rule(approval=APPROVALS)
    def releasing(self, approval: str) -> None:
        release(self.connection, approval, reason="", now=NOW)
        self.model.entries += self.model.held.pop(approval, None) is not None

    @rule(minor=AMOUNTS, kind=st.sampled_from(["expense", "income"]))
    def recording(self, minor: int, kind: Any) -> None:
        record_movement(
            self.connection, kind=kind, amount=Money(minor=minor, currency="EUR"), category="ads",
            project="", run_id="", note="", reference="", by="", now=NOW,
        )  # fmt: skip
        if kind == "expense":
            self.model.pay("ads", minor)
        else:
            self.model.income += minor
            self.model.entries += 1

    @rule(at=st.integers(min_value=0, max_value=30))
    def reversing(self, at: int) -> None:
        seqs = sorted(self.model.paid)
        if not seqs:
            return
        seq = seqs[at % len(seqs)]
        category, minor = self.model.paid.pop(seq)
        reverse(self.connection, seq, reason="wrong", by="", now=NOW)
        self._refused(True, reverse, seq, reason="wrong", by="")
        self.model.spent[category] -= minor
        self.model.entries += 1

    @invariant()
    def books_are_those_of_the_model(self) -> None:
        uses = budget_uses(self.connection, LINES, "2026-11")
        assert [use.held_minor + use.spent_minor for use in uses] == [
            self.model.use(line.category) for line in LINES
        ]
        sums = {each.account: each.minor for each in balance(self.connection)}
        assert sum(sums.values()) == 0
        assert sums.get("assets:money", 0) == self.model.income - sum(self.model.spent.values())
        assert -sums.get("budget:free", 0) == sum(minor for _, minor in self.model.held.values())

    def teardown(self) -> None:
        found = verify_ledger(self.connection)
        self.connection.get_transaction().rollback()  # type: ignore[union-attr]
        self.context.__exit__(None, None, None)
        assert (found.sound, found.entries) == (True, self.model.entries), found


def test_ledger_does_what_its_model_does(tmp_path: Path) -> None:
    load_capabilities()
    made = Database(f"sqlite:///{tmp_path / 'model.sqlite3'}")
    migrate(made)
    LedgerMachine.database = made
    case = LedgerMachine.TestCase()
    case.settings = settings(max_examples=40, stateful_step_count=40, deadline=None, database=None)
    case.runTest()
    made.close()


def test_random_work_of_several_processes_keeps_sums_and_budgets(database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)
    done = play_together(url, processes=2, operations=1600)
    assert done["reserve refused: BudgetExceeded"] > 50, done
    with database.read() as connection:
        found, checked = replay(connection), verify_ledger(connection)
    assert (found.sum_errors, found.budgets_exceeded) == (0, 0)
    assert found.fullest_pct > 90, "the budgets were never at stake"
    assert (checked.sound, checked.entries) == (True, found.entries), checked
    assert found.entries > 300


@pytest.fixture
def played(bench: Bench) -> Database:
    """A ledger with entries of every kind, the costs of a run among them."""
    run_id = bench.start(steps=1)
    ticket = bench.publish()[0].ticket
    grant = bench.granted(ticket)
    bench.pass_by(3600)
    report = result_of(grant).model_copy(update={"usage": {"prompt_tokens": 10, "seconds": 1.5}})
    bench.write(record_report, report)
    bench.engine.advance(run_id)
    with bench.database.write() as connection:
        assert post_costs(connection, PRICES, bench.now) == 1
    play(bench.database.url.render_as_string(hide_password=False), 7, 150)
    return bench.database


PRICES = Prices.model_validate({"currency": "EUR", "kwh": "0.25", "watts": "300"})


def changed_and_found(
    played: Database, chance: random.Random, table: Table, column: Any, row: Any
) -> tuple[str, bool]:
    """Change the value behind the ledger's back, verify, and take it back. Values that a key forbids are tried
    again with others."""
    while True:
        with played.engine.connect() as connection, connection.begin() as transaction:
            # SQLAlchemy leaves that to us (see master.store.database).
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            try:
                what = change(connection, chance, table, column, row)
            except IntegrityError:
                continue
            sound = verify_ledger(connection).sound
            transaction.rollback()
            return what, not sound


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_change_of_any_column_of_any_table_is_found(played: Database) -> None:
    chance, missed, tried = random.Random(1), [], set()
    for table, column in [(each, column) for each in TABLES for column in each.c]:
        with played.read() as connection:
            rows = connection.execute(select(table)).all()
        for row in chance.sample(list(rows), min(3, len(rows))):
            what, found = changed_and_found(played, chance, table, column, row)
            tried.add((table.name, column.name))
            if not found:
                missed.append(what)
    assert missed == []
    assert len(tried) == sum(len(table.c) for table in TABLES)


def test_random_tampering_is_found(played: Database) -> None:
    assert [done for done, found in tamperings(played, random.Random(2), 120) if not found] == []
    with played.read() as connection:
        assert verify_ledger(connection).sound, "the tampering was undone"


def test_cutting_off_the_end_with_its_head_is_found_by_a_noted_hash(played: Database) -> None:
    """Everything fits together then; only what was noted elsewhere shows it."""

    def last(connection: Any) -> Any:
        return list_entries(connection, newest=True, limit=2)

    with played.write() as connection:
        record_movement(
            connection, kind="income", amount=Money(minor=5, currency="USD"), category="", project="",
            run_id="", note="", reference="", by="", now=NOW,
        )  # fmt: skip
    with played.write() as connection:
        newest, before = last(connection)
        connection.execute(delete(ledger_postings).where(ledger_postings.c.seq == newest.seq))
        connection.execute(delete(ledger_entries).where(ledger_entries.c.seq == newest.seq))
        connection.execute(update(ledger_head).values(seq=before.seq, hash=before.hash))
    with played.read() as connection:
        assert verify_ledger(connection).sound
        assert not verify_ledger(connection, head=newest.hash).sound
        assert connection.execute(select(ledger_reservations)).first() is not None
