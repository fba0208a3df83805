"""Amounts are read and written exactly, each currency with its own places."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.ledger.money import (
    MOST_MINOR,
    Money,
    format_money,
    micros_to_minor,
    parse_money,
    places_of,
    round_half_up,
)
from tasks.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "minor", "currency"),
    [
        ("12.50 EUR", 1250, "EUR"),
        ("12.5 EUR", 1250, "EUR"),
        ("1,250.00 EUR", 125000, "EUR"),
        ("1500 CLP", 1500, "CLP"),
        ("1.250 KWD", 1250, "KWD"),
        ("0.0001 CLF", 1, "CLF"),
        ("-0.05EUR", -5, "EUR"),
        (" 7 USD ", 700, "USD"),
    ],
)
def test_amount_is_read_with_the_places_of_its_currency(text: str, minor: int, currency: str) -> None:
    assert parse_money(text) == Money(minor=minor, currency=currency)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("12,50 EUR", "12.50 EUR"),
        ("12.50", "three letters"),
        ("12.50 eur", "three letters"),
        ("1,5,0 EUR", "three letters"),
        ("", "three letters"),
        ("12.505 EUR", "EUR has 2: write it as '12.51 EUR'"),
        ("1500.50 CLP", "CLP has 0: write it as '1501 CLP'"),
        ("9999999999999999 EUR", "more than this ledger holds"),
    ],
)
def test_what_is_no_amount_is_refused_with_an_example(text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        parse_money(text)


@given(
    st.integers(min_value=-MOST_MINOR, max_value=MOST_MINOR),
    st.sampled_from(["EUR", "CLP", "KWD", "CLF", "USD"]),
)
def test_what_is_written_is_read_back_to_the_minor_unit(minor: int, currency: str) -> None:
    assert parse_money(format_money(minor, currency)) == Money(minor=minor, currency=currency)


@pytest.mark.parametrize(
    ("micros", "currency", "minor"),
    [
        (4_999, "EUR", 0),
        (5_000, "EUR", 1),
        (-5_000, "EUR", -1),
        (1_499_999, "CLP", 1),
        (1_500_000, "CLP", 2),
        (500, "KWD", 1),
        (499, "KWD", 0),
    ],
)
def test_millionths_are_rounded_half_up_to_minor_units(micros: int, currency: str, minor: int) -> None:
    assert micros_to_minor(micros, currency) == minor


@given(st.fractions(max_denominator=10_000))
def test_rounding_is_never_off_by_more_than_a_half(exact: Fraction) -> None:
    assert abs(round_half_up(exact) - exact) <= Fraction(1, 2)


def test_places_follow_iso_4217() -> None:
    assert [places_of(currency) for currency in ("EUR", "CLP", "JPY", "KWD", "CLF")] == [2, 0, 0, 3, 4]
