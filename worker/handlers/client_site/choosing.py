"""Choosing among phrasings by likelihood, corrected for what a model likes anyway.

A short or common phrase is likely after any prompt. What counts is how much the brief makes it
likelier than a prompt that says nothing (domain-conditional PMI: Holtzman et al., "Surface Form
Competition", 2021, arXiv:2104.08315), here per token so that long phrasings can compete.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from worker.models.protocol import Models, ScoreItem

_SYSTEM = "You help a small business with its website."
_NOTHING = "A business."


@dataclasses.dataclass(frozen=True)
class Ballot:
    """One question and its possible answers (at least two)."""

    question: str
    answers: tuple[str, ...]


def weigh(models: Models, model: str, about: str, ballots: Sequence[Ballot]) -> list[tuple[float, ...]]:
    """For each ballot a score per answer, in nats per token: higher is a better fit with ``about``."""
    items = [
        ScoreItem(prompt=_prompt(models, model, text, ballot.question), choices=ballot.answers)
        for text in (about, _NOTHING)
        for ballot in ballots
    ]
    scored = models.score(model, items)
    informed, neutral = scored[: len(ballots)], scored[len(ballots) :]
    return [
        tuple(
            (with_brief - without) / max(1, tokens)
            for with_brief, without, tokens in zip(one.logprobs, two.logprobs, one.tokens, strict=True)
        )
        for one, two in zip(informed, neutral, strict=True)
    ]


def best(scores: Sequence[float]) -> int:
    """Index of the highest score; the first of equals."""
    return max(range(len(scores)), key=lambda index: (scores[index], -index))


def _prompt(models: Models, model: str, about: str, question: str) -> str:
    return models.chat_prompt(model, [("system", _SYSTEM), ("user", f"{about}\n\n{question}")])
