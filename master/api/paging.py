"""Lists a page at a time, each with the place where the next one begins.

A place is the last shown line's own values, not a count: what is inserted meanwhile shifts nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query

from tasks.errors import InvalidInput
from tasks.record import Record

T = TypeVar("T")
Row = TypeVar("Row")

MOST = 1000
#: Larger than any number that a database gives a row would be refused by it.
_MOST_NUMBER = 2**63 - 1


class Page(Record, Generic[T]):
    """Some lines of a list."""

    items: tuple[T, ...]
    #: Give it as ``cursor`` to go on; null: these were the last.
    next: str | None


class Wanted(Record):
    """Which page a caller wants."""

    cursor: str
    limit: int

    def after(self, of: str, *kinds: type) -> Any:
        """Where the list ``of`` goes on, as a tuple of ``kinds``; None: at its beginning. ``InvalidInput`` for
        a cursor that is none of this list."""
        if not self.cursor:
            return None
        try:
            padded = self.cursor + "=" * (-len(self.cursor) % 4)
            name, *values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if name != of or len(values) != len(kinds):
                raise ValueError
            return tuple(_read(value, kind) for value, kind in zip(values, kinds, strict=True))
        except (ValueError, TypeError, RecursionError):
            raise InvalidInput(
                f"cursor={self.cursor[:60]!r} is not of this list: take 'next' from its last page, or leave it out "
                f"to begin anew"
            ) from None

    def page(self, of: str, rows: Sequence[Row], place: Callable[[Row], tuple[Any, ...]]) -> Page[Any]:
        """The page of ``rows``, which are one more than ``limit`` where there is more."""
        shown = rows[: self.limit]
        more = len(rows) > self.limit
        return Page(items=tuple(shown), next=_write(of, place(shown[-1])) if more else None)

    def cut(self, of: str, rows: Iterable[Row], place: Callable[[Row], tuple[Any, ...]]) -> Page[Any]:
        """The page of a list that is short enough to be read as a whole."""
        ordered = sorted(rows, key=place)
        if ordered:
            after = self.after(of, *(type(value) for value in place(ordered[0])))
            ordered = [row for row in ordered if after is None or place(row) > after]
        else:
            self.after(of)
        return self.page(of, ordered[: self.limit + 1], place)


def _wanted(
    cursor: Annotated[
        str, Query(max_length=500, description="'next' of the page before; none for the first")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=MOST, description="lines of a page")] = 100,
) -> Wanted:
    return Wanted(cursor=cursor, limit=limit)


#: The parameters of every list.
Paging = Annotated[Wanted, Depends(_wanted)]


def _write(of: str, values: tuple[Any, ...]) -> str:
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps([of, *plain]).encode()).decode().rstrip("=")


def _read(value: Any, kind: type) -> Any:
    if kind is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
        return moment
    if kind is int and type(value) is int and 0 <= value <= _MOST_NUMBER:
        return value
    if kind is str and isinstance(value, str) and value.isprintable():
        return value
    raise ValueError
