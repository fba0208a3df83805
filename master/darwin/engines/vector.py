"""Genomes that are numbers: vectors within bounds, of real numbers, whole numbers or bits. Pure."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Sequence
from typing import Any

from pydantic import Field, model_validator

from tasks.errors import InvalidInput
from tasks.record import Record

#: Distribution indexes of simulated binary crossover and polynomial mutation, as DEAP's examples have them.
_ETA = 20.0

Vector = tuple[float, ...]


class Space(Record):
    """Where the numbers may lie."""

    size: int = Field(ge=1, le=10_000)
    low: float = 0.0
    high: float = 1.0
    #: Whole numbers only; with bounds 0 and 1, bits.
    whole: bool = False

    @model_validator(mode="after")
    def _has_room(self) -> Space:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"bounds {self.low} and {self.high} leave no room: low must be below high")
        return self


class VectorVariation:
    """``master.darwin.engines.protocol.Variation`` of vectors.

    Real numbers: simulated binary crossover and polynomial mutation, bounded (K. Deb and R. Agrawal,
    Complex Systems 9 (1995) 115-148; Deb et al. 2002). Whole numbers: uniform crossover, and a new value in
    one place of ``size`` on average, at least one.
    """

    def __init__(self, space: Space) -> None:
        self._space = space

    @property
    def space(self) -> Space:
        """Where the vectors lie."""
        return self._space

    def seeds(self, count: int, seed: int) -> list[Vector]:
        rng = random.Random(f"{seed}:vector")
        return [self.newcomer(rng) for _ in range(count)]

    def newcomer(self, rng: random.Random) -> Vector:
        space = self._space
        if space.whole:
            return tuple(rng.randint(int(space.low), int(space.high)) for _ in range(space.size))
        return tuple(rng.uniform(space.low, space.high) for _ in range(space.size))

    def mutate(self, genome: Vector, rng: random.Random) -> tuple[Vector, tuple[str, ...]]:
        changed = [at for at in range(len(genome)) if rng.random() * len(genome) < 1]
        if not changed:
            changed = [rng.randrange(len(genome))]
        made = list(genome)
        for at in changed:
            made[at] = self._another(made[at], rng) if self._space.whole else self._moved(made[at], rng)
        return tuple(made), ("mutate",)

    def cross(self, mother: Vector, father: Vector, rng: random.Random) -> Vector:
        if self._space.whole:
            return tuple(rng.choice(pair) for pair in zip(mother, father, strict=True))
        return tuple(self._between(a, b, rng) for a, b in zip(mother, father, strict=True))

    def _another(self, value: float, rng: random.Random) -> int:
        low, high = int(self._space.low), int(self._space.high)
        drawn = rng.randint(low, high - 1)
        return drawn + 1 if drawn >= value else drawn

    def _moved(self, value: float, rng: random.Random) -> float:
        low, high = self._space.low, self._space.high
        drawn, power = rng.random(), 1.0 / (_ETA + 1.0)
        if drawn < 0.5:
            room = 1.0 - (value - low) / (high - low)
            step = math.pow(2.0 * drawn + (1.0 - 2.0 * drawn) * math.pow(room, _ETA + 1.0), power) - 1.0
        else:
            room = 1.0 - (high - value) / (high - low)
            step = 1.0 - math.pow(
                2.0 * (1.0 - drawn) + 2.0 * (drawn - 0.5) * math.pow(room, _ETA + 1.0), power
            )
        return min(high, max(low, value + step * (high - low)))

    def _between(self, one: float, other: float, rng: random.Random) -> float:
        if rng.random() > 0.5 or abs(one - other) < 1e-14:
            return one
        low, high = self._space.low, self._space.high
        near, far = min(one, other), max(one, other)
        drawn = rng.random()
        first = _spread(drawn, 1.0 + 2.0 * (near - low) / (far - near))
        second = _spread(drawn, 1.0 + 2.0 * (high - far) / (far - near))
        children = (0.5 * (near + far - first * (far - near)), 0.5 * (near + far + second * (far - near)))
        return min(high, max(low, rng.choice(children)))

    def digest(self, genome: Vector) -> str:
        text = json.dumps(list(genome), separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def describe_difference(self, parent: Vector, child: Vector) -> str:
        lines: list[str] = []
        for at, (before, after) in enumerate(zip(parent, child, strict=True)):
            if before != after:
                lines += [f"- [{at}] {before:.6g}", f"+ [{at}] {after:.6g}"]
        return "\n".join(lines)

    def dump(self, genome: Vector) -> Any:
        return list(genome)

    def load(self, data: Any) -> Vector:
        space = self._space
        if not isinstance(data, Sequence) or isinstance(data, str) or len(data) != space.size:
            raise InvalidInput(
                f"a genome of this run is a list of {space.size} numbers, not {str(data)[:80]!r}"
            )
        # Each pass loads the parents that it breeds from: what is sound is seen without a look at each number.
        numbers = set(map(type, data)) <= {int, float} and math.isfinite(sum(data))
        if numbers and space.low <= min(data) and max(data) <= space.high:
            return tuple(data)
        for at, value in enumerate(data):
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise InvalidInput(
                    f"number {at} of a genome is {str(value)[:40]!r} and must be a finite number"
                )
            if not space.low <= value <= space.high:
                raise InvalidInput(f"number {at} of a genome is {value}, outside {space.low} to {space.high}")
        return tuple(data)


def _spread(drawn: float, beta: float) -> float:
    alpha: float = 2.0 - math.pow(beta, -(_ETA + 1.0))
    if drawn <= 1.0 / alpha:
        return math.pow(drawn * alpha, 1.0 / (_ETA + 1.0))
    return math.pow(1.0 / (2.0 - drawn * alpha), 1.0 / (_ETA + 1.0))
