"""Keys and values of computed tokens: how they are handed to a model, and the prefixes kept."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from typing import Any

import torch

from worker.models.plan import Tokens, common_prefix


@dataclasses.dataclass(frozen=True)
class KeyValues:
    """Per layer, keys and values of shape (rows, key-value heads, tokens, head size)."""

    keys: list[torch.Tensor]
    values: list[torch.Tensor]

    @property
    def tokens(self) -> int:
        return int(self.keys[0].shape[2]) if self.keys else 0

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in (*self.keys, *self.values))

    def first(self, tokens: int) -> KeyValues:
        """A view of the first ``tokens`` columns."""
        return KeyValues([key[:, :, :tokens] for key in self.keys], [v[:, :, :tokens] for v in self.values])

    def rows(self, start: int, stop: int) -> KeyValues:
        """A view of these rows."""
        return KeyValues([key[start:stop] for key in self.keys], [v[start:stop] for v in self.values])

    def copied(self) -> KeyValues:
        """The same in memory of its own, so that the rest of a batch can be freed."""
        return KeyValues([key.clone() for key in self.keys], [value.clone() for value in self.values])


NOTHING = KeyValues([], [])


class PastTokens:
    """Stands in for transformers' ``Cache``: what came before, shared by all rows of a forward pass.

    Models call ``update`` once a layer and attend to what it returns.

    Args:
        past: one row of keys and values, or ``NOTHING``.
        keep: collect past and new tokens of every row in ``collected``.
    """

    is_compileable = False

    def __init__(self, past: KeyValues, *, keep: bool) -> None:
        self._past = past
        self._keep = keep
        self.collected = KeyValues([], [])

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self._past.keys:
            rows = keys.shape[0]
            keys = torch.cat([self._past.keys[layer].expand(rows, -1, -1, -1), keys], dim=2)
            values = torch.cat([self._past.values[layer].expand(rows, -1, -1, -1), values], dim=2)
        if self._keep:
            self.collected.keys.append(keys)
            self.collected.values.append(values)
        return keys, values

    def get_seq_length(self, _layer: int = 0) -> int:
        return self._past.tokens


class PrefixCache:
    """Computed prefixes, the least recently used dropped first to stay within ``max_bytes``."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Tokens, KeyValues] = OrderedDict()
        self.bytes = 0

    def prefixes(self) -> list[Tokens]:
        return list(self._entries)

    def longest(self, prefix: Tokens) -> KeyValues:
        """Keys and values of the longest kept beginning of ``prefix``, ``NOTHING`` if there is none."""
        best = max(self._entries, key=lambda entry: common_prefix(entry, prefix), default=())
        length = common_prefix(best, prefix)
        if not length:
            return NOTHING
        self._entries.move_to_end(best)
        return self._entries[best].first(length)

    def keep(self, prefix: Tokens, computed: KeyValues) -> None:
        """Keep one row of keys and values for exactly these tokens."""
        if prefix in self._entries or computed.bytes > self._max_bytes:
            return
        self._entries[prefix] = computed
        self.bytes += computed.bytes
        while self.bytes > self._max_bytes:
            _, dropped = self._entries.popitem(last=False)
            self.bytes -= dropped.bytes

    def clear(self) -> None:
        self._entries.clear()
        self.bytes = 0
