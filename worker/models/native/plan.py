"""Which prompts are computed together, and what of them is computed once. Pure decisions.

A prompt is a tuple of token ids.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Sequence

Tokens = tuple[int, ...]

#: What computing a prefix apart costs, in tokens of ordinary work: one more, smaller forward pass.
SPLIT_COST_TOKENS = 48

#: Nesting after which no finer sharing is looked for.
_MAX_DEPTH = 64


@dataclasses.dataclass(frozen=True)
class Group:
    """Prompts whose first ``prefix_tokens`` tokens are the same; 0 for those that share nothing."""

    prefix_tokens: int
    #: Indices into the prompts, in no particular order.
    members: tuple[int, ...]


def common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """The number of leading tokens that both have."""
    shortest = min(len(first), len(second))
    if first[:shortest] == second[:shortest]:
        return shortest
    # The first difference lies where slices stop being equal: compare whole slices, not tokens.
    return bisect.bisect_left(
        range(1, shortest + 1), True, key=lambda length: first[:length] != second[:length]
    )


def share_prefixes(prompts: Sequence[Tokens], kept: Sequence[Tokens] = ()) -> list[Group]:
    """Partition ``prompts`` so that computing each group's prefix once saves the most tokens.

    At least the last token of every prompt stays outside its prefix: its output is what is asked
    for. Prefixes in ``kept`` have been computed before and cost nothing.
    """
    everything = [*prompts, *kept]
    order = sorted(range(len(everything)), key=lambda index: everything[index])
    ranked = [everything[index] for index in order]
    gaps = [common_prefix(one, other) for one, other in itertools.pairwise(ranked)]
    groups: list[Group] = []
    _best(_Range(ranked, order, gaps, len(prompts)), 0, len(order), 0, groups)
    covered = {member for group in groups for member in group.members}
    loose = tuple(index for index in range(len(prompts)) if index not in covered)
    return [*groups, Group(0, loose)] if loose else groups


@dataclasses.dataclass(frozen=True)
class _Range:
    """All token sequences in lexicographic order, where sharers are neighbors."""

    ranked: list[Tokens]
    #: Index of each among the prompts, then the kept prefixes.
    order: list[int]
    #: Leading tokens that neighbors share.
    gaps: list[int]
    prompts: int


def _best(space: _Range, start: int, stop: int, depth: int, found: list[Group]) -> int:
    """Append the best groups of ``ranked[start:stop]`` to ``found``; returns the tokens saved."""
    members = [space.order[at] for at in range(start, stop) if space.order[at] < space.prompts]
    if not members:
        return 0
    kept = stop - start > len(members)
    gaps = space.gaps[start : stop - 1]
    shared = min(gaps, default=len(space.ranked[start]))
    longest_prefix = min(
        len(space.ranked[at]) - 1 for at in range(start, stop) if space.order[at] < space.prompts
    )
    shared = min(shared, longest_prefix)
    together = shared * (len(members) - (0 if kept else 1)) - (0 if kept else SPLIT_COST_TOKENS)
    finer: list[Group] = []
    apart = 0
    if gaps and depth < _MAX_DEPTH:
        lowest = min(gaps)
        cuts = [start + offset + 1 for offset, gap in enumerate(gaps) if gap == lowest]
        for one, other in itertools.pairwise([start, *cuts, stop]):
            apart += _best(space, one, other, depth + 1, finer)
    if shared and together > 0 and together >= apart:
        found.append(Group(shared, tuple(members)))
        return together
    found.extend(finer)
    return apart


def fill_batches(costs: Sequence[int], budget: int, max_rows: int) -> list[list[int]]:
    """Indices in batches of alike cost: rows x largest cost stays within ``budget``.

    Longest first, so that a batch too large for memory is met at once. A row that is above the
    budget alone gets a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(costs)), key=lambda index: -costs[index]):
        batch = batches[-1] if batches else []
        largest = costs[batch[0]] if batch else 0
        if batch and len(batch) < max_rows and (len(batch) + 1) * largest <= budget:
            batch.append(index)
        else:
            batches.append([index])
    return batches
