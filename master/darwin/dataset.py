"""A data set, from bytes to checked rows: JSONL, one object a line, or CSV with a header.

Pure. Every refusal names the file, the line, what is wrong there and what to do about it.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterator

from master.darwin.columns import Columns, Reading, find_columns, find_split
from master.darwin.expected import read_expected, read_text
from master.darwin.schema import check_schema, infer_schema
from tasks.darwin_genome import Kind
from tasks.errors import InvalidInput

MAX_BYTES = 20 * 2**20
MAX_EXAMPLES = 20_000
MIN_EXAMPLES = 30
MAX_LABELS = 32
MAX_INPUT_CHARACTERS = 4000

#: What an owner may write in the split column, and what it means here. "train" is divided further.
SPLITS = {
    "train": "train",
    "training": "train",
    "dev": "selection",
    "val": "selection",
    "valid": "selection",
    "validation": "selection",
    "selection": "selection",
    "test": "held_out",
    "held_out": "held_out",
    "held-out": "held_out",
}

_SHAPE = '{"input": "Are you open on Sunday?", "expected": "hours"}'

#: The line, and what it holds or what is wrong with it.
Found = tuple[int, dict[str, object] | InvalidInput]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One accepted line."""

    line: int
    input: str
    #: As ``tasks.darwin_genome.Example`` has it.
    expected: str
    also: tuple[str, ...] = ()
    #: "train", "selection", "held_out", or "" where the file leaves the division to us.
    split: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A whole data set, accepted."""

    name: str
    kind: Kind
    rows: tuple[Row, ...]
    #: Sorted, so that the order of lines does not matter; none for other kinds than "classify".
    labels: tuple[str, ...]
    #: "extract" only.
    json_schema: str
    #: "score" only: least and greatest expected number.
    low: float
    high: float
    #: Lines left out because an earlier one has the same input and expects the same.
    repeated: int


def parse(data: bytes, name: str, reading: Reading | None = None) -> Table:
    """The data set in ``data``; ``name`` says whether it is CSV and appears in errors."""
    reading = reading or Reading()
    if len(data) > MAX_BYTES:
        raise InvalidInput(
            f"{name} has {len(data) / 2**20:.1f} MiB and a data set may have {MAX_BYTES // 2**20}: "
            "a few thousand examples are plenty for an evolution, so take a sample"
        )
    if reading.json_schema:
        reading = dataclasses.replace(reading, json_schema=check_schema(reading.json_schema, "the schema"))
    rows = _rows(decode(data, name), name, reading)
    kept = _without_repeats(rows, name)
    _check_whole(kept, name)
    table = Table(
        name=name,
        kind=reading.kind,
        rows=tuple(kept),
        labels=tuple(sorted({row.expected for row in kept})) if reading.kind == "classify" else (),
        json_schema=_schema(kept, name, reading),
        low=min(float(row.expected) for row in kept) if reading.kind == "score" else 0.0,
        high=max(float(row.expected) for row in kept) if reading.kind == "score" else 0.0,
        repeated=len(rows) - len(kept),
    )
    _check_kind(table)
    return table


def _schema(rows: list[Row], name: str, reading: Reading) -> str:
    if reading.kind != "extract" or reading.json_schema:
        return reading.json_schema if reading.kind == "extract" else ""
    return infer_schema([json.loads(row.expected) for row in rows], name)


def decode(data: bytes, name: str) -> str:
    """``InvalidInput`` for what is empty or not UTF-8."""
    if not data.strip():
        raise InvalidInput(f"{name} is empty: write one example a line, like {_SHAPE}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInput(
            f"{name}:{line}: byte 0x{data[error.start]:02x} is not valid UTF-8: save the file as UTF-8 "
            "(in a spreadsheet: export as 'CSV UTF-8')"
        ) from None


def _rows(text: str, name: str, reading: Reading) -> list[Row]:
    columns: Columns | None = None
    rows: list[Row] = []
    for line, record in records_of(text, name):
        if isinstance(record, InvalidInput):
            raise record
        if columns is None:
            columns = columns_of(record, line, name, reading)
        rows.append(read_row(record, columns, reading, f"{name}:{line}", line))
    if not rows:
        raise InvalidInput(f"{name} has a header and no examples: write one example a line below it")
    return rows


def is_csv(name: str) -> bool:
    return name.lower().endswith((".csv", ".tsv"))


def records_of(text: str, name: str) -> Iterator[Found]:
    """Each line's record, or what is wrong with the line."""
    return _csv_records(text, name) if is_csv(name) else _jsonl_records(text, name)


def columns_of(record: dict[str, object], line: int, name: str, reading: Reading) -> Columns:
    """By the first record: a CSV file's columns are in its header; of JSONL the first line speaks for all."""
    return find_columns(list(record), reading, f"{name}:{1 if is_csv(name) else line}")


def _jsonl_records(text: str, name: str) -> Iterator[Found]:
    # Only "\n" ends a line in JSONL; str.splitlines would also break at U+2028 inside a string.
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            record = json.loads(content)
        except (json.JSONDecodeError, RecursionError) as error:
            at = f" at column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
            yield (
                line,
                InvalidInput(
                    f"{name}:{line}: not JSON{at}: each line must be one whole object like {_SHAPE}"
                ),
            )
            continue
        if not isinstance(record, dict):
            told = f"{name}:{line}: a {type(record).__name__} where an object belongs: "
            yield line, InvalidInput(f"{told}each line must look like {_SHAPE}")
            continue
        yield line, record


def _csv_records(text: str, name: str) -> Iterator[Found]:
    header = text.partition("\n")[0]
    # Spreadsheets of countries with a decimal comma part columns with semicolons.
    separator = max(",;\t", key=lambda one: (header.count(one), one == ","))
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    try:
        for record in reader:
            if None in record:
                told = f"{name}:{reader.line_num}: more fields than the header has columns: "
                yield reader.line_num, InvalidInput(f"{told}put quotes around a text that has a comma in it")
                continue
            yield reader.line_num, dict(record)
    except csv.Error as error:
        # What comes after it cannot be told apart any more.
        told = f"{name}:{reader.reader.line_num}: not CSV ({error}): "
        yield (
            reader.reader.line_num,
            InvalidInput(f'{told}close every quote, and write a quote inside a text twice ("")'),
        )


def read_row(record: dict[str, object], columns: Columns, reading: Reading, place: str, line: int) -> Row:
    """``InvalidInput`` begins with ``place``, says what is wrong there and what to do about it."""
    for field in (columns.input, *columns.expected):
        if field not in record or (record[field] is None and len(columns.expected) == 1):
            raise InvalidInput(f"{place}: no field {field!r}: each example needs both, like {_SHAPE}")
    # In JSONL a later line may be the first to have one.
    split = record.get(columns.split or find_split(list(record))) or ""
    if split and str(split).strip().lower() not in SPLITS:
        raise InvalidInput(
            f"{place}: split is {str(split)[:60]!r}: use {', '.join(SPLITS)}, or leave split out everywhere"
        )
    single = len(columns.expected) == 1
    value = record[columns.expected[0]] if single else {one: record[one] for one in columns.expected}
    expected, also = read_expected(value, "+".join(columns.expected), reading, place)
    return Row(
        line=line,
        input=read_text(record[columns.input], columns.input, place, MAX_INPUT_CHARACTERS),
        expected=expected,
        also=also,
        split=SPLITS.get(str(split).strip().lower(), ""),
    )


def _without_repeats(rows: list[Row], name: str) -> list[Row]:
    """Rows whose input is new. A text in two parts of the division would leak the answer."""
    first: dict[str, Row] = {}
    for row in rows:
        key = " ".join(row.input.casefold().split())
        earlier = first.setdefault(key, row)
        if earlier.expected != row.expected:
            raise InvalidInput(
                f"{name}:{row.line}: the same input as line {earlier.line}, which expects "
                f"{earlier.expected[:60]!r}, and {row.expected[:60]!r} is expected here: keep the right one"
            )
    return list(first.values())


def _check_whole(rows: list[Row], name: str) -> None:
    if len(rows) > MAX_EXAMPLES:
        raise InvalidInput(f"{name} has {len(rows)} examples and may have {MAX_EXAMPLES}: take a sample")
    if len(rows) < MIN_EXAMPLES:
        raise InvalidInput(
            f"{name} has {len(rows)} different examples and an evolution needs at least {MIN_EXAMPLES}, to "
            "show some, select on some and keep some back: add more"
        )
    undivided = next((row for row in rows if not row.split), None)
    divided = next((row for row in rows if row.split), None)
    if undivided and divided:
        raise InvalidInput(
            f"{name}:{undivided.line}: no split, and line {divided.line} has one: give every example a "
            "split, or none"
        )


def _check_kind(table: Table) -> None:
    if table.kind == "score" and math.isclose(table.low, table.high):
        raise InvalidInput(f"{table.name} expects {table.low:g} everywhere: there is nothing to tell apart")
    if table.kind != "classify":
        return
    if len(table.labels) < 2:
        raise InvalidInput(
            f"{table.name} has the one label {table.labels[0]!r}: there is nothing to tell apart; add another"
        )
    if len(table.labels) > MAX_LABELS:
        raise InvalidInput(
            f"{table.name} has {len(table.labels)} different labels and may have {MAX_LABELS}: what is expected "
            "must be a label from a small set; for free text take the task answer, for numbers score"
        )
    lines: dict[str, list[int]] = {}
    for row in table.rows:
        lines.setdefault(row.expected, []).append(row.line)
    for label, seen in lines.items():
        if len(seen) == 1:
            raise InvalidInput(
                f"{table.name}:{seen[0]}: the label {label!r} occurs only here: correct its spelling or add "
                "more examples of it"
            )
