"""What a run has found so far, in the form that selection continues from and reports are made of. Pure."""

from __future__ import annotations

import dataclasses

from master.darwin.genome import Individual
from master.darwin.selection import Evaluation, Ranked, rank


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generation:
    """One population, evaluated."""

    number: int
    individuals: tuple[Individual, ...]
    #: Those that could be evaluated, best first.
    ranked: tuple[Ranked, ...]
    #: Genomes evaluated here for the first time.
    evaluated: int
    #: Individual id -> why it could not be evaluated.
    failed: dict[str, str]

    @property
    def accuracies(self) -> list[float]:
        return [one.evaluation.accuracy for one in self.ranked]


@dataclasses.dataclass(frozen=True, kw_only=True)
class History:
    """All generations so far, oldest first. Whoever asks for the best has at least the seeds."""

    generations: tuple[Generation, ...]

    @property
    def ranked(self) -> list[Ranked]:
        """Every individual that was evaluated, once, best first."""
        unique = {one.individual.id: one for generation in self.generations for one in generation.ranked}
        return rank(unique.values())

    @property
    def best(self) -> Ranked:
        return self.ranked[0]

    @property
    def best_seed(self) -> Ranked:
        return self.generations[0].ranked[0]

    def find(self, name: str) -> Individual:
        """The individual of this id; ``KeyError`` if the run has none."""
        for generation in self.generations:
            for individual in generation.individuals:
                if individual.id == name:
                    return individual
        raise KeyError(name)

    def lineage(self, individual: Individual) -> list[Individual]:
        """It and its ancestors, youngest first, each once."""
        found: dict[str, Individual] = {}
        waiting = [individual]
        while waiting:
            one = waiting.pop(0)
            if one.id not in found:
                found[one.id] = one
                waiting.extend(self.find(parent) for parent in one.parents)
        return sorted(found.values(), key=lambda one: (-one.generation, one.id))


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Best seed and best of all on the examples that selection never saw."""

    seed: Evaluation
    best: Evaluation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fleet:
    """What answered, summed over every evaluation."""

    prompt_tokens: int
    model_seconds: float
    #: (model, sha256, dtype) -> examples answered.
    models: dict[tuple[str, str, str], int]
