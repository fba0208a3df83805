"""How often Telegram lets a bot speak; who is faster gets 429.

https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
"""

from __future__ import annotations

import time
from collections import deque

_OVERALL, _CHAT, _GROUP = (30, 1.0), (1, 1.0), (20, 60.0)
#: What the network may shift two messages against each other.
_TOLERANCE_S = 0.02


class TooMany(Exception):
    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Too Many Requests: retry after {retry_after_s}")
        self.retry_after_s = retry_after_s


class SpeedLimits:
    """Sliding windows over the moments at which messages were taken."""

    def __init__(self) -> None:
        self._windows: dict[object, deque[float]] = {}
        self.refused = 0

    def check(self, chat: int) -> None:
        """``TooMany`` when this message comes too early; else it counts."""
        now = time.monotonic()
        rules: list[tuple[object, tuple[int, float]]] = [("all", _OVERALL), (("chat", chat), _CHAT)]
        if chat < 0:
            rules.append((("group", chat), _GROUP))
        for name, (most, span_s) in rules:
            window = self._windows.setdefault(name, deque(maxlen=most))
            if len(window) == most and now - window[0] < span_s - _TOLERANCE_S:
                self.refused += 1
                raise TooMany(max(1, round(window[0] + span_s - now + 0.5)))
        for name, _ in rules:
            self._windows[name].append(now)
