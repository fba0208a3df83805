"""What an evolution strives for: one score, or several things at once. Pure."""

from __future__ import annotations

import enum
from typing import Any

from master.darwin.engines.book import Entry


class Objectives(enum.StrEnum):
    #: The mean score, and nothing else.
    SCORE = "score"
    #: Score, few tokens and little time: a front of those that none beats in all three.
    SCORE_TOKENS_TIME = "score,tokens,time"
    #: The several scores that an environment returns.
    GIVEN = "given"


def point(entry: Entry[Any], objectives: Objectives) -> tuple[float, ...]:
    """Everything the more the better; tokens and seconds per example answered."""
    if objectives is Objectives.GIVEN:
        return entry.objectives or (entry.mean,)
    if objectives is Objectives.SCORE:
        return (entry.mean,)
    answered = max(1, len(entry.scores))
    return (entry.mean, -entry.tokens / answered, -entry.seconds / answered)
