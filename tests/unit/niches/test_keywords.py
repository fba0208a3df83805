"""Keyword exports: what is read, what is refused and with which words."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.niches.keywords import merge_tables, parse_export
from master.niches.numbers import NotANumber, parse_change, parse_count, parse_money_minor
from tasks.errors import InvalidInput
from tests.support import ROOT

EXAMPLES = Path(ROOT) / "examples"
HEADER = "Keyword\tCurrency\tAvg. monthly searches\tCompetition\tSearches: Nov 2025\tSearches: Dec 2025\n"


def grouped(value: int, mark: str) -> str:
    return f"{value:,}".replace(",", mark)


@given(st.integers(0, 10**9), st.sampled_from([",", ".", " ", "\u00a0", "'", ""]))
def test_a_count_is_read_whatever_separates_its_thousands(value: int, mark: str) -> None:
    assert parse_count(grouped(value, mark)) == (value, value)


@given(st.integers(0, 10**7), st.sampled_from([(",", "."), (".", ","), ("", ","), ("", ".")]))
def test_an_amount_is_read_in_either_decimal_form(minor: int, marks: tuple[str, str]) -> None:
    whole, cents = divmod(minor, 100)
    text = f"{grouped(whole, marks[0])}{marks[1]}{cents:02d}"
    for written in (text, f"{text} €", f"EUR {text}", f"${text}", f"{text} EUR"):
        assert parse_money_minor(written, "EUR") == minor


@given(st.integers(1, 900), st.sampled_from([("K", 1000), (" mil", 1000), ("M", 10**6), ("", 1)]))
def test_a_range_keeps_both_ends(low: int, unit: tuple[str, int]) -> None:
    for dash in ("-", "\u2013", " \u2013 ", " to ", " a "):
        written = f"{low}{unit[0]}{dash}{low * 10}{unit[0]}"
        assert parse_count(written) == (low * unit[1], low * 10 * unit[1])


@given(st.text(max_size=12))
def test_any_text_is_a_count_or_refused(text: str) -> None:
    try:
        found = parse_count(text)
    except NotANumber:
        return
    assert found is None or 0 <= found[0] <= found[1]


@pytest.mark.parametrize("text", ["-5", "1,2,3", "10K - 1K", "1..2", "abc", "1e5", "9" * 30])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(NotANumber):
        parse_count(text)


def test_changes_are_fractions_and_infinity_is_unknown() -> None:
    assert parse_change("-18%") == pytest.approx(-0.18)
    assert parse_change("\u221290 %") == pytest.approx(-0.9)
    assert parse_change("+900%") == pytest.approx(9.0)
    assert parse_change("\u221e") is None


def test_currencies_without_cents_have_none() -> None:
    assert parse_money_minor("1.250", "CLP") == 1250
    assert parse_money_minor("0,455", "EUR") == int(Decimal("45.5").to_integral_value())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig"])
def test_every_encoding_gives_the_same_rows(encoding: str) -> None:
    text = "Keyword Stats\n\n" + HEADER + "café bar\tEUR\t1,000\tHigh\t900\t1100\n"
    table = parse_export(text.encode(encoding), "k.csv")
    assert [(row.text, row.volume_low, row.monthly) for row in table.rows] == [
        ("café bar", 1000, (900, 1100))
    ]
    assert table.months == ("2025-11", "2025-12")
    assert table.rows[0].place == "k.csv:4"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_simple_table_is_enough(delimiter: str) -> None:
    lines = [["keyword", "volume", "cpc", "competition"], ["pan sin gluten", "1900", "0.45", "0.3"]]
    table = parse_export("\n".join(delimiter.join(line) for line in lines).encode(), "k.csv")
    (row,) = table.rows
    assert (row.volume_low, row.bid_low_minor, row.bid_high_minor) == (1900, 45, 45)
    assert row.competition_low == pytest.approx(0.3)


def test_the_example_exports_are_read() -> None:
    exact = parse_export((EXAMPLES / "keywords-spain-exact.csv").read_bytes(), "exact")
    ranges = parse_export((EXAMPLES / "keywords-spain-ranges.csv").read_bytes(), "ranges")
    assert len(exact.rows) >= 200
    assert not exact.decades
    assert all(len(row.monthly) == 12 and row.yearly_change is not None for row in exact.rows)
    assert ranges.decades
    assert all(row.volume_high == 10 * row.volume_low or row.volume_low == 0 for row in ranges.rows)
    assert all(row.yearly_change is None for row in ranges.rows)


def test_labels_of_competition_are_ranges_in_any_language() -> None:
    text = "keyword,volume,competition\na,10,Alta\nb,10,Low\nc,10,Moyenne\nd,10,\n"
    bands = [(row.competition_low, row.competition_high) for row in parse_export(text.encode(), "k").rows]
    assert bands == [(0.67, 1.0), (0.0, 0.33), (0.34, 0.66), (0.0, 1.0)]


def test_repeated_keywords_are_merged_and_the_exact_one_stays() -> None:
    text = "keyword,volume\nPan,1K - 10K\npan ,2400\n PAN,10\notro,5\n"
    table = parse_export(text.encode(), "k")
    assert [(row.text, row.volume_low) for row in table.rows] == [("pan", 2400), ("otro", 5)]
    assert table.merged == 2
    both = merge_tables([table, parse_export(b"keyword,volume\notro,70\n", "l")])
    assert [(row.text, row.volume_low) for row in both.rows] == [("pan", 2400), ("otro", 70)]
    assert both.merged == 3


@pytest.mark.parametrize(
    ("data", "place", "words"),
    [
        (b"", "k.csv", "empty"),
        (b"\xff\xfe", "k.csv", "empty"),
        (b"keyword,volume\ncaf\xe9,10\n", "k.csv:2", "UTF-8"),
        (b"\xff\xfek\x00e", "k.csv:1", "UTF-16"),
        (b"hello\nworld\n", "k.csv:1", "no header"),
        (b"keyword,volume\n", "k.csv:1", "no keyword below"),
        (b"keyword,volume\n\n,500\n", "k.csv:1", "no keyword below"),
        (b"keyword,volume\npan,10\nvino,lots\n", "k.csv:3", "'lots' is not a number"),
        (b"keyword,volume\npan\x07,10\n", "k.csv:2", "U+0007"),
        ("keyword,volume\npan\u202e,10\n".encode(), "k.csv:2", "U+202E"),
        (b"keyword,volume\n" + b"x" * 300 + b",10\n", "k.csv:2", "300 characters"),
        (b"keyword,volume,cpc\npan,10,free\n", "k.csv:2", "bid"),
    ],
)
def test_bad_input_is_refused_with_place_and_remedy(data: bytes, place: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_export(data, "k.csv")
    assert str(caught.value).startswith(place + ":")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_refused_by_name(data: bytes) -> None:
    try:
        refused = ""
        parse_export(data, "k.csv")
    except InvalidInput as error:
        refused = str(error)
    assert not refused or refused.startswith("k.csv")


def test_absurd_sizes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("master.niches.bytes_text.MOST_BYTES", 10)
    with pytest.raises(InvalidInput, match="split it"):
        parse_export(b"keyword,volume\npan,10\n", "k.csv")
    monkeypatch.undo()
    monkeypatch.setattr("master.niches.keywords.MOST_ROWS", 2)
    with pytest.raises(InvalidInput, match="more than 2 rows"):
        parse_export(b"keyword,volume\n" + b"pan,10\n" * 50, "k.csv")
