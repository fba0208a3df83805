"""Memory for keys and values that grows when needed and is kept for the next time."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

#: A buffer that is full grows to this many times what is needed.
_GROWTH = 1.25
#: It has a multiple of so many columns.
_COLUMN_STEP = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyValueShape:
    """What one token takes up."""

    layers: int
    heads: int
    size: int
    dtype: torch.dtype
    device: torch.device

    @property
    def token_bytes(self) -> int:
        return 2 * self.layers * self.heads * self.size * self.dtype.itemsize


class Buffer:
    """``data``: (2, layers, rows, columns, key-value heads, head size), all of it finite."""

    def __init__(self, shape: KeyValueShape) -> None:
        self._shape = shape
        self.data = self._made(0, 0)

    def reserve(self, rows: int, columns: int, used_rows: int, used_columns: int) -> None:
        """Make it at least so large; what is used keeps its place and its values."""
        have_rows, have_columns = self.data.shape[2], self.data.shape[3]
        if rows <= have_rows and columns <= have_columns:
            return
        if rows > have_rows:
            rows = max(rows, 2 * have_rows)
        if columns > have_columns:
            columns = -(-int(columns * _GROWTH) // _COLUMN_STEP) * _COLUMN_STEP
        old = self.data
        self.data = self._made(max(rows, have_rows), max(columns, have_columns))
        if used_rows and used_columns:
            self.data[:, :, :used_rows, :used_columns] = old[:, :, :used_rows, :used_columns]

    def free(self) -> None:
        """Give the memory back."""
        self.data = self._made(0, 0)

    def _made(self, rows: int, columns: int) -> torch.Tensor:
        """Zeros: what is never attended to must still be finite."""
        shape = self._shape
        size = (2, shape.layers, rows, columns, shape.heads, shape.size)
        if shape.device.type != "cpu" or not rows * columns:
            return torch.zeros(size, dtype=shape.dtype, device=shape.device)
        # Zero pages that exist once they are written to, in huge pages where the system has them: filling
        # some hundred megabytes takes a CPU as long as many steps of generation.
        raw = np.zeros(int(np.prod(size)) * shape.dtype.itemsize, dtype=np.uint8)
        return torch.from_numpy(raw).view(shape.dtype).view(size)
