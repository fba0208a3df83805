"""Text genomes as an engine sees them (``engines.protocol.Variation``). Pure."""

from __future__ import annotations

import dataclasses
import difflib
import random
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from master.darwin.genome import Space, random_seed, seed_genomes
from master.darwin.operators import crossover, mutate
from tasks.darwin_genome import Corpus, Genome, digest
from tasks.errors import InvalidInput

#: Chance of each further mutation after the first; their number is geometric.
_MORE = 0.5
#: Attempts at a mutation that changes something.
_TRIES = 20


@dataclasses.dataclass(frozen=True)
class TextVariation:
    """What can be done with the genomes of one run."""

    space: Space
    #: For people: what the demonstrations say. Without it they are named by number.
    corpus: Corpus | None = None

    def seeds(self, count: int, seed: int) -> Sequence[Genome]:
        return seed_genomes(self.space, count, seed)

    def mutate(self, genome: Genome, rng: random.Random) -> tuple[Genome, tuple[str, ...]]:
        """At least one mutation that changes something, then as many as chance has it."""
        names: list[str] = []
        changed = genome
        for _ in range(_TRIES):
            mutated, name = mutate(changed, self.space, rng)
            if mutated == changed:
                continue
            changed = mutated
            names.append(name)
            if rng.random() >= _MORE and changed != genome:
                break
        return changed, tuple(names)

    def cross(self, mother: Genome, father: Genome, rng: random.Random) -> Genome:
        return crossover(mother, father, rng)

    def newcomer(self, rng: random.Random) -> Genome:
        return random_seed(self.space, rng, rng.randrange(4))

    def digest(self, genome: Genome) -> str:
        return digest(genome)

    def describe_difference(self, parent: Genome, child: Genome) -> str:
        before, after = self._lines(parent), self._lines(child)
        if before == after:
            return ""
        told = difflib.ndiff(before, after)
        return "\n".join(line.rstrip() for line in told if not line.startswith("?"))

    def dump(self, genome: Genome) -> Any:
        return genome.model_dump(mode="json")

    def load(self, data: Any) -> Genome:
        """Also refuses what is a genome, but not of this run."""
        try:
            genome = Genome.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise InvalidInput(f"not a genome: {place}: {first['msg']}") from None
        if self.space.kind == "classify" and len(genome.label_words) != len(self.space.labels):
            raise InvalidInput(
                f"not a genome of this run: it has {len(genome.label_words)} label words and the data set "
                f"{len(self.space.labels)} labels"
            )
        if strange := set(genome.demonstrations.fixed) - set(self.space.pool_ids):
            raise InvalidInput(
                f"not a genome of this run: the examples {sorted(strange)} may not be shown, for they are not "
                "in the pool"
            )
        return genome

    def _lines(self, genome: Genome) -> list[str]:
        """The genome for people, one gene a line."""
        texts = {"role": genome.role, "instruction": genome.instruction, "format": genome.format}
        lines: list[str] = []
        for name in genome.order:
            if name == "examples":
                lines += [f"example: {self._example(at)}" for at in genome.demonstrations.fixed]
                if genome.demonstrations.retrieved:
                    order = genome.demonstrations.order.replace("_", " ")
                    lines.append(f"examples like the question: {genome.demonstrations.retrieved}, {order}")
            elif texts[name]:
                lines.append(f"{name}: {texts[name]}")
        shown = genome.layout
        lines.append(f"layout: {shown.before_input!r} ... {shown.before_label!r} ... {shown.between!r}")
        if genome.chat:
            lines.append("through the model's chat template")
        return lines + self._answering(genome)

    def _answering(self, genome: Genome) -> list[str]:
        if self.space.kind == "classify":
            scoring = genome.scoring
            words = "per token" if scoring.length_normalized else "whole words"
            return [
                f"label words: {', '.join(genome.label_words)}",
                f"weighed: {words}, calibration {scoring.calibration:g}, temperature {scoring.temperature:g}",
            ]
        sampling = genome.sampling
        held = "held to the grammar" if sampling.constrained else "free"
        return [
            f"generated: temperature {sampling.temperature:g}, top-p {sampling.top_p:g}, "
            f"at most {sampling.max_new_tokens} tokens, {held}"
        ]

    def _example(self, at: int) -> str:
        if self.corpus is None:
            return f"number {at}"
        one = self.corpus.examples[at]
        return f"{' '.join(one.input.split())[:120]} -> {one.expected[:80]}"
