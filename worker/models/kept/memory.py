"""Answers kept in this process, the least recently wanted dropped when others need their place."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any


class AnswerMemory:
    """At most so many bytes of answers. Safe to use from many threads.

    It does not know what it holds: a key says of which kind its answer is.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        #: Key -> (answer, its bytes), least recently wanted first.
        self._answers: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        with self._lock:
            return self._bytes

    def find(self, key: str) -> Any:
        """The answer, which from now on is the most recently wanted; None where there is none."""
        with self._lock:
            if key not in self._answers:
                return None
            self._answers.move_to_end(key)
            return self._answers[key][0]

    def keep(self, key: str, answer: Any, size: int) -> None:
        """``size``: what it takes up. One that would fill more than all there is is not kept."""
        if size > self._limit_bytes:
            return
        with self._lock:
            _, before = self._answers.pop(key, (None, 0))
            self._bytes += size - before
            self._answers[key] = (answer, size)
            while self._bytes > self._limit_bytes:
                _, (_, dropped) = self._answers.popitem(last=False)
                self._bytes -= dropped

    def clear(self) -> None:
        with self._lock:
            self._answers.clear()
            self._bytes = 0
