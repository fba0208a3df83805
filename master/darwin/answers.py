"""Answers that are known already, of this run or another. What failed is never among them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from master.darwin.tables import answers

_DIALECTS: dict[str, Any] = {"postgresql": postgresql, "sqlite": sqlite}
_NEW = {
    name: dialect.insert(answers).on_conflict_do_nothing(index_elements=["key"])
    for name, dialect in _DIALECTS.items()
}
_FIND = select(answers.c.key, answers.c.answer).where(answers.c.key.in_(bindparam("b_keys", expanding=True)))
#: Values in one statement, at most.
_BATCH = 500


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What a candidate made of one example."""

    score: float
    objectives: tuple[float, ...] = ()
    tokens: int = 0
    #: The worker's own, its share of the step.
    seconds: float = 0.0
    #: What it answered and what was wrong with it; "" if nothing was, or nobody wants to know.
    feedback: str = ""

    def dump(self) -> list[Any]:
        return [self.score, list(self.objectives), self.tokens, self.seconds, self.feedback]

    @classmethod
    def load(cls, data: list[Any]) -> Answer:
        score, objectives, tokens, seconds, feedback = data
        return cls(
            score=score, objectives=tuple(objectives), tokens=tokens, seconds=seconds, feedback=feedback
        )


def find_answers(connection: Connection, keys: Iterable[str]) -> dict[str, Answer]:
    """Those of these keys that are known."""
    wanted = list(keys)
    found: dict[str, Answer] = {}
    for start in range(0, len(wanted), _BATCH):
        rows = connection.execute(_FIND, {"b_keys": wanted[start : start + _BATCH]})
        found |= {row.key: Answer.load(json.loads(row.answer)) for row in rows}
    return found


def keep_answers(connection: Connection, run_id: str, new: Mapping[str, Answer], now: datetime) -> None:
    """Remember these; what is known already stays."""
    if not new:
        return
    connection.execute(
        _NEW[connection.dialect.name],
        [
            {"key": key, "answer": json.dumps(answer.dump(), ensure_ascii=False), "run_id": run_id, "at": now}
            for key, answer in sorted(new.items())
        ],
    )
