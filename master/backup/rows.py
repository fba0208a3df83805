"""Rows of every table to JSON lines and back, the same for both databases.

Times travel as the seconds that are stored, JSON as the text that is stored: what comes back is equal
to the bit, and NULL stays different from a JSON ``null``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    Table,
    Text,
    cast,
    column,
    func,
    insert,
    inspect,
    select,
    table,
    text,
    type_coerce,
)  # fmt: skip

from master.backup.manifest import ColumnShape, TableShape
from master.store.metadata import metadata
from master.store.types import UtcDateTime
from tasks.errors import Refused

#: Rows are kept together up to so many bytes: the most that is in memory at a time, beside one row.
PART_BYTES = 4 * 2**20
_BATCH = 500


def all_tables() -> list[Table]:
    """Every table of the loaded capabilities, parents before children."""
    return list(metadata.sorted_tables)


def dump_parts(connection: Connection, source: Table) -> Iterator[tuple[bytes, int]]:
    """JSON lines and how many, in parts of about ``PART_BYTES``."""
    lines: list[bytes] = []
    size = 0
    chosen = select(*(_stored(each) for each in source.c)).order_by(*source.primary_key.columns)
    for row in connection.execution_options(yield_per=_BATCH).execute(chosen):
        line = json.dumps(list(row), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        lines.append(line)
        size += len(line)
        if size >= PART_BYTES:
            yield b"".join(lines), len(lines)
            lines, size = [], 0
    if lines:
        yield b"".join(lines), len(lines)


def shape_of(connection: Connection, source: Table, rows: int) -> TableShape:
    columns = tuple(ColumnShape(name=each.name, kind=_kind(each)) for each in source.c)
    numbered = source.autoincrement_column
    name = numbered.name if numbered is not None else ""
    last = _last_number(connection, source.name, name) if name else 0
    return TableShape(name=source.name, columns=columns, rows=rows, numbered=name, last_number=last)


def insert_rows(connection: Connection, shape: TableShape, lines: Iterable[bytes]) -> int:
    """Put the lines into their table. Returns how many there were."""
    target = table(shape.name, *(column(each.name, _bound(each.kind)) for each in shape.columns))
    names = [each.name for each in shape.columns]
    batch: list[dict[str, Any]] = []
    count = 0
    for line in lines:
        batch.append(dict(zip(names, json.loads(line), strict=True)))
        count += 1
        if len(batch) >= _BATCH:
            connection.execute(insert(target), batch)
            batch = []
    if batch:
        connection.execute(insert(target), batch)
    return count


def require_shapes(connection: Connection, shapes: Sequence[TableShape]) -> None:
    """``Refused`` unless every table of the backup is here with exactly its columns."""
    found = inspect(connection)
    for shape in shapes:
        here = (
            {each["name"] for each in found.get_columns(shape.name)}
            if found.has_table(shape.name)
            else set[str]()
        )
        there = {each.name for each in shape.columns}
        if here != there:
            raise Refused(
                f"the backup's table {shape.name!r} differs from this release's ({sorted(here ^ there)}): "
                f"restore with the build that made it; nothing was changed"
            )


def resume_numbers(connection: Connection, shape: TableShape) -> None:
    """The next number of the table is above every number that was ever given in it."""
    if not shape.numbered:
        return
    if connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(_quoted(connection, shape.name), shape.numbered)
        if shape.last_number:
            connection.execute(select(func.setval(sequence, shape.last_number)))
        return
    if not _counts_in_a_table(connection, shape.name):
        return
    connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": shape.name})
    connection.execute(
        text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)"),
        {"name": shape.name, "seq": shape.last_number},
    )


def _stored(source: Column[Any]) -> Any:
    kind = _kind(source)
    if kind == "json":
        return cast(source, Text).label(source.name)
    return type_coerce(source, Float(53)).label(source.name) if kind == "time" else source


def _kind(source: Column[Any]) -> str:
    if isinstance(source.type, UtcDateTime):
        return "time"
    if isinstance(source.type, JSON):
        return "json"
    return "boolean" if isinstance(source.type, Boolean) else "plain"


def _bound(kind: str) -> Any:
    return {"json": Text, "boolean": Boolean, "time": Float(53)}.get(kind)


def _last_number(connection: Connection, name: str, numbered: str) -> int:
    highest = select(func.coalesce(func.max(column(numbered, Integer)), 0)).select_from(table(name))
    used = int(connection.execute(highest).scalar_one())
    given = 0
    if connection.dialect.name == "postgresql":
        sequence = connection.execute(
            select(func.pg_get_serial_sequence(_quoted(connection, name), numbered))
        ).scalar()
        if sequence:
            state: Any = connection.execute(
                select(column("last_value"), column("is_called")).select_from(text(sequence))
            ).one()
            given = int(state[0]) if state[1] else 0
    elif _counts_in_a_table(connection, name):
        found = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        given = int(connection.execute(found, {"name": name}).scalar() or 0)
    return max(used, given)


def _counts_in_a_table(connection: Connection, name: str) -> bool:
    made = text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")
    return "AUTOINCREMENT" in str(connection.execute(made, {"name": name}).scalar())


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)
