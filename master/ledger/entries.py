"""One entry of the journal: what it says, what it moves, and the hash that chains it to the one before. Pure.

The hash is SHA-256 over a canonical JSON (sorted keys, no spaces, ASCII) of the entry, its postings and the
previous entry's hash: a change to any of them changes every hash from there on.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tasks.errors import D8Error
from tasks.record import Record

#: What the first entry is chained to.
GENESIS = "0" * 64

MONEY = "assets:money"
FREE = "budget:free"
RESERVED = "budget:reserved:"
EXPENSES = "expenses:"
INCOME = "income:"
ENERGY = "expenses:energy"
TOKENS = "expenses:tokens"
USAGE = "liabilities:usage"
#: The account's last part for what has no category.
_OTHER = "other"


class Kind(enum.StrEnum):
    RESERVE = "reserve"
    SETTLE = "settle"
    RELEASE = "release"
    EXPENSE = "expense"
    INCOME = "income"
    #: Energy and tokens of a run's steps.
    USAGE = "usage"
    REVERSAL = "reversal"


class Posting(Record):
    """A movement of one account; positive is a debit."""

    account: str
    minor: int
    currency: str


class Entry(Record):
    """What is written down at once. Empty texts for what does not apply."""

    kind: Kind
    at: datetime
    #: The month that it counts in: "2026-11".
    month: str
    approval_id: str = ""
    run_id: str = ""
    project: str = ""
    category: str = ""
    note: str = ""
    #: The invoice, the transfer: where the proof is.
    reference: str = ""
    by: str = ""
    #: JSON of what a usage entry counts in total; empty for all others.
    details: str = ""
    #: The entry that this one undoes.
    reverses: int | None = None
    #: Two records with one key are one entry.
    idempotency_key: str | None = None
    postings: tuple[Posting, ...]


class Use(Record):
    """How an entry changes what a month's budget has held and spent."""

    month: str
    category: str
    currency: str
    held_minor: int
    spent_minor: int


def reserved(category: str) -> str:
    return RESERVED + (category or _OTHER)


def expenses(category: str) -> str:
    return EXPENSES + (category or _OTHER)


def income(category: str) -> str:
    return INCOME + (category or _OTHER)


def move(to: str, out_of: str, minor: int, currency: str) -> tuple[Posting, ...]:
    """Two postings that carry an amount from one account to another; none for nothing."""
    if minor == 0:
        return ()
    return (
        Posting(account=to, minor=minor, currency=currency),
        Posting(account=out_of, minor=-minor, currency=currency),
    )


def undo(postings: Iterable[Posting]) -> tuple[Posting, ...]:
    return tuple(posting.model_copy(update={"minor": -posting.minor}) for posting in postings)


def sums_of(postings: Iterable[Posting]) -> dict[str, int]:
    """By currency; all zero in every sound entry."""
    sums: dict[str, int] = defaultdict(int)
    for posting in postings:
        sums[posting.currency] += posting.minor
    return dict(sums)


def check_balanced(entry: Entry) -> None:
    """``D8Error`` for an entry that would make money out of nothing."""
    if off := {currency: minor for currency, minor in sums_of(entry.postings).items() if minor}:
        raise D8Error(
            f"a ledger entry of kind {entry.kind} does not sum to zero ({off}): nothing was written"
        )


def uses_of(entry: Entry) -> list[Use]:
    """What the entry does to budgets: to its category's and to the overall one. Usage is what the owner's own
    machines cost; nobody approves it, so no budget counts it."""
    if entry.kind is Kind.USAGE:
        return []
    held: dict[str, int] = defaultdict(int)
    spent: dict[str, int] = defaultdict(int)
    for posting in entry.postings:
        if posting.account.startswith(RESERVED):
            held[posting.currency] += posting.minor
        elif posting.account.startswith(EXPENSES):
            spent[posting.currency] += posting.minor
    return [
        Use(
            month=entry.month,
            category=category,
            currency=currency,
            held_minor=held[currency],
            spent_minor=spent[currency],
        )
        for currency in sorted({*held, *spent})
        if held[currency] or spent[currency]
        for category in sorted({entry.category, ""}, reverse=True)
    ]


def hash_entry(seq: int, entry: Entry, previous_hash: str, at_s: float | None = None) -> str:
    """SHA-256 in hexadecimal. ``at_s`` is the time as it is stored, in seconds; by default the entry's."""
    fields: dict[str, Any] = {
        "seq": seq,
        "at_s": entry.at.timestamp() if at_s is None else at_s,
        "kind": str(entry.kind),
        "month": entry.month,
        "approval_id": entry.approval_id,
        "run_id": entry.run_id,
        "project": entry.project,
        "category": entry.category,
        "note": entry.note,
        "reference": entry.reference,
        "by": entry.by,
        "details": entry.details,
        "reverses": entry.reverses,
        "idempotency_key": entry.idempotency_key,
        "postings": [[posting.account, posting.minor, posting.currency] for posting in entry.postings],
        "previous_hash": previous_hash,
    }
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
