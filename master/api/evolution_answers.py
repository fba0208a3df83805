"""What the API answers about an evolution."""

from __future__ import annotations

from typing import Any

from master.api.answers import Answer


class Candidate(Answer):
    number: int
    id: str
    digest: str
    score: float
    answered: int
    objectives: tuple[float, ...]
    tokens: float
    seconds: float
    operators: tuple[str, ...]


class Ancestor(Answer):
    id: str
    parents: tuple[str, ...]
    operators: tuple[str, ...]
    score: float | None
    #: Lines that begin with + and -.
    difference: str


class Point(Answer):
    told: int
    candidate: int
    score: float | None
    best: float | None


class Evolution(Answer):
    id: str
    flow: str
    state: str
    error: str
    note: str
    told: int
    total: int
    failed: int
    cached: int
    tokens: int
    micros: int
    elapsed_s: float
    left_s: float
    busy_pct: float
    why_closed: str
    population: tuple[Candidate, ...]
    #: Of the best candidate, from the beginning.
    lineage: tuple[Ancestor, ...]
    points: tuple[Point, ...]
    result: dict[str, Any] | None
