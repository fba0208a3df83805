"""What a population's evolution goes by."""

from __future__ import annotations

import dataclasses

from master.darwin.engines.breed import Breeding
from master.darwin.engines.objectives import Objectives
from master.darwin.engines.protocol import Examples


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    seed: int
    #: Trials, at most.
    budget: int
    #: First genomes; and those that hold a place, where there is one block.
    population: int = 10
    #: Shared blocks of examples; every example in one of them.
    blocks: tuple[Examples, ...] = ((0,),)
    objectives: Objectives = Objectives.SCORE
    breeding: Breeding = dataclasses.field(default_factory=Breeding)
    #: Chance that a parent is one that is still under evaluation.
    unborn_parents: float = 0.1
    #: Share of new genomes that a capable model is to write; 0: none.
    reflect: float = 0.0
    #: GEPA: rewritings that it asks for at once.
    proposals: int = 1
    #: See ``racing.Rules``.
    alpha: float = 0.2

    @property
    def places(self) -> int:
        """How many may hold a place. Half of the population where they race for it: a child is let go when
        all that hold one are better beyond chance, and the fewer they are, the sooner that shows."""
        races = len(self.blocks) > 1 and self.objectives is Objectives.SCORE
        return max(2, self.population // 2) if races else self.population
