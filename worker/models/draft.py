"""The text of one request while its tokens come in."""

from __future__ import annotations

from collections.abc import Sequence

from worker.models.native.text import Text
from worker.models.protocol import Generated, GenerateItem

#: What a character looks like of which a token holds only a part.
_PART = "\N{REPLACEMENT CHARACTER}"
#: Tokens looked at beside those that could make up a stop string: some hold half a character.
_MARGIN = 8


class Draft:
    """Finds where the text ends: at an end token, before a stop string, or with the last token.

    Args:
        ends: the model's end tokens; none where the request goes on beyond them.
    """

    def __init__(self, text: Text, item: GenerateItem, ends: frozenset[int]) -> None:
        self._text = text
        self._stops = tuple(stop for stop in item.stop if stop)
        self._ends = ends
        #: A token stands for one byte at least, so a stop string lies within so many.
        self._window = max((len(stop.encode()) for stop in self._stops), default=0) + _MARGIN
        self._read = 0

    def read(self, tokens: Sequence[int], *, last: str = "") -> Generated | None:
        """The result, once these tokens (all that there are so far) make up the whole text. ``last``: why no
        further ones will come, "stop" or "length"; "" where they may."""
        while self._read < len(tokens):
            if tokens[self._read] in self._ends:
                return self._whole(tokens[: self._read], "stop")
            self._read += 1
            if self._stops and self._has_stop(tokens[max(0, self._read - self._window) : self._read]):
                return self._whole(tokens[: self._read], "stop")
        return self._whole(tokens, last) if last else None

    def sure(self, tokens: Sequence[int]) -> str:
        """The text so far, but for an end that further tokens may change."""
        text = self._text.decode(tokens).rstrip(_PART)
        return text[: len(text) - max((_begun(text, stop) for stop in self._stops), default=0)]

    def _has_stop(self, tokens: Sequence[int]) -> bool:
        text = self._text.decode(tokens)
        return any(stop in text for stop in self._stops)

    def _whole(self, tokens: Sequence[int], finish: str) -> Generated:
        text = self._text.decode(tokens)
        cuts = [text.index(stop) for stop in self._stops if stop in text]
        if cuts:
            text, finish = text[: min(cuts)], "stop"
        return Generated(text=text, tokens=len(tokens), finish=finish)


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of ``text`` may be the beginning of ``stop``."""
    sizes = range(min(len(stop), len(text)), 0, -1)
    return next((size for size in sizes if text.endswith(stop[:size])), 0)
