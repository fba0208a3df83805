"""The file that an evolution in an environment leaves: the best genome, or the Pareto front. Pure."""

from __future__ import annotations

from typing import Any, Literal

from tasks.record import Record


class Scored(Record):
    """A genome and what the program gave it."""

    id: str
    digest: str
    #: Numbers, or the text of a program.
    genome: Any
    #: The first goal's, turned so that more is better.
    score: float


class Found(Record):
    """Complete: with the program that judged it and this file alone, every score can be had again."""

    format: Literal["d8-genome/1"] = "d8-genome/1"
    name: str
    kind: Literal["vector", "code"]
    goals: tuple[Literal["min", "max"], ...]
    #: Best first. With several goals those that none of the others beats in all of them.
    best: tuple[Scored, ...]
    #: The run, its engine and seed, the SHA-256 of the program, and the ancestors of the first of the best.
    provenance: dict[str, Any]
