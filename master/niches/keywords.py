"""Reads keyword exports: bytes in, keywords out. Pure.

The Keyword Planner of Google Ads writes UTF-16LE with a byte order mark, tabs, two preamble lines and
then a header; other tools write UTF-8 with commas. What a file is is seen from its bytes, never from
its name. Every error names file and line, and what to do.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import TypeVar

from master.niches.bytes_text import decode
from master.niches.columns import Columns, find_columns, fold
from master.niches.numbers import (
    NotANumber,
    is_unknown,
    parse_change,
    parse_count,
    parse_decimal,
    parse_money_minor,
)
from tasks.errors import InvalidInput
from tasks.record import Record

MOST_ROWS = 50_000
LONGEST_KEYWORD = 200
#: The header is looked for in so many lines.
PREAMBLE_LINES = 30

#: The tool's own bands of its competition index (0..100).
_LABELS = {
    (0.0, 0.33): "low|baja|bajo|faible|niedrig|gering|bassa|basso|baixa|dusuk",
    (0.34, 0.66): "medium|media|medio|moyen|moyenne|mittel|orta",
    (0.67, 1.0): "high|alta|alto|eleve|elevee|hoch|yuksek|elevata",
}
_COMPETITION = {label: band for band, labels in _LABELS.items() for label in labels.split("|")}

#: What an account with little spend gets in place of exact numbers: one number for each decade.
_DECADES = {0: (0, 10), 5: (0, 10)} | {5 * 10**n: (10**n, 10 ** (n + 1)) for n in range(1, 8)}

Value = TypeVar("Value")


class KeywordRow(Record):
    """One keyword of an export."""

    #: Lower case, single spaces.
    text: str
    #: Searches a month; equal when the export is exact. (0, 0) when it gives none.
    volume_low: int
    volume_high: int
    #: Searches in each of the table's months; () when not given.
    monthly: tuple[int, ...] = ()
    #: Change of the last month against the same month a year before, as a fraction.
    yearly_change: float | None = None
    #: How contested the advertising places are, 0..1; equal when the export gives an index.
    competition_low: float = 0.0
    competition_high: float = 1.0
    #: Bids for the top of the page, in minor units of ``currency``; None when not known.
    bid_low_minor: int | None = None
    bid_high_minor: int | None = None
    currency: str = ""
    #: file:line
    place: str


class KeywordTable(Record):
    """The keywords of one or more exports of one market."""

    rows: tuple[KeywordRow, ...]
    #: YYYY-MM of ``monthly``, oldest first.
    months: tuple[str, ...] = ()
    #: Rows that repeated a keyword and were merged into it.
    merged: int = 0
    #: Whether volumes are the one-number-per-decade kind, read as ranges.
    decades: bool = False


def parse_export(data: bytes, name: str, default_currency: str = "EUR") -> KeywordTable:
    """The keywords of one file. ``InvalidInput`` names ``name``, the line and the remedy."""
    text = decode(data, name)
    lines, columns, header_line = _read_table(text, name)
    rows = [
        row for line, cells in lines for row in _read_row(cells, columns, f"{name}:{line}", default_currency)
    ]
    if not rows:
        raise InvalidInput(
            f"{name}:{header_line}: there is a header but no keyword below it: export the list again with at "
            "least one keyword in it"
        )
    decades = _in_decades(rows, columns)
    if decades:
        rows = [_widen(row) for row in rows]
    merged = merge(rows)
    return KeywordTable(
        rows=merged,
        months=tuple(month for month, _ in columns.months),
        merged=len(rows) - len(merged),
        decades=decades,
    )


def _read_table(text: str, name: str) -> tuple[list[tuple[int, list[str]]], Columns, int]:
    """The rows under the header with their line numbers, the columns, and the header's line."""
    head = text.splitlines()[:PREAMBLE_LINES]
    for delimiter in ("\t", ",", ";"):
        for index, line in enumerate(head):
            columns = find_columns(next(csv.reader([line], delimiter=delimiter), []))
            if columns is not None:
                body = _split(text, delimiter, name)
                return [row for row in body if row[0] > index + 1], columns, index + 1
    seen = next((line.strip()[:80] for line in head if line.strip()), "")
    raise InvalidInput(
        f"{name}:1: no header with a keyword and a monthly-searches column in the first {PREAMBLE_LINES} "
        f"lines "
        f"(the first one is {seen!r}): export from the Keyword Planner as .csv, or name the columns "
        "'keyword' and 'volume'"
    )


def _split(text: str, delimiter: str, name: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            rows.append((reader.line_num, cells))
            if len(rows) > MOST_ROWS + PREAMBLE_LINES:
                raise InvalidInput(
                    f"{name}:{reader.line_num}: more than {MOST_ROWS} rows: give the most searched "
                    f"keywords only"
                )
    except csv.Error as error:
        raise InvalidInput(
            f"{name}:{reader.line_num}: not readable as a table ({error}): export the file again, or correct "
            "the quotes on this line"
        ) from None
    return rows


def _read_row(cells: list[str], columns: Columns, place: str, default_currency: str) -> Iterable[KeywordRow]:
    """The row's keyword; nothing for blank lines and for totals, which have no keyword."""
    text = _keyword(_cell(cells, columns.keyword), place)
    if not text:
        return
    currency = (_cell(cells, columns.currency) or default_currency).strip().upper()
    volume = _value(parse_count, _cell(cells, columns.volume), "monthly searches", place) or (0, 0)
    low, high = _competition(cells, columns, place)

    def bid(position: int | None) -> int | None:
        return _value(lambda text: parse_money_minor(text, currency), _cell(cells, position), "bid", place)

    bids = [value for value in (bid(columns.bid_low), bid(columns.bid_high)) if value is not None]
    yield KeywordRow(
        text=text,
        volume_low=volume[0],
        volume_high=volume[1],
        monthly=_monthly(cells, columns, place),
        yearly_change=_value(parse_change, _cell(cells, columns.yearly_change), "yearly change", place),
        competition_low=low,
        competition_high=high,
        bid_low_minor=min(bids, default=None),
        bid_high_minor=max(bids, default=None),
        currency=currency,
        place=place,
    )


def _cell(cells: Sequence[str], position: int | None) -> str:
    return cells[position] if position is not None and position < len(cells) else ""


def _value(parse: Callable[[str], Value], text: str, what: str, place: str) -> Value:
    try:
        return parse(text)
    except NotANumber:
        raise InvalidInput(
            f"{place}: the {what} {text[:40]!r} is not a number: correct it, or leave the cell empty if "
            f"it is not "
            "known"
        ) from None


def _keyword(cell: str, place: str) -> str:
    text = " ".join(unicodedata.normalize("NFC", cell.replace("\ufeff", "")).lower().split())
    if len(text) > LONGEST_KEYWORD:
        raise InvalidInput(
            f"{place}: a keyword of {len(text)} characters (at most {LONGEST_KEYWORD}): the line is "
            f"damaged or the "
            "columns are shifted, export the file again"
        )
    # Cc and Cf: control characters, and invisible ones that reorder what a person reads.
    bad = next((c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co"}), "")
    if bad:
        raise InvalidInput(
            f"{place}: the keyword has the control character U+{ord(bad):04X}: remove it, or export the "
            f"file again"
        )
    return text


def _competition(cells: list[str], columns: Columns, place: str) -> tuple[float, float]:
    index = _cell(cells, columns.competition_index)
    if not is_unknown(index):
        value = min(_value(parse_decimal, index, "competition index", place), Decimal(100))
        return float(value) / 100, float(value) / 100
    label = _cell(cells, columns.competition)
    if is_unknown(label):
        return 0.0, 1.0
    if fold(label) in _COMPETITION:
        return _COMPETITION[fold(label)]
    number = _value(parse_decimal, label, "competition", place)
    share = float(number if number <= 1 else min(number, Decimal(100)) / 100)
    return share, share


def _monthly(cells: list[str], columns: Columns, place: str) -> tuple[int, ...]:
    counts = [
        _value(parse_count, _cell(cells, at), f"searches of {month}", place) for month, at in columns.months
    ]
    return tuple(count[0] for count in counts if count is not None) if all(counts) else ()


def _in_decades(rows: Sequence[KeywordRow], columns: Columns) -> bool:
    """Whether volumes stand for decades: months are there but empty, every volume is 5, 50, 500 ..."""
    return bool(columns.months) and all(
        not row.monthly and row.volume_low == row.volume_high and row.volume_low in _DECADES for row in rows
    )


def _widen(row: KeywordRow) -> KeywordRow:
    low, high = _DECADES[row.volume_low]
    # Its changes come from the same decades (0%, 900%, -90%) and tell nothing.
    return row.model_copy(update={"volume_low": low, "volume_high": high, "yearly_change": None})


def merge(rows: Iterable[KeywordRow]) -> tuple[KeywordRow, ...]:
    """Each keyword once, in the order of first appearance.

    Of repeated ones the exact beats the range, then the more searched beats the less.
    """
    best: dict[str, KeywordRow] = {}
    for row in rows:
        other = best.get(row.text)
        if other is None or _rank(row) > _rank(other):
            best[row.text] = row
    return tuple(best.values())


def _rank(row: KeywordRow) -> tuple[bool, int]:
    return row.volume_low == row.volume_high and row.volume_high > 0, row.volume_high


def merge_tables(tables: Sequence[KeywordTable]) -> KeywordTable:
    """The tables of one market as one. Months count only where they are the longest table's."""
    months = max((table.months for table in tables), key=len, default=())
    rows = [
        row if table.months == months else row.model_copy(update={"monthly": ()})
        for table in tables
        for row in table.rows
    ]
    merged = merge(rows)
    return KeywordTable(
        rows=merged,
        months=months,
        merged=sum(table.merged for table in tables) + len(rows) - len(merged),
        decades=all(table.decades for table in tables),
    )
