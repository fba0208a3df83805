"""The ledger on both databases: spending in two phases, movements, corrections."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, update

from master.ledger import (
    BudgetExceeded,
    BudgetLine,
    Money,
    has_room,
    record_movement,
    release,
    reserve,
    reverse,
    settle,
)
from master.ledger.report import balance, budget_uses, list_entries, month_report, read_head
from master.ledger.tables import ledger_entries
from master.ledger.verify import Verification, one_view, verify_ledger
from master.store import Database
from tasks.errors import InvalidInput, MoveNotAllowed, NotFound, Refused

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MONTH = "2026-11"
LINES = (
    BudgetLine(category="hosting", currency="EUR", month_minor=5000),
    BudgetLine(category="", currency="EUR", month_minor=8000),
)


def eur(minor: int) -> Money:
    return Money(minor=minor, currency="EUR")


class Books:
    """The ledger of one database, each call a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def do(self, function: Any, *arguments: Any, **named: Any) -> Any:
        with self.database.write() as connection:
            return function(connection, *arguments, now=NOW, **named)

    def reserve(self, approval: str, minor: int, category: str = "hosting", **named: Any) -> None:
        given = {
            "run_id": "r",
            "project": "client:alba",
            "amount": eur(minor),
            "month": MONTH,
            "budgets": LINES,
            "note": "",
        }
        self.do(reserve, approval_id=approval, category=category, **{**given, **named})

    def settle(self, approval: str, minor: int, reference: str = "F-1", currency: str = "EUR") -> None:
        actual = Money(minor=minor, currency=currency)
        self.do(settle, approval, actual=actual, reference=reference, note="paid", by="ana")

    def release(self, approval: str) -> None:
        self.do(release, approval, reason="rejected")

    def record(self, kind: str, minor: int, **named: Any) -> int:
        given = {"category": "hosting", "project": "client:alba", "run_id": "", "note": "", "reference": ""}
        seq: int = self.do(record_movement, kind=kind, amount=eur(minor), by="ana", **{**given, **named})
        return seq

    def reverse(self, seq: int, **named: Any) -> int:
        undoing: int = self.do(reverse, seq, reason="a mistake", by="ana", **named)
        return undoing

    def read(self, function: Any, *arguments: Any, **named: Any) -> Any:
        with self.database.read() as connection:
            return function(connection, *arguments, **named)

    def room(self, minor: int, category: str = "hosting") -> bool:
        found: bool = self.read(has_room, category=category, amount=eur(minor), month=MONTH, budgets=LINES)
        return found

    def use(self) -> list[tuple[int, int]]:
        """Held and spent of the hosting line and of the overall one."""
        uses = self.read(budget_uses, LINES, MONTH)
        return [(use.held_minor, use.spent_minor) for use in uses]

    def balances(self) -> dict[str, int]:
        return {each.account: each.minor for each in self.read(balance) if each.minor}

    def verify(self, head: str = "") -> Verification:
        def check(connection: Connection) -> Verification:
            one_view(connection)
            return verify_ledger(connection, head=head)

        found: Verification = self.read(check)
        return found


@pytest.fixture
def books(database: Database) -> Books:
    return Books(database)


def test_reserved_money_is_settled_with_less_and_the_rest_is_free_again(books: Books) -> None:
    books.reserve("a", 3000)
    assert books.balances() == {"budget:reserved:hosting": 3000, "budget:free": -3000}
    assert books.use() == [(3000, 0), (3000, 0)]
    books.settle("a", 2500)
    assert books.balances() == {"expenses:hosting": 2500, "assets:money": -2500}
    assert books.use() == [(0, 2500), (0, 2500)]
    assert books.verify().sound


def test_released_money_is_free_again(books: Books) -> None:
    books.reserve("a", 5000)
    assert not books.room(1)
    books.release("a")
    assert books.room(5000)
    assert books.balances() == {}


def test_budget_without_room_refuses_and_says_all_figures(books: Books) -> None:
    books.reserve("a", 3000)
    books.settle("a", 1500)
    books.reserve("b", 1000)
    with pytest.raises(BudgetExceeded) as refused:
        books.reserve("c", 2501)
    text = str(refused.value)
    for part in (
        "'hosting'",
        "2026-11",
        "25.01 EUR",
        "limit is 50.00",
        "15.00 EUR are spent",
        "10.00 EUR reserved",
    ):
        assert part in text
    books.reserve("d", 2500)
    assert books.use()[0] == (3500, 1500)


def test_overall_line_counts_all_categories_and_nothing_is_half_reserved(books: Books) -> None:
    books.reserve("a", 4000, "ads")
    with pytest.raises(BudgetExceeded, match="everything together"):
        books.reserve("b", 4001)
    assert books.use() == [(0, 0), (4000, 0)]
    assert books.room(4000)
    assert not books.room(4001)


def test_refused_reservation_leaves_nothing_though_its_transaction_goes_on(books: Books) -> None:
    with books.database.write() as connection:
        for approval, minor in (("a", 5001), ("b", 5000)):
            try:
                reserve(
                    connection,
                    approval_id=approval,
                    run_id="",
                    project="",
                    category="hosting",
                    amount=eur(minor),
                    month=MONTH,
                    budgets=LINES,
                    note="",
                    now=NOW,
                )
            except BudgetExceeded:
                assert approval == "a"
    assert books.use() == [(5000, 0), (5000, 0)]
    assert books.verify() == Verification(sound=True, entries=1, head=books.read(read_head)[1])


def test_each_month_has_a_budget_of_its_own(books: Books) -> None:
    books.reserve("a", 5000)
    books.reserve("b", 5000, month="2026-12")
    with pytest.raises(BudgetExceeded):
        books.reserve("c", 1, month="2026-12")


def test_reserving_again_changes_nothing_and_another_amount_is_refused(books: Books) -> None:
    books.reserve("a", 3000)
    books.reserve("a", 3000)
    assert books.read(read_head)[0] == 1
    with pytest.raises(Refused, match="takes a new request"):
        books.reserve("a", 2000)
    books.release("a")
    with pytest.raises(Refused, match="released"):
        books.reserve("a", 3000)


def test_nothing_is_reserved_for_a_request_without_a_cost(books: Books) -> None:
    books.reserve("a", 0)
    assert books.read(read_head)[0] == 0
    with pytest.raises(Refused, match="nothing is reserved"):
        books.settle("a", 0)


def test_settling_twice_counts_once_and_otherwise_is_refused(books: Books) -> None:
    books.reserve("a", 3000)
    books.settle("a", 2500)
    books.settle("a", 2500)
    assert books.use()[0] == (0, 2500)
    with pytest.raises(MoveNotAllowed, match="reversed"):
        books.settle("a", 2400)
    with pytest.raises(Refused, match="another reference"):
        books.settle("a", 2500, "F-2")


def test_more_than_reserved_or_another_currency_cannot_be_settled(books: Books) -> None:
    books.reserve("a", 3000)
    with pytest.raises(Refused, match=r"30\.00 EUR and cannot be settled with 30\.01 EUR"):
        books.settle("a", 3001)
    with pytest.raises(Refused, match="in EUR"):
        books.settle("a", 10, currency="USD")
    with pytest.raises(InvalidInput):
        books.settle("a", -1)
    assert books.use()[0] == (3000, 0)


def test_released_is_never_settled_and_settled_is_never_released(books: Books) -> None:
    books.reserve("a", 1000)
    books.release("a")
    with pytest.raises(MoveNotAllowed, match="released"):
        books.settle("a", 1000)
    books.reserve("b", 1000)
    books.settle("b", 1000)
    books.release("b")
    books.release("unknown")
    assert books.use()[0] == (0, 1000)
    assert books.verify().entries == 4


def test_recorded_expense_counts_in_its_budget_even_beyond_it(books: Books) -> None:
    books.record("expense", 6000)
    assert books.use() == [(0, 6000), (0, 6000)]
    assert not books.room(1)
    with pytest.raises(BudgetExceeded, match=r"so 0\.00 EUR are left"):
        books.reserve("a", 1)


def test_reversal_gives_the_month_back_what_it_spent_once(books: Books) -> None:
    books.reserve("a", 3000)
    books.settle("a", 3000)
    books.reverse(2)
    assert books.use() == [(0, 0), (0, 0)]
    assert books.balances() == {}
    with pytest.raises(Refused, match="reversed by entry 3 already"):
        books.reverse(2)
    with pytest.raises(Refused, match="kind reversal"):
        books.reverse(3)
    with pytest.raises(Refused, match="reject or abandon"):
        books.reverse(1)
    with pytest.raises(NotFound):
        books.reverse(99)
    assert books.verify().sound


def test_same_idempotency_key_records_once(books: Books) -> None:
    first = books.record("income", 9900, idempotency_key="k")
    assert books.record("income", 9900, idempotency_key="k") == first
    with pytest.raises(Refused, match="used for ledger entry 1"):
        books.record("income", 9901, idempotency_key="k")
    undone = books.reverse(first, idempotency_key="k2")
    assert books.reverse(first, idempotency_key="k2") == undone


@pytest.mark.parametrize("minor", [0, -5])
def test_movement_of_nothing_or_less_is_refused(books: Books, minor: int) -> None:
    with pytest.raises(InvalidInput, match="more than 0"):
        books.record("income", minor)


def test_report_knows_margin_return_and_payback_of_a_project(books: Books) -> None:
    books.record("expense", 1000, month="2026-09")
    books.record("income", 700, month="2026-10", category="sales")
    books.record("income", 500, category="sales")
    books.record("expense", 100)
    report = books.read(month_report, LINES, MONTH)
    (project,) = report.projects
    assert (project.project, project.income_minor, project.expense_minor) == ("client:alba", 500, 100)
    assert project.margin_minor == 400
    assert project.all_time.profit_minor == 100
    assert project.all_time.roi_pct == 9.1
    assert project.all_time.payback_months == 3
    assert report.months == ("2026-11", "2026-10", "2026-09")
    assert {each.account: each.minor for each in report.accounts} == {
        "expenses:hosting": 100,
        "income:sales": -500,
    }


def test_entries_are_paged_by_number(books: Books) -> None:
    for minor in range(1, 6):
        books.record("income", minor)
    pages = [[e.seq for e in books.read(list_entries, after=after, limit=2)] for after in (0, 2, 4, 5)]
    assert pages == [[1, 2], [3, 4], [5], []]
    assert [e.seq for e in books.read(list_entries, newest=True, limit=2)] == [5, 4]


def test_concurrent_approvals_never_exceed_a_budget(books: Books) -> None:
    """Eight at a time ask for a quarter of what is there: four get it."""
    gate, granted, refused = threading.Barrier(8), [], []

    def ask(number: int) -> None:
        gate.wait()
        try:
            books.reserve(f"a{number}", 1250)
            granted.append(number)
        except BudgetExceeded:
            refused.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(granted), len(refused)) == (4, 4)
    assert books.use()[0] == (5000, 0)
    assert books.verify().entries == 4


def test_of_settling_and_releasing_at_once_one_wins(books: Books) -> None:
    books.reserve("a", 1000)
    gate, settled = threading.Barrier(2), []

    def pay() -> None:
        gate.wait()
        try:
            books.settle("a", 1000)
            settled.append(True)
        except MoveNotAllowed:
            settled.append(False)

    def give_back() -> None:
        gate.wait()
        books.release("a")

    threads = [threading.Thread(target=pay), threading.Thread(target=give_back)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert books.use()[0] == ((0, 1000) if settled[0] else (0, 0))
    assert books.verify() == Verification(sound=True, entries=2, head=books.read(read_head)[1])


def test_noted_head_shows_that_the_chain_was_rewritten_or_cut(books: Books) -> None:
    books.record("income", 100)
    noted = books.read(read_head)[1]
    books.record("income", 200)
    assert books.verify(noted).sound
    assert not books.verify("f" * 64).sound
    assert "rewritten or cut off" in books.verify("f" * 64).problem


def test_tampered_amount_is_found_at_its_entry(books: Books) -> None:
    for minor in (100, 200, 300):
        books.record("income", minor)
    with books.database.write() as connection:
        connection.execute(update(ledger_entries).where(ledger_entries.c.seq == 2).values(note="changed"))
    found = books.verify()
    assert (found.sound, found.first_wrong_seq, found.entries) == (False, 2, 1)
    assert books.read(lambda c: c.execute(select(func.count()).select_from(ledger_entries)).scalar()) == 3
