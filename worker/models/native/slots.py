"""Keys and values of rows: each row's own tokens, and the beginnings that rows share.

A row's own tokens lie in one buffer, every row at its own length. A beginning that several rows share is
held once, on a shelf.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from worker.models.native.buffer import Buffer, KeyValueShape
from worker.models.native.kv import KeyValues
from worker.models.native.shelf import Look, Shelf, look_at

#: A shorter beginning is copied into its rows: looking twice costs more.
_LEAST_SHARED_TOKENS = 16


class Slots:
    """Rows 0 to ``rows`` - 1. A row that leaves is replaced by the last one, so that no other is copied.

    The layout is also what kernels with a key-value cache expect: (rows, columns, key-value heads, size).
    """

    def __init__(self, shape: KeyValueShape) -> None:
        self._shape = shape
        self.buffer = Buffer(shape)
        #: Tokens of its own that each row has, and of its shared beginning.
        self.own: list[int] = []
        self.shared: list[int] = []
        #: By the power of two that a group's rows come up to.
        self._shelves: dict[int, Shelf] = {}
        #: (shelf, place) of each row that shares.
        self._place: list[tuple[int, int] | None] = []
        self._looks: list[Look] | None = None

    @property
    def rows(self) -> int:
        return len(self.own)

    @property
    def lengths(self) -> list[int]:
        """All tokens of each row."""
        return [own + shared for own, shared in zip(self.own, self.shared, strict=True)]

    def add(self, pasts: Sequence[KeyValues], columns: int) -> int:
        """Append rows that begin with these, with room for so many further columns; the first's number."""
        first = self.rows
        groups: dict[int, list[int]] = {}
        for row, past in enumerate(pasts):
            groups.setdefault(id(past), []).append(first + row)
        alone = [rows for rows in groups.values() if not self._is_shared(pasts[rows[0] - first], rows)]
        copied = max((pasts[rows[0] - first].tokens for rows in alone), default=0)
        self.own += [0] * len(pasts)
        self.shared += [0] * len(pasts)
        self._place += [None] * len(pasts)
        self.reserve(copied + columns)
        for rows in groups.values():
            past = pasts[rows[0] - first]
            if rows in alone:
                self._copy(past, rows)
            else:
                self._share(past, rows)
        self._looks = None
        return first

    def _is_shared(self, past: KeyValues, rows: Sequence[int]) -> bool:
        return len(rows) > 1 and past.tokens >= _LEAST_SHARED_TOKENS

    def _copy(self, past: KeyValues, rows: Sequence[int]) -> None:
        for row in rows:
            if past.tokens:
                self.buffer.data[:, :, row, : past.tokens] = past.data
            self.own[row] = past.tokens

    def _share(self, past: KeyValues, rows: Sequence[int]) -> None:
        size = (len(rows) - 1).bit_length()
        shelf = self._shelves.setdefault(size, Shelf(self._shape))
        place = shelf.put(past, rows)
        for row in rows:
            self._place[row] = (size, place)
            self.shared[row] = past.tokens

    def grow(self, columns: Sequence[int], start: int = 0) -> None:
        """The rows from ``start`` on have so many more tokens of their own."""
        for row, more in enumerate(columns, start):
            self.own[row] += more

    def reserve(self, columns: int) -> None:
        """Room for so many tokens of its own in every row."""
        used = max(self.own, default=0)
        self.buffer.reserve(self.rows, columns, self.rows, used)

    def row(self, row: int) -> KeyValues:
        """A copy of all of one row's keys and values."""
        own = self.buffer.data[:, :, row, : self.own[row]]
        place = self._place[row]
        if place is None:
            return KeyValues(own.clone())
        shelf = self._shelves[place[0]]
        return KeyValues(torch.cat([shelf.buffer.data[:, :, place[1], : self.shared[row]], own], dim=2))

    def remove(self, rows: Sequence[int]) -> list[int]:
        """Take rows away. Returns, for every row now, which row it was."""
        gone = set(rows)
        stay = self.rows - len(gone)
        order = list(range(stay))
        movers = [row for row in range(stay, self.rows) if row not in gone]
        holes = [row for row in range(stay) if row in gone]
        data = self.buffer.data
        for hole, mover in zip(holes, movers, strict=True):
            length = self.own[mover]
            data[:, :, hole, :length] = data[:, :, mover, :length]
            order[hole] = mover
        now = {was: row for row, was in enumerate(order)}
        for shelf in self._shelves.values():
            shelf.members = [[now[row] for row in members if row in now] for members in shelf.members]
            shelf.trim()
        self.own = [self.own[row] for row in order]
        self.shared = [self.shared[row] for row in order]
        self._place = [self._place[row] for row in order]
        self._looks = None
        return order

    def clear(self) -> None:
        """Forget all rows. Their memory is kept for the next ones."""
        self.own, self.shared, self._place, self._looks = [], [], [], None
        for shelf in self._shelves.values():
            shelf.members, shelf.lengths = [], []

    def free(self) -> None:
        """Forget all rows and give their memory back."""
        self.clear()
        self.buffer.free()
        self._shelves = {}

    def looks(self, start: int) -> list[Look]:
        """How the rows from ``start`` on look at the shelves."""
        if start == 0 and self._looks is not None:
            return self._looks
        looks = [look_at(shelf, self.rows, start) for shelf in self._shelves.values() if shelf.members]
        found = [look for look in looks if look is not None]
        if start == 0:
            self._looks = found
        return found
