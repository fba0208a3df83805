"""What something cost, as people type it on a phone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.ledger.money import Money
from master.telegram.amounts import Doing, read_doing
from master.telegram.months import find_month
from tasks.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "currency", "minor", "reference"),
    [
        ("12,50", "EUR", 1250, ""),
        ("12.50 F-2026-11", "EUR", 1250, "F-2026-11"),
        ("12,5 EUR factura 7", "EUR", 1250, "factura 7"),
        ("12.50€ F1", "EUR", 1250, "F1"),
        ("12EUR", "EUR", 1200, ""),
        ("1.234,50", "EUR", 123450, ""),
        ("1,234.50 ok", "EUR", 123450, "ok"),
        ("1.234.567", "EUR", 123456700, ""),
        ("0", "EUR", 0, ""),
        ("$9.990 boleta 12", "CLP", 9990, "boleta 12"),
        ("9990 clp", "CLP", 9990, ""),
        ("1.000.000", "CLP", 1000000, ""),
        ("1,234", "KWD", 1234, ""),
        ("12.50  ABC", "EUR", 1250, "ABC"),
    ],
)
def test_a_cost_and_a_reference_are_read(text: str, currency: str, minor: int, reference: str) -> None:
    read = read_doing(text, cost_minor=10**9, currency=currency)
    assert read == Doing(actual=Money(minor=minor, currency=currency), reference=reference)


def test_another_currency_is_kept_so_that_it_can_be_refused() -> None:
    read = read_doing("12.50 USD F1", cost_minor=1250, currency="EUR")
    assert read.actual == Money(minor=1250, currency="USD")


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("", "EUR"),
        ("F-2026", "EUR"),
        ("1.234", "EUR"),
        ("1,234", "EUR"),
        ("12.505", "EUR"),
        ("12.5", "CLP"),
        ("12.50", "CLP"),
        ("1.23.456", "EUR"),
        ("12,50,", "EUR"),
        ("-5", "EUR"),
        ("1e3", "EUR"),
        ("١٢", "EUR"),
    ],
)
def test_what_is_no_amount_or_two_is_refused(text: str, currency: str) -> None:
    with pytest.raises(InvalidInput):
        read_doing(text, cost_minor=1250, currency=currency)


def test_what_costs_nothing_needs_no_cost() -> None:
    read = read_doing("cuenta ana@example.org", cost_minor=0, currency="EUR")
    assert read == Doing(actual=None, reference="cuenta ana@example.org")


@given(st.text(), st.sampled_from(["EUR", "CLP", "KWD"]))
def test_no_text_breaks_the_reader(text: str, currency: str) -> None:
    try:
        read = read_doing(text, cost_minor=1, currency=currency)
    except InvalidInput:
        return
    assert read.actual is not None
    assert read.actual.minor >= 0


@given(st.integers(0, 10**12))
def test_amounts_come_back_with_a_comma_and_with_a_point(minor: int) -> None:
    for mark in ",.":
        text = f"{minor // 100}{mark}{minor % 100:02d}"
        assert read_doing(text, cost_minor=1, currency="EUR").actual == Money(minor=minor, currency="EUR")


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("", "2026-03"),
        ("2025-11", "2025-11"),
        ("11/2025", "2025-11"),
        ("3", "2026-03"),
        ("12", "2025-12"),
        ("Noviembre", "2025-11"),
        ("setiembre", "2025-09"),
        ("feb", "2026-02"),
        ("january", "2026-01"),
        ("13", None),
        ("2026-13", None),
        ("no", None),
        ("mañana", None),
    ],
)
def test_a_month_is_read(text: str, month: str | None) -> None:
    assert find_month(text, "2026-03") == month
