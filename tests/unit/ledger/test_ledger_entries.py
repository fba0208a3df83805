"""Entries: what they move, what they count in budgets, and what their hash covers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from master.ledger.entries import (
    GENESIS,
    Entry,
    Kind,
    Posting,
    check_balanced,
    expenses,
    hash_entry,
    move,
    reserved,
    sums_of,
    undo,
    uses_of,
)
from tasks.errors import D8Error

ENTRY = Entry(
    kind=Kind.SETTLE,
    at=datetime(2026, 11, 21, 12, tzinfo=UTC),
    month="2026-11",
    approval_id="a",
    run_id="r",
    project="p",
    category="hosting",
    note="ñ",
    reference="f",
    by="b",
    details="{}",
    reverses=3,
    idempotency_key="k",
    postings=(
        *move("budget:free", reserved("hosting"), 1000, "EUR"),
        *move(expenses("hosting"), "assets:money", 900, "EUR"),
    ),
)

OTHER: dict[str, Any] = {
    "kind": Kind.EXPENSE,
    "at": datetime(2026, 11, 21, 12, 0, 0, 1, tzinfo=UTC),
    "reverses": None,
    "idempotency_key": None,
    "postings": ENTRY.postings[:2],
}


@pytest.mark.parametrize("field", sorted(Entry.model_fields))
def test_hash_covers_every_field_of_an_entry(field: str) -> None:
    changed = ENTRY.model_copy(update={field: OTHER.get(field, "x")})
    assert hash_entry(1, changed, GENESIS) != hash_entry(1, ENTRY, GENESIS)


def test_hash_covers_the_number_the_chain_and_the_order_of_postings() -> None:
    hashes = {
        hash_entry(1, ENTRY, GENESIS),
        hash_entry(2, ENTRY, GENESIS),
        hash_entry(1, ENTRY, "1" * 64),
        hash_entry(1, ENTRY.model_copy(update={"postings": ENTRY.postings[::-1]}), GENESIS),
    }
    assert len(hashes) == 4


def test_hash_stays_what_it_was_in_older_ledgers() -> None:
    """A changed canonical form would call every ledger in the world tampered with."""
    assert hash_entry(1, ENTRY, GENESIS) == PINNED


PINNED = "acbbafc1a1f8053789288c7faa536f0a58295b4d6ae4a894e1ccdacd92208b56"


def test_settling_frees_what_was_held_and_counts_what_was_spent() -> None:
    uses = [(use.category, use.held_minor, use.spent_minor) for use in uses_of(ENTRY)]
    assert uses == [("hosting", -1000, 900), ("", -1000, 900)]


def test_usage_counts_in_no_budget() -> None:
    usage = ENTRY.model_copy(update={"kind": Kind.USAGE})
    assert uses_of(usage) == []


def test_entry_that_makes_money_out_of_nothing_is_refused() -> None:
    check_balanced(ENTRY)
    dollars = Posting(account="assets:money", minor=100, currency="USD")
    with pytest.raises(D8Error, match="does not sum to zero"):
        check_balanced(ENTRY.model_copy(update={"postings": (*ENTRY.postings, dollars)}))


def test_undoing_moves_everything_back() -> None:
    both = (*ENTRY.postings, *undo(ENTRY.postings))
    for account in {posting.account for posting in both}:
        assert set(sums_of(posting for posting in both if posting.account == account).values()) == {0}


def test_moving_nothing_writes_nothing() -> None:
    assert move("a", "b", 0, "EUR") == ()
