"""Column types that behave the same on SQLite and Postgres."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Float, literal_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time, stored as seconds since the epoch: exact to the microsecond, sortable and
    comparable in SQL on both databases. A naive time is refused.
    """

    impl = Float(53)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone: times are aware UTC")
        return value.timestamp()

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value, UTC)


def one_of(column: ColumnElement[Any], constants: Iterable[enum.StrEnum]) -> ColumnElement[bool]:
    """``column IN (...)``, the constants written into the statement. As parameters they would be counted out
    anew at each execution, which shows where that is once for every step."""
    texts = [str(constant) for constant in constants]
    assert all(text.isidentifier() for text in texts), texts
    return column.in_([literal_column(f"'{text}'") for text in texts])
