"""Who is worth more examples: genomes are compared on shared blocks, and losers are let go early. Pure.

A genome answers blocks of examples one after another. After each it is compared, pair by pair, with
those that hold a place, on the blocks that both have answered, so that an easy or a hard block
favors nobody. Whoever is beaten by as many as there are places stops; the others go on until they
have answered what those have answered. Those that hold places answer more blocks themselves: a lead
that was luck does not last.

Sources: O. Maron and A. Moore, "Hoeffding races" (NIPS 1993); M. Birattari et al., "A racing
algorithm for configuring metaheuristics" (GECCO 2002), for blocks and paired tests; F. Hutter,
H. Hoos and K. Leyton-Brown, "Sequential model-based optimization for general algorithm
configuration" (LION 2011), for challengers and incumbents that get more runs; T. Zehle et al.,
"CAPO: cost-aware prompt optimization" (arXiv:2504.16005), for the paired t-test at 0.2 over blocks.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping, Sequence

from master.darwin.student import threshold

#: What a genome has scored: block -> a score per example of the block, in the block's own order.
#: Failed examples have none: a block counts when all of its examples have been answered.
Scores = Mapping[int, Sequence[float]]


#: Sums of scores that differ by less are of equal scores, added up in another order.
_EQUAL = 1e-9


class Verdict(enum.StrEnum):
    GO_ON = "go_on"
    REJECT = "reject"
    ACCEPT = "accept"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    #: Blocks are numbered from 0 and so many.
    blocks: int
    #: So many genomes may hold a place: the population's size, or 1 where only the best counts.
    places: int = 1
    #: How often, in one comparison, an equal may be taken for worse. High on purpose: letting a good one
    #: go costs little, for there are many like it; keeping all the bad ones costs most of the budget.
    alpha: float = 0.2
    #: Blocks that everyone answers before the first verdict.
    first: int = 1

    def __post_init__(self) -> None:
        if self.blocks < 1 or self.places < 1 or not 1 <= self.first <= self.blocks:
            raise ValueError(f"{self} cannot be kept: at least one place, and 1 <= first <= blocks")
        if not 0 < self.alpha <= 0.5:
            raise ValueError(f"alpha is {self.alpha} and must be above 0 and at most 0.5")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    verdict: Verdict
    #: The block to answer next if it goes on, else None.
    block: int | None
    #: How many of those that hold a place are better, beyond chance.
    beaten_by: int


def mean(scores: Scores, blocks: Sequence[int] | None = None) -> float:
    """Mean score per example over these blocks (all of its own, if none are named)."""
    chosen = [scores[block] for block in (scores if blocks is None else blocks)]
    count = sum(len(block) for block in chosen)
    return math.fsum(math.fsum(block) for block in chosen) / count if count else 0.0


def differences(first: Scores, second: Scores) -> list[float]:
    """Example by example, what the first scores more than the second, where both have answered."""
    return [
        one - other
        for block in sorted(first.keys() & second.keys())
        for one, other in zip(first[block], second[block], strict=True)
    ]


def is_beaten(differences: Sequence[float], alpha: float, left: float = 1.0) -> bool:
    """Whether the first is worse, and likely to stay so: a one-sided paired t-test of its differences.

    ``left`` is the share of all examples that are still to come. The fewer, the less can change: the
    t value is measured against the predicted spread of the final one (stochastic curtailment with a
    flat prior: D. Spiegelhalter, L. Freedman and P. Blackburn, Controlled Clinical Trials 7 (1986)
    8-17), so that ``alpha`` is the chance of being ahead after all. With ``left`` 1 it is the plain test.

    Where all differences are the same, the t value has no meaning, and the sign test decides:
    so many losses in a row and no win come by chance once in 2**losses.
    """
    count = len(differences)
    total = math.fsum(differences)
    if count < 2 or total >= -_EQUAL:
        return False
    average = total / count
    variance = math.fsum((one - average) ** 2 for one in differences) / (count - 1)
    if variance <= 1e-24:
        return count >= -math.log2(alpha)
    return -average / math.sqrt(variance / count) > threshold(alpha, count - 1) * math.sqrt(left)


def _beats(one: Scores, other: Scores, rules: Rules) -> bool:
    shared = one.keys() & other.keys()
    return is_beaten(differences(other, one), rules.alpha, 1 - len(shared) / rules.blocks)


def judge(challenger: Scores, incumbents: Sequence[Scores], rules: Rules, start: int = 0) -> Decision:
    """Whether a challenger gets a place, loses, or answers another block.

    ``start`` turns the order of blocks (give each challenger another, such as its number): a block
    that all were first tried on would be the one that all are fitted to.
    """
    block = next_block(challenger, incumbents, rules, start)
    beaten_by = sum(_beats(one, challenger, rules) for one in incumbents)
    if len(challenger) >= min(rules.first, rules.blocks) and beaten_by >= rules.places:
        return Decision(verdict=Verdict.REJECT, block=None, beaten_by=beaten_by)
    if block is not None:
        return Decision(verdict=Verdict.GO_ON, block=block, beaten_by=beaten_by)
    ahead = sum(math.fsum(differences(challenger, one)) <= _EQUAL for one in incumbents)
    verdict = Verdict.ACCEPT if ahead < rules.places else Verdict.REJECT
    return Decision(verdict=verdict, block=None, beaten_by=beaten_by)


def next_block(challenger: Scores, incumbents: Sequence[Scores], rules: Rules, start: int = 0) -> int | None:
    """The unanswered block that most incumbents have answered; None when it has answered theirs all.

    Without incumbents, or before ``rules.first`` blocks, any will do: the next in turn.
    """
    open_blocks = [block for block in range(rules.blocks) if block not in challenger]
    if not open_blocks:
        return None
    shared = {block: sum(block in one for one in incumbents) for block in open_blocks}
    best = max(open_blocks, key=lambda block: (shared[block], -((block - start) % rules.blocks)))
    return best if shared[best] or len(challenger) < rules.first else None


def displaced(incumbents: Mapping[str, Scores], rules: Rules) -> str | None:
    """Who gives up a place when one too many holds one: the last in rank; None while there is room."""
    return ranking(incumbents)[-1] if len(incumbents) > rules.places else None


def ranking(entrants: Mapping[str, Scores]) -> list[str]:
    """Best first, by pairwise wins on shared blocks, then by mean score, then by name.

    Wins and not means alone: one genome's mean may be of easier blocks than another's.
    """
    names = sorted(entrants)
    # Each score is added up once, not once for every pair: this runs at every tell.
    totals = {name: {block: math.fsum(scores) for block, scores in entrants[name].items()} for name in names}
    wins = dict.fromkeys(names, 0.0)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            lead = _lead(totals[one], totals[other])
            wins[one] += (lead > _EQUAL) + 0.5 * (abs(lead) <= _EQUAL)
            wins[other] += (lead < -_EQUAL) + 0.5 * (abs(lead) <= _EQUAL)
    return sorted(names, key=lambda name: (-wins[name], -mean(entrants[name]), name))


def _lead(one: Mapping[int, float], other: Mapping[int, float]) -> float:
    """By how much the first has scored more on shared blocks."""
    return math.fsum(total - other[block] for block, total in one.items() if block in other)


def retest(incumbents: Mapping[str, Scores], rules: Rules) -> tuple[str, int] | None:
    """The block that the leader answers next, so that its lead is tested; None if it has answered all.

    Called once for every challenger that is decided: what is spent on incumbents then stays in
    proportion to what is spent on finding new ones.
    """
    if not incumbents:
        return None
    leader = ranking(incumbents)[0]
    others = [scores for name, scores in incumbents.items() if name != leader]
    open_blocks = [block for block in range(rules.blocks) if block not in incumbents[leader]]
    if not open_blocks:
        return None
    return leader, max(open_blocks, key=lambda block: (sum(block in one for one in others), -block))
