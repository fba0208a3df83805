"""Whether the ledger is what was written: everything is computed again from the entries.

The chain shows any change, insertion, removal or exchange of entries and postings; reservations, budgets and
costs are derived again and compared. Who can rewrite the whole database can also compute a new chain: against
that helps a head noted elsewhere, which must still be in the chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Float, Row, select, type_coerce

from master.ledger.derive import Derived
from master.ledger.entries import GENESIS, Entry, hash_entry, sums_of
from master.ledger.journal import to_entry, to_posting
from master.ledger.tables import ledger_entries, ledger_head, ledger_postings
from tasks.record import Record

_PAGE = 1000


class Verification(Record):
    """What was found."""

    sound: bool
    #: Entries that are in order.
    entries: int
    #: Hash of the last of them.
    head: str
    #: The first entry that is wrong; 0 when none is, or when what is wrong belongs to none.
    first_wrong_seq: int = 0
    problem: str = ""


class _Wrong(Exception):
    def __init__(self, seq: int, problem: str) -> None:
        self.seq, self.problem = seq, problem


def verify_ledger(connection: Connection, *, head: str = "") -> Verification:
    """Check every row. ``head`` is a hash noted before: the entry that had it must still be there.

    The connection needs one view of the database for all of its reads (``one_view``).
    """
    derived = Derived()
    seq, previous, noted = 0, GENESIS, head in ("", GENESIS)
    try:
        for row, postings in _rows(connection):
            entry = _check(row, postings, seq + 1, previous)
            derived.add(row.seq, entry)
            seq, previous = row.seq, row.hash
            noted = noted or previous == head
        _check_head(connection, seq, previous)
        if wrong := derived.find_difference(connection):
            raise _Wrong(*wrong)
    except _Wrong as wrong_:
        return Verification(
            sound=False, entries=seq, head=previous, first_wrong_seq=wrong_.seq, problem=wrong_.problem
        )
    if not noted:
        return Verification(
            sound=False,
            entries=seq,
            head=previous,
            problem=f"no entry has the hash {head[:64]} that was noted: entries were rewritten or cut off since then",
        )
    return Verification(sound=True, entries=seq, head=previous)


def verify_newest(connection: Connection, most: int = 200) -> str:
    """The chain of the newest entries and the head, in a moment; what is wrong, or "". What lies before, and
    what is derived, only ``verify_ledger`` sees."""
    at_s = type_coerce(ledger_entries.c.at, Float(53)).label("at_s")
    entries = connection.execute(
        select(ledger_entries, at_s).order_by(ledger_entries.c.seq.desc()).limit(most)
    ).all()[::-1]
    if not entries:
        seq, previous = 0, GENESIS
    else:
        seq, previous = entries[0].seq - 1, entries[0].previous_hash
    postings = select(ledger_postings).where(ledger_postings.c.seq > seq)
    of_entry: dict[int, list[Row[Any]]] = {}
    for posting in connection.execute(postings.order_by(ledger_postings.c.seq, ledger_postings.c.number)):
        of_entry.setdefault(posting.seq, []).append(posting)
    try:
        for row in entries:
            _check(row, of_entry.get(row.seq, []), seq + 1, previous)
            seq, previous = row.seq, row.hash
        _check_head(connection, seq, previous)
    except _Wrong as wrong:
        return wrong.problem
    return ""


def one_view(connection: Connection) -> None:
    """All further reads of this transaction see one moment. Call it first in a read."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _rows(connection: Connection) -> Iterator[tuple[Row[Any], list[Row[Any]]]]:
    """Entries in order, each with its postings, a page at a time. ``_Wrong`` for postings without an entry."""
    at_s = type_coerce(ledger_entries.c.at, Float(53)).label("at_s")
    last: int | None = None
    while True:
        entries = select(ledger_entries, at_s).order_by(ledger_entries.c.seq).limit(_PAGE)
        postings = select(ledger_postings).order_by(ledger_postings.c.seq, ledger_postings.c.number)
        if last is not None:
            entries = entries.where(ledger_entries.c.seq > last)
            postings = postings.where(ledger_postings.c.seq > last)
        page = connection.execute(entries).all()
        if page:
            postings = postings.where(ledger_postings.c.seq <= page[-1].seq)
        of_entry: dict[int, list[Row[Any]]] = {}
        for posting in connection.execute(postings):
            of_entry.setdefault(posting.seq, []).append(posting)
        for row in page:
            yield row, of_entry.pop(row.seq, [])
        if of_entry:
            raise _Wrong(
                min(of_entry), f"there are postings of an entry {min(of_entry)}, which does not exist"
            )
        if not page:
            return
        last = page[-1].seq


def _check(row: Row[Any], postings: list[Row[Any]], seq: int, previous: str) -> Entry:
    if row.seq != seq:
        raise _Wrong(seq, f"entry {seq} is missing: the next one after it is {row.seq}")
    if [posting.number for posting in postings] != list(range(len(postings))):
        raise _Wrong(seq, f"the postings of entry {seq} are not numbered 0, 1, 2, ...")
    try:
        entry = to_entry(row, [to_posting(posting) for posting in postings])
    except ValueError as error:
        raise _Wrong(seq, f"entry {seq} holds what no entry can ({str(error).splitlines()[0]})") from None
    if row.previous_hash != previous:
        raise _Wrong(seq, f"entry {seq} does not follow the entry before it: one of the two was changed")
    if hash_entry(seq, entry, previous, row.at_s) != row.hash:
        raise _Wrong(seq, f"entry {seq} or its postings were changed: its hash is not that of what it says")
    if off := {currency: minor for currency, minor in sums_of(entry.postings).items() if minor}:
        raise _Wrong(seq, f"the postings of entry {seq} do not sum to zero: {off}")
    return entry


def _check_head(connection: Connection, seq: int, digest: str) -> None:
    heads = connection.execute(select(ledger_head)).all()
    if not heads and seq == 0:
        return
    if len(heads) != 1 or (heads[0].id, heads[0].seq, heads[0].hash) != (1, seq, digest):
        raise _Wrong(
            seq + 1, f"the head does not name entry {seq} as the newest: entries after it were cut off"
        )
