"""Beginnings that several rows share, held once for all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from worker.models.native.attention import additive
from worker.models.native.buffer import Buffer, KeyValueShape
from worker.models.native.kv import KeyValues


class Shelf:
    """Shared beginnings of like numbers of rows."""

    def __init__(self, shape: KeyValueShape) -> None:
        self.buffer = Buffer(shape)
        #: Per place the rows that share it; none where the place is free.
        self.members: list[list[int]] = []
        self.lengths: list[int] = []

    def put(self, past: KeyValues, rows: Sequence[int]) -> int:
        """Hold ``past`` for these rows; returns its place."""
        place = next((at for at, members in enumerate(self.members) if not members), len(self.members))
        if place == len(self.members):
            self.members.append([])
            self.lengths.append(0)
        used = max(self.lengths)
        self.buffer.reserve(len(self.members), past.tokens, len(self.members) - 1, used)
        self.buffer.data[:, :, place, : past.tokens] = past.data
        self.members[place] = list(rows)
        self.lengths[place] = past.tokens
        return place

    def trim(self) -> None:
        """Forget free places at the end."""
        while self.members and not self.members[-1]:
            self.members.pop()
            self.lengths.pop()


@dataclasses.dataclass(frozen=True)
class Look:
    """How the rows of a pass look at one shelf."""

    shelf: Shelf
    #: (places x most members): the row of the pass at each, any row where there is none.
    rows: torch.Tensor
    places: int
    #: Per row of the pass, its place in ``rows``; 0 for rows that share nothing here.
    at: torch.Tensor
    #: (rows, 1, 1), True for rows that share something here.
    sharing: torch.Tensor
    #: Whether all rows do.
    by_all: bool
    #: (places, 1, 1, tokens)
    mask: torch.Tensor


def look_at(shelf: Shelf, rows: int, start: int) -> Look | None:
    """How the rows from ``start`` on, of so many, look at a shelf; None where none of them shares there."""
    device = shelf.buffer.data.device
    members = [[row - start for row in place if row >= start] for place in shelf.members]
    most = max((len(place) for place in members), default=0)
    if not most:
        return None
    asked = [[*place, *[0] * (most - len(place))] for place in members]
    at, sharing = [0] * (rows - start), [False] * (rows - start)
    for number, place in enumerate(members):
        for order, row in enumerate(place):
            at[row], sharing[row] = number * most + order, True
    longest = max(shelf.lengths)
    # A free place still holds something finite, which nobody reads.
    lengths = torch.tensor([max(1, length) for length in shelf.lengths], device=device)
    mask = additive(torch.arange(longest, device=device) < lengths[:, None], shelf.buffer.data.dtype)
    return Look(
        shelf=shelf,
        rows=torch.tensor(asked, device=device).flatten(),
        places=len(members),
        at=torch.tensor(at, device=device),
        sharing=torch.tensor(sharing, device=device)[:, None, None],
        by_all=all(sharing),
        mask=mask[:, None, None],
    )
