"""What was changed behind the ledger's back is found."""

from __future__ import annotations

from sqlalchemy import func, select, update

from master.ledger.report import read_head
from master.ledger.tables import ledger_entries
from tests.integration.core.ledger.books import Books


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
