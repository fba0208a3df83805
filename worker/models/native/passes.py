"""How the tokens of one forward pass attend: to what a row has of its own, and to what it shares.

Attention looks at a shared beginning for all its rows in one go, and both parts are put together by
their softmax's denominators, as FlashAttention does with its blocks (Dao et al. 2022,
arXiv:2205.14135; for shared prefixes Juravsky et al. 2024, arXiv:2402.05099).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from worker.models.native.attention import additive, attend, attend_causally, attend_with_weight
from worker.models.native.shelf import Look
from worker.models.native.slots import Slots

#: New columns from which on leaving out what none may see is worth its own way.
_MANY = 256


class Window:
    """A forward pass over ``columns`` new tokens of each row from ``start`` on, behind what it has.

    Shorter rows are padded behind; what padding writes is overwritten before it is ever seen.

    Args:
        visible: (rows, columns, own tokens), True where a token may attend, for rows whose new tokens are
            not one text; None: every token sees all before it.
    """

    def __init__(self, slots: Slots, start: int, columns: int, visible: torch.Tensor | None = None) -> None:
        own = slots.own[start:]
        self._stop = max(own) + columns
        slots.reserve(self._stop)
        data = slots.buffer.data
        self._data = data
        self._rows = slice(start, slots.rows)
        self._looks = slots.looks(start)
        #: Where all rows have as much, new columns lie side by side.
        self._together = slice(own[0], self._stop) if min(own) == max(own) else None
        places = torch.tensor(own, device=data.device)[:, None] + torch.arange(columns, device=data.device)
        if self._together is None:
            first = torch.arange(start, slots.rows, device=data.device)[:, None] * data.shape[3]
            self._places = (first + places).flatten()
            # (2, layers, rows x columns, key-value heads, head size)
            self._flat = data.view(*data.shape[:2], -1, *data.shape[4:])
        #: Nothing lies before the new tokens: attention needs no mask.
        self._first = visible is None and max(own) == 0 and not self._looks and columns >= _MANY
        if visible is None:
            ends = places[:1] if self._together is not None else places
            visible = torch.arange(self._stop, device=data.device) <= ends[:, :, None]
        self._mask = additive(visible, data.dtype)[:, None]

    def attend(
        self, layer: int, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float
    ) -> torch.Tensor:
        held = self._data[:, layer, self._rows]
        if self._together is not None:
            held[0, :, self._together] = keys
            held[1, :, self._together] = values
        else:
            self._flat[0, layer].index_copy_(0, self._places, keys.flatten(0, 1))
            self._flat[1, layer].index_copy_(0, self._places, values.flatten(0, 1))
        if self._first:
            return attend_causally(query, keys, values, scale)
        return _mixed(
            layer, query, held[0, :, : self._stop], held[1, :, : self._stop], self._mask, scale, self._looks
        )


class Step:
    """A forward pass over one new token of every row."""

    def __init__(self, slots: Slots) -> None:
        self._longest = max(slots.own) + 1
        slots.reserve(self._longest)
        data = slots.buffer.data
        columns = data.shape[3]
        self._rows = slots.rows
        self._looks = slots.looks(0)
        places = [row * columns + own for row, own in enumerate(slots.own)]
        self._places = torch.tensor(places, device=data.device)
        own = torch.tensor(slots.own, device=data.device)
        visible = torch.arange(self._longest, device=data.device) <= own[:, None]
        self._mask = additive(visible, data.dtype)[:, None, None]
        self._flat = data.view(*data.shape[:2], -1, *data.shape[4:])
        self._data = data

    def attend(
        self, layer: int, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float
    ) -> torch.Tensor:
        self._flat[0, layer].index_copy_(0, self._places, keys[:, 0])
        self._flat[1, layer].index_copy_(0, self._places, values[:, 0])
        held = self._data[:, layer, : self._rows, : self._longest]
        return _mixed(layer, query, held[0], held[1], self._mask, scale, self._looks)


def _mixed(
    layer: int,
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    scale: float,
    looks: Sequence[Look],
) -> torch.Tensor:
    """Attention to a row's own tokens, and to what it shares."""
    if not looks:
        return attend(query, keys, values, mask, scale)
    output, weight = attend_with_weight(query, keys, values, mask, scale)
    rows, columns, heads, size = query.shape
    for look in looks:
        held = look.shelf.buffer.data[:, layer, : look.places, : look.mask.shape[3]]
        # All tokens of all rows of a group as one long row of queries.
        asked = query.index_select(0, look.rows).view(look.places, -1, heads, size)
        seen, heavy = attend_with_weight(asked, held[0], held[1], look.mask, scale)
        seen = seen.reshape(-1, columns, heads, size).index_select(0, look.at)
        heavy = heavy.reshape(-1, columns, heads).index_select(0, look.at)
        if not look.by_all:
            heavy = torch.where(look.sharing, heavy, float("-inf"))
        # Both are means under their own softmax: weigh them by their shares of the whole.
        share = torch.sigmoid(heavy - weight)[..., None].to(output.dtype)
        output = torch.lerp(output, seen, share)
        if look is not looks[-1]:
            weight = torch.logaddexp(weight, heavy)
    return output.reshape(rows, columns, heads * size)
