"""Keys and values of computed tokens: those of a prefix that many requests share."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from typing import Protocol

import torch

from worker.models.native.plan import Tokens, common_prefix


@dataclasses.dataclass(frozen=True)
class KeyValues:
    """Keys and values of one row: (2, layers, tokens, key-value heads, head size)."""

    data: torch.Tensor

    @property
    def tokens(self) -> int:
        return int(self.data.shape[2])

    @property
    def bytes(self) -> int:
        return int(self.data.nbytes)

    def first(self, tokens: int) -> KeyValues:
        """A view of the first ``tokens``."""
        return KeyValues(self.data[:, :, :tokens])

    def copied(self) -> KeyValues:
        """The same in memory of its own, so that the rest of a batch can be freed."""
        return KeyValues(self.data.clone())


#: Of no token.
NOTHING = KeyValues(torch.zeros((2, 0, 0, 0, 0)))


class Past(Protocol):
    """What the tokens of a forward pass attend to, and where their own keys and values go."""

    def attend(
        self, layer: int, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """Take in the new tokens' keys and values, (rows, columns, key-value heads, head size), and attend
        from ``query``, (rows, columns, heads, head size), to all that may be seen.

        Returns:
            (rows, columns, heads x head size).
        """
        ...


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
        """Keep the keys and values of exactly these tokens; beginnings of them need not be kept beside."""
        if prefix in self._entries or computed.bytes > self._max_bytes:
            return
        for shorter in [entry for entry in self._entries if prefix[: len(entry)] == entry]:
            self.bytes -= self._entries.pop(shorter).bytes
        self._entries[prefix] = computed
        self.bytes += computed.bytes
        while self.bytes > self._max_bytes:
            _, dropped = self._entries.popitem(last=False)
            self.bytes -= dropped.bytes

    def clear(self) -> None:
        self._entries.clear()
        self.bytes = 0
