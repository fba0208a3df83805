"""Where answers are kept: in this process, and behind it where several servers share them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.models.kept.forms import Answer, Item, Kind
from worker.models.kept.memory import AnswerMemory
from worker.models.kept.shared import SharedAnswers, connect


class AnswerStore:
    """The kept answers of all models of one server, under keys that say whose they are."""

    def __init__(self, memory: AnswerMemory, shared: SharedAnswers | None = None) -> None:
        self._memory = memory
        self._shared = shared

    @property
    def is_shared(self) -> bool:
        return self._shared is not None

    def find(self, key: str) -> Any:
        """The answer that this process keeps, or None."""
        return self._memory.find(key)

    def find_many(self, kind: Kind[Item, Answer], wanted: Mapping[str, Item]) -> dict[str, Answer]:
        """Of these questions by key, the answers that are kept anywhere."""
        here = {key: self._memory.find(key) for key in wanted}
        found: dict[str, Answer] = {key: answer for key, answer in here.items() if answer is not None}
        missing = [key for key in wanted if key not in found]
        if self._shared is None or not missing:
            return found
        for key, written in self._shared.get_many(missing).items():
            answer = kind.read(wanted[key], written)
            if answer is not None:
                self._memory.keep(key, answer, kind.bytes_of(answer))
                found[key] = answer
        return found

    def keep(self, kind: Kind[Item, Answer], answers: Mapping[str, Answer]) -> None:
        """Here at once, and later where they are shared."""
        for key, answer in answers.items():
            self._memory.keep(key, answer, kind.bytes_of(answer))
        if self._shared is not None and answers:
            self._shared.put_many_later(lambda: {key: kind.write(one) for key, one in answers.items()})

    def clear(self) -> None:
        """Forget what this process keeps. What is shared is not this server's alone."""
        self._memory.clear()

    def close(self) -> None:
        if self._shared is not None:
            self._shared.close()


def open_store(mib: int, url: str) -> AnswerStore:
    """A store of so many MiB in this process, shared at ``url`` unless that is ""."""
    return AnswerStore(AnswerMemory(mib * 2**20), connect(url) if url else None)
