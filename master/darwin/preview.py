"""A data set or program looked at before anything is started: what a run would make of it, or every line
that is wrong. Pure; the same checks as the run's own."""

from __future__ import annotations

import dataclasses
from collections import Counter

from master.darwin.columns import Columns, Reading
from master.darwin.dataset import MAX_BYTES, Row, Table, columns_of, decode, parse, read_row, records_of
from master.darwin.environment import Environment, read_environment
from master.darwin.split import divide
from tasks.darwin_genome import Corpus
from tasks.errors import InvalidInput

#: Examples shown, and wrong lines named.
SHOWN = 6
MOST_PROBLEMS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preview:
    """What a run would make of it. Where there are problems, nothing can be started from it."""

    problems: tuple[str, ...] = ()
    #: There may be more wrong lines than are named.
    more: bool = False
    #: What the file has, in its order.
    present: tuple[str, ...] = ()
    columns: Columns | None = None
    table: Table | None = None
    corpus: Corpus | None = None
    environment: Environment | None = None

    @property
    def ready(self) -> bool:
        return not self.problems

    @property
    def parts(self) -> list[tuple[str, int]]:
        """How the examples are divided."""
        if self.corpus is None:
            return []
        return [(part, len(self.corpus.ids(part))) for part in ("pool", "selection", "held_out")]

    @property
    def labels(self) -> list[tuple[str, int]]:
        """The labels, the most frequent first."""
        return Counter(row.expected for row in self.table.rows).most_common() if self.table else []

    @property
    def examples(self) -> tuple[Row, ...]:
        return self.table.rows[:SHOWN] if self.table else ()


def preview_examples(data: bytes, name: str, reading: Reading, seed: int = 0) -> Preview:
    """``data`` as a data set. Never raises for what is wrong in it."""
    try:
        present, columns = _header(data, name, reading)
    except InvalidInput as error:
        return Preview(problems=(str(error),), present=_present(data, name))
    try:
        table = parse(data, name, reading)
        corpus = divide(table, seed)
    except InvalidInput as error:
        problems, more = _wrong_lines(data, name, reading, columns)
        return Preview(problems=problems or (str(error),), more=more, present=present, columns=columns)
    return Preview(present=present, columns=columns, table=table, corpus=corpus)


def preview_program(data: bytes, name: str) -> Preview:
    """``data`` as a program with ``evaluate``; it is read, never run."""
    try:
        return Preview(environment=read_environment(data, name))
    except InvalidInput as error:
        return Preview(problems=(str(error),))


def _header(data: bytes, name: str, reading: Reading) -> tuple[tuple[str, ...], Columns | None]:
    if len(data) > MAX_BYTES:
        return (), None  # ``parse`` says so
    for line, record in records_of(decode(data, name), name):
        if not isinstance(record, InvalidInput):
            return tuple(record), columns_of(record, line, name, reading)
    return (), None


def _present(data: bytes, name: str) -> tuple[str, ...]:
    try:
        records = (record for _, record in records_of(decode(data, name), name))
        return next((tuple(one) for one in records if not isinstance(one, InvalidInput)), ())
    except InvalidInput:
        return ()


def _wrong_lines(
    data: bytes, name: str, reading: Reading, columns: Columns | None
) -> tuple[tuple[str, ...], bool]:
    """What is wrong line by line; nothing where it is the whole that does not do."""
    found: list[str] = []
    if columns is None or len(data) > MAX_BYTES:
        return (), False
    for line, record in records_of(decode(data, name), name):
        if isinstance(record, InvalidInput):
            found.append(str(record))
        else:
            try:
                read_row(record, columns, reading, f"{name}:{line}", line)
            except InvalidInput as error:
                found.append(str(error))
        if len(found) > MOST_PROBLEMS:
            return tuple(found[:MOST_PROBLEMS]), True
    return tuple(found), False
