"""What a study found otherwise than the one before it, in the same market. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from master.niches.ranking import Ranked
from tasks.record import Record

#: Two niches are one when they share this much of their keywords (Jaccard's index), or their name.
_SAME = 0.5


class Kind(enum.StrEnum):
    NEW = "new"
    GONE = "gone"
    #: Its interval lies wholly above, or below, the one before.
    BETTER = "better"
    WORSE = "worse"
    #: The intervals overlap: nothing can be said.
    SAME = "same"


class Change(Record):
    kind: Kind
    now: Ranked | None
    before: Ranked | None


def changes_since(before: Sequence[Ranked], now: Sequence[Ranked]) -> tuple[Change, ...]:
    """One for each niche of either study: those of now in their order, then those that are gone."""
    left = {one.niche.key: one for one in before}
    found = []
    for one in now:
        match = _match(one, left)
        if match is not None:
            del left[match.niche.key]
        found.append(Change(kind=_kind(match, one), now=one, before=match))
    return (*found, *(Change(kind=Kind.GONE, now=None, before=one) for one in left.values()))


def _match(one: Ranked, left: dict[str, Ranked]) -> Ranked | None:
    own = set(one.niche.keywords)
    best, most = None, 0.0
    for other in left.values():
        theirs = set(other.niche.keywords)
        alike = len(own & theirs) / len(own | theirs) if own or theirs else 0.0
        if other.niche.label == one.niche.label:
            alike += 1.0
        if alike >= _SAME and alike > most:
            best, most = other, alike
    return best


def _kind(before: Ranked | None, now: Ranked) -> Kind:
    if before is None:
        return Kind.NEW
    old, new = before.niche.score.total, now.niche.score.total
    if new.low > old.high:
        return Kind.BETTER
    return Kind.WORSE if new.high < old.low else Kind.SAME
