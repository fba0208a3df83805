"""How fast we may speak, so that Telegram never has to tell us to be quiet. Pure.

No more than 30 messages in a second, one in a second to a chat, 20 in a minute to a group
(https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this). Each limit is a sliding
window and not a bucket: a bucket that was full lets twice as much pass in one span.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from tasks.record import Record


class Rate(Record):
    most: int
    per_s: float


class Limits(Record):
    """Spans are a little longer than Telegram's: messages do not travel equally fast."""

    overall: Rate = Rate(most=30, per_s=1.05)
    #: Of any chat.
    chat: Rate = Rate(most=1, per_s=1.05)
    #: Of a group, beside that of any chat.
    group: Rate = Rate(most=20, per_s=61.0)


class Window:
    """The newest moments at which something was said, as many as the rate allows."""

    def __init__(self, rate: Rate) -> None:
        self._span = timedelta(seconds=rate.per_s)
        self._said: deque[datetime] = deque(maxlen=rate.most)

    def wait_s(self, now: datetime) -> float:
        """Seconds until the next may be said; 0 for now."""
        if self._said and self._said[-1] > now:  # the clock was put back
            self._said.clear()
        if len(self._said) < (self._said.maxlen or 0):
            return 0.0
        return max(0.0, (self._said[0] + self._span - now).total_seconds())

    def note(self, now: datetime) -> None:
        self._said.append(now)

    def is_over(self, now: datetime) -> bool:
        """Nothing in it counts any more."""
        return not self._said or self._said[-1] + self._span <= now


class Pace:
    """When a chat may be written to. Remembers no chat longer than its limits last."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._overall = Window(limits.overall)
        self._chats: dict[int, tuple[Window, ...]] = {}

    def wait_s(self, chat_id: int, now: datetime) -> float:
        """Seconds until this chat may be written to; 0 for now."""
        windows = self._chats.get(chat_id, ())
        return max([self._overall.wait_s(now), *(window.wait_s(now) for window in windows)])

    def note(self, chat_id: int, now: datetime) -> None:
        """Something was sent to this chat, or edited there."""
        self._forget(now)
        windows = self._chats.setdefault(chat_id, self._windows(chat_id))
        for window in (self._overall, *windows):
            window.note(now)

    def held(self, now: datetime) -> dict[int, float]:
        """Chats that may not be written to now -> for how many seconds."""
        waits = {chat: max(window.wait_s(now) for window in w) for chat, w in self._chats.items()}
        return {chat: wait for chat, wait in waits.items() if wait > 0}

    def _windows(self, chat_id: int) -> tuple[Window, ...]:
        # Telegram numbers groups below zero, and people above.
        rates = (self._limits.chat, self._limits.group) if chat_id < 0 else (self._limits.chat,)
        return tuple(Window(rate) for rate in rates)

    def _forget(self, now: datetime) -> None:
        over = [c for c, windows in self._chats.items() if all(window.is_over(now) for window in windows)]
        for chat_id in over:
            del self._chats[chat_id]
