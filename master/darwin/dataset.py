"""A labeled data set, from bytes to checked rows: JSONL, one object a line, or CSV with a header.

Pure. Every refusal names the file, the line, what is wrong there and what to do about it.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator

from tasks.errors import InvalidInput

MAX_BYTES = 20 * 2**20
MAX_EXAMPLES = 20_000
MIN_EXAMPLES = 30
MAX_LABELS = 32
MAX_INPUT_CHARACTERS = 2000
MAX_LABEL_CHARACTERS = 60

#: What an owner may write in ``split``, and what it means here. "train" is divided further.
SPLITS = {
    "train": "train",
    "dev": "selection",
    "validation": "selection",
    "selection": "selection",
    "test": "held_out",
    "held_out": "held_out",
}

_SHAPE = '{"input": "Are you open on Sunday?", "expected": "hours"}'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One accepted line."""

    line: int
    input: str
    label: str
    #: "train", "selection", "held_out", or "" where the file leaves the division to us.
    split: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A whole data set, accepted."""

    name: str
    rows: tuple[Row, ...]
    #: Sorted, so that the order of lines does not matter.
    labels: tuple[str, ...]
    #: Lines left out because an earlier one has the same input and label.
    repeated: int


def parse(data: bytes, name: str) -> Table:
    """The data set in ``data``; ``name`` says whether it is CSV and appears in errors."""
    if len(data) > MAX_BYTES:
        raise InvalidInput(
            f"{name} has {len(data) / 2**20:.1f} MiB and a data set may have {MAX_BYTES // 2**20}: "
            "a few thousand examples are plenty for an evolution, so take a sample"
        )
    text = _decode(data, name)
    records = _csv_records(text, name) if name.lower().endswith(".csv") else _jsonl_records(text, name)
    rows = [_row(record, line, name) for line, record in records]
    kept = _without_repeats(rows, name)
    labels = tuple(sorted({row.label for row in kept}))
    _check_whole(kept, labels, name)
    return Table(name=name, rows=tuple(kept), labels=labels, repeated=len(rows) - len(kept))


def _decode(data: bytes, name: str) -> str:
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


def _jsonl_records(text: str, name: str) -> Iterator[tuple[int, dict[str, object]]]:
    # Only "\n" ends a line in JSONL; str.splitlines would also break at U+2028 inside a string.
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            record = json.loads(content)
        except (json.JSONDecodeError, RecursionError) as error:
            at = f" at column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
            raise InvalidInput(
                f"{name}:{line}: not JSON{at}: each line must be one whole object like {_SHAPE}"
            ) from None
        if not isinstance(record, dict):
            raise InvalidInput(
                f"{name}:{line}: a {type(record).__name__} where an object belongs: "
                f"each line must look like {_SHAPE}"
            )
        yield line, record


def _csv_records(text: str, name: str) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = reader.fieldnames or []
        if missing := [column for column in ("input", "expected") if column not in columns]:
            raise InvalidInput(
                f"{name}:1: the header {','.join(columns)[:200]!r} has no column {' and no '.join(missing)}: "
                "name the columns input and expected (and split, if you divide the examples yourself), "
                "with commas between them"
            )
        for record in reader:
            if None in record:
                raise InvalidInput(
                    f"{name}:{reader.line_num}: more fields than the header has columns: "
                    "put quotes around a text that has a comma in it"
                )
            yield reader.line_num, dict(record)
    except csv.Error as error:
        raise InvalidInput(
            f"{name}:{reader.reader.line_num}: not CSV ({error}): close every quote, and write a quote "
            'inside a text twice ("")'
        ) from None


def _row(record: dict[str, object], line: int, name: str) -> Row:
    split = record.get("split")
    if split in (None, ""):
        split = ""
    elif not isinstance(split, str) or split not in SPLITS:
        raise InvalidInput(
            f"{name}:{line}: split is {str(split)[:60]!r}: use {', '.join(SPLITS)}, or leave "
            "split out everywhere"
        )
    return Row(
        line=line,
        input=_text(record, "input", line, name, MAX_INPUT_CHARACTERS),
        label=_text(record, "expected", line, name, MAX_LABEL_CHARACTERS),
        split=SPLITS.get(split, ""),
    )


def _text(record: dict[str, object], field: str, line: int, name: str, most: int) -> str:
    place = f"{name}:{line}: "
    if field not in record:
        raise InvalidInput(f"{place}no field {field!r}: each example needs both, like {_SHAPE}")
    value = record[field]
    if not isinstance(value, str):
        raise InvalidInput(f"{place}{field!r} is {json.dumps(value)[:60]}, not a text: put it in quotes")
    value = value.strip()
    if not value:
        raise InvalidInput(f"{place}{field!r} is empty: fill it in or delete the line")
    if len(value) > most:
        raise InvalidInput(f"{place}{field!r} has {len(value)} characters and may have {most}: shorten it")
    if any(ord(character) < 32 and character not in "\t\n\r" for character in value):
        raise InvalidInput(f"{place}{field!r} has control characters: delete them")
    # A lone surrogate is legal JSON ("\ud800") and yet no text that can be written anywhere.
    if any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        raise InvalidInput(f"{place}{field!r} has half of a surrogate pair: write the character itself")
    return value


def _without_repeats(rows: list[Row], name: str) -> list[Row]:
    """Rows whose input is new. A text in two parts of the division would leak the answer."""
    first: dict[str, Row] = {}
    for row in rows:
        key = " ".join(row.input.casefold().split())
        earlier = first.setdefault(key, row)
        if earlier.label != row.label:
            raise InvalidInput(
                f"{name}:{row.line}: the same input as line {earlier.line}, labeled {row.label!r} here and "
                f"{earlier.label!r} there: keep the right one"
            )
    return list(first.values())


def _check_whole(rows: list[Row], labels: tuple[str, ...], name: str) -> None:
    if len(rows) > MAX_EXAMPLES:
        raise InvalidInput(f"{name} has {len(rows)} examples and may have {MAX_EXAMPLES}: take a sample")
    if len(rows) < MIN_EXAMPLES:
        raise InvalidInput(
            f"{name} has {len(rows)} different examples and an evolution needs at least {MIN_EXAMPLES}, to "
            "show some, select on some and keep some back: add more"
        )
    if len(labels) < 2:
        raise InvalidInput(
            f"{name} has the one label {labels[0]!r}: there is nothing to tell apart; add another"
        )
    if len(labels) > MAX_LABELS:
        raise InvalidInput(
            f"{name} has {len(labels)} different labels and may have {MAX_LABELS}: "
            "'expected' must be a label from a small set, not free text"
        )
    _check_labels_repeat(rows, name)
    undivided = next((row for row in rows if not row.split), None)
    divided = next((row for row in rows if row.split), None)
    if undivided and divided:
        raise InvalidInput(
            f"{name}:{undivided.line}: no split, and line {divided.line} has one: give every example a "
            "split, or none"
        )


def _check_labels_repeat(rows: list[Row], name: str) -> None:
    lines: dict[str, list[int]] = {}
    for row in rows:
        lines.setdefault(row.label, []).append(row.line)
    for label, seen in lines.items():
        if len(seen) == 1:
            raise InvalidInput(
                f"{name}:{seen[0]}: the label {label!r} occurs only here: correct its spelling or add more "
                "examples of it"
            )
