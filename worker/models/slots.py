"""Keys and values of the rows that are being generated, all writing at one common column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from worker.models.kv import KeyValues

#: Columns added when a buffer is full.
_ROOM = 64


class Slots:
    """Row buffers for decoding. Stands in for transformers' ``Cache`` in decode steps.

    Rows need not be contiguous: a row attends to the columns marked in ``used``. New tokens of all
    rows are written at column ``cursor``, in place.
    """

    is_compileable = False

    def __init__(self) -> None:
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []
        #: (rows, columns up to the cursor), True where a row has a token.
        self.used = torch.zeros((0, 0), dtype=torch.bool)
        self.cursor = 0

    @property
    def rows(self) -> int:
        return int(self.used.shape[0])

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one new column and return all columns; called by the model once a layer."""
        self._keys[layer][:, :, self.cursor : self.cursor + 1] = keys
        self._values[layer][:, :, self.cursor : self.cursor + 1] = values
        stop = self.cursor + 1
        return self._keys[layer][:, :, :stop], self._values[layer][:, :, :stop]

    def get_seq_length(self, _layer: int = 0) -> int:
        return self.cursor

    def open_column(self) -> torch.Tensor:
        """Make room for one token per row; returns (rows, 1, columns), True where rows may attend."""
        if self.cursor == self._keys[0].shape[2]:
            self._keys = [_padded(key, 0, _ROOM) for key in self._keys]
            self._values = [_padded(value, 0, _ROOM) for value in self._values]
        self.used = torch.cat([self.used, self.used.new_ones((self.rows, 1))], dim=1)
        return self.used[:, None, :]

    def close_column(self) -> None:
        """The new token of every row is written in every layer."""
        self.cursor += 1

    def join(self, arrivals: Sequence[tuple[KeyValues, torch.Tensor]]) -> None:
        """Append rows. Each arrival is its keys and values, and (rows, columns) of which are tokens."""
        width = max([self.cursor, *(new.tokens for new, _ in arrivals)])
        parts = [(KeyValues(self._keys, self._values).first(self.cursor), self.used)] if self.rows else []
        parts += arrivals
        layers = range(len(parts[0][0].keys))
        self._keys = [_stacked([part.keys[at] for part, _ in parts], width) for at in layers]
        self._values = [_stacked([part.values[at] for part, _ in parts], width) for at in layers]
        self.used = torch.cat(
            [torch.nn.functional.pad(used, (width - used.shape[1], 0)) for _, used in parts]
        )
        self.cursor = width

    def select(self, rows: Sequence[int]) -> None:
        """Keep only these rows, and no leading column that none of them uses."""
        index = torch.tensor(rows, dtype=torch.long, device=self.used.device)
        used = self.used[index]
        first = int(used.any(dim=0).int().argmax()) if rows and used.shape[1] else 0
        self._keys = [key[:, :, first:].index_select(0, index) for key in self._keys]
        self._values = [value[:, :, first:].index_select(0, index) for value in self._values]
        self.used = used[:, first:]
        self.cursor = self.cursor - first

    def clear(self) -> None:
        self._keys, self._values, self.cursor = [], [], 0
        self.used = self.used.new_zeros((0, 0))


def _padded(tensor: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """Zero columns added on either side: what is never attended to must still be finite."""
    return torch.nn.functional.pad(tensor, (0, 0, before, after))


def _stacked(parts: Sequence[torch.Tensor], width: int) -> torch.Tensor:
    """Parts as rows of one buffer, right-aligned at ``width``, with room behind it."""
    return torch.cat([_padded(part, width - part.shape[2], _ROOM) for part in parts])
