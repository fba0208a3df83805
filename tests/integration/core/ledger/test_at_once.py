"""Several at the same time."""

from __future__ import annotations

import threading

from master.ledger import BudgetExceeded
from master.ledger.report import read_head
from master.ledger.verify import Verification
from tasks.errors import MoveNotAllowed
from tests.integration.core.ledger.books import Books


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
