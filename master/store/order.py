"""Reading on from a row: what comes behind it in an order, whatever was inserted before it meanwhile."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, false, or_

Way = Literal["asc", "desc"]


def later_of(*order: tuple[ColumnElement[Any], Way], after: tuple[Any, ...]) -> ColumnElement[bool]:
    """The condition for rows that ``order`` puts behind a row with the values ``after``. Together, the columns
    name one row."""
    behind: ColumnElement[bool] = false()
    for (column, way), value in reversed(list(zip(order, after, strict=True))):
        beyond = column < value if way == "desc" else column > value
        behind = or_(beyond, and_(column == value, behind))
    return behind
