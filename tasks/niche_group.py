"""``niche.group``: which keywords mean the same thing to the people who search for them."""

from __future__ import annotations

from pydantic import Field

from tasks.record import Record
from tasks.spec import TaskSpec

#: Every pair is compared, so memory grows with the square: 3,000 keywords need about 150 MiB.
MAX_KEYWORDS = 3000


class Request(Record):
    #: The keywords, each once.
    texts: tuple[str, ...] = Field(min_length=1, max_length=MAX_KEYWORDS)
    #: Searches a month of each keyword; the group's label is chosen by them.
    weights: tuple[int, ...] = Field(min_length=1, max_length=MAX_KEYWORDS)
    #: sha256 of the artifact with the keywords' sentence vectors: little-endian float32, one row
    #: of ``dimensions`` numbers per keyword, in the order of ``texts``.
    vectors: str = Field(pattern=r"^[0-9a-f]{64}$")
    dimensions: int = Field(ge=1, le=8192)
    #: Two groups are joined while their mean distance (0 alike .. 1 unrelated) is below this.
    max_distance: float = Field(default=0.76, gt=0, lt=1)
    #: Groups of fewer keywords are attached to the nearest group, or left over when none is near.
    min_keywords: int = Field(default=3, ge=1, le=100)


class Group(Record):
    #: Indices into the request's ``texts``, most searched first.
    members: tuple[int, ...] = Field(min_length=1)
    #: Index of the keyword that stands for the group.
    label: int
    #: Mean similarity of the members to each other, 0..1.
    cohesion: float = Field(ge=0, le=1)


class Result(Record):
    #: Most searched group first; no keyword is in two.
    groups: tuple[Group, ...]
    #: Keywords that are near to no group.
    left_over: tuple[int, ...] = ()


TASK = TaskSpec(name="niche.group", request=Request, result=Result, deadline_s=300)
