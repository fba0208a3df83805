"""Searching for the examples that a prompt shows: what moves a small model most. Pure.

X. Wan et al., "Teach better or show smarter?" (arXiv:2406.15708): choosing demonstrations, even at
random, gains more than rewording the instruction.
"""

from __future__ import annotations

import random

from master.darwin.genome import Space
from master.darwin.mutation import Mutation, other
from tasks.darwin_genome import MAX_DEMONSTRATIONS, MAX_RETRIEVED, Demonstrations, Genome


def retrieve_count(genome: Genome, space: Space, rng: random.Random) -> Genome:
    """One or two neighbors more or fewer."""
    return _changed(genome, retrieved=genome.demonstrations.retrieved + rng.choice((-2, -1, 1, 2)))


def retrieve_order(genome: Genome, space: Space, rng: random.Random) -> Genome:
    if not genome.demonstrations.retrieved:
        return genome
    order = other(("nearest_last", "nearest_first"), genome.demonstrations.order, rng)
    return _changed(genome, order=order)


def demonstration_add(genome: Genome, space: Space, rng: random.Random) -> Genome:
    """One more fixed demonstration, of a label that has none yet if there is such a label."""
    fixed = genome.demonstrations.fixed
    shown = {label for at, label in space.pool if at in fixed}
    unseen = [at for at, label in space.pool if at not in fixed and label not in shown]
    options = unseen or [at for at in space.pool_ids if at not in fixed]
    if not options:
        return genome
    return _changed(genome, fixed=(*fixed, rng.choice(options)))


def demonstration_drop(genome: Genome, space: Space, rng: random.Random) -> Genome:
    fixed = list(genome.demonstrations.fixed)
    if fixed:
        fixed.pop(rng.randrange(len(fixed)))
    return _changed(genome, fixed=tuple(fixed))


def demonstration_swap(genome: Genome, space: Space, rng: random.Random) -> Genome:
    """One fixed demonstration makes way for another of the same label, or of any if it is alone."""
    fixed = list(genome.demonstrations.fixed)
    if not fixed:
        return genome
    place = rng.randrange(len(fixed))
    labels = dict(space.pool)
    free = [at for at in space.pool_ids if at not in fixed]
    same = [at for at in free if labels[at] == labels.get(fixed[place])]
    if same or free:
        fixed[place] = rng.choice(same or free)
    return _changed(genome, fixed=tuple(fixed))


def demonstration_order(genome: Genome, space: Space, rng: random.Random) -> Genome:
    fixed = list(genome.demonstrations.fixed)
    rng.shuffle(fixed)
    return _changed(genome, fixed=tuple(fixed))


def demonstration_redraw(genome: Genome, space: Space, rng: random.Random) -> Genome:
    """A whole new set of fixed demonstrations, labels taking turns: small steps alone stay near the
    set that a genome was born with."""
    groups: dict[str, list[int]] = {}
    for at, label in space.pool:
        groups.setdefault(label, []).append(at)
    for group in groups.values():
        rng.shuffle(group)
    drawn: list[int] = []
    count = rng.randint(1, MAX_DEMONSTRATIONS - min(genome.demonstrations.retrieved, MAX_DEMONSTRATIONS - 1))
    names = list(groups)
    rng.shuffle(names)
    while len(drawn) < count and any(groups.values()):
        for name in names:
            if groups[name] and len(drawn) < count:
                drawn.append(groups[name].pop())
    rng.shuffle(drawn)
    return _changed(genome, fixed=tuple(drawn))


DEMONSTRATION_MUTATIONS: dict[str, tuple[Mutation, int]] = {
    "retrieve_count": (retrieve_count, 5),
    "retrieve_order": (retrieve_order, 1),
    "demonstration_add": (demonstration_add, 2),
    "demonstration_drop": (demonstration_drop, 1),
    "demonstration_swap": (demonstration_swap, 2),
    "demonstration_order": (demonstration_order, 1),
    "demonstration_redraw": (demonstration_redraw, 3),
}


def cross_demonstrations(first: Demonstrations, second: Demonstrations, rng: random.Random) -> Demonstrations:
    """The first's, the second's, or with both having fixed ones, half of the time, some of each."""
    if first.fixed and second.fixed and rng.random() < 0.5:
        size = len(rng.choice((first, second)).fixed)
        both = list(dict.fromkeys((*first.fixed, *second.fixed)))
        kept = set(rng.sample(both, min(size, len(both))))
        base = rng.choice((first, second))
        fixed = tuple(at for at in both if at in kept)[: MAX_DEMONSTRATIONS - base.retrieved]
        return base.model_copy(update={"fixed": fixed})
    return rng.choice((first, second))


def _changed(
    genome: Genome,
    *,
    fixed: tuple[int, ...] | None = None,
    retrieved: int | None = None,
    order: str | None = None,
) -> Genome:
    """The genome with these demonstrations changed, cut to what a prompt may carry."""
    now = genome.demonstrations
    if retrieved is None:
        kept = (now.fixed if fixed is None else fixed)[:MAX_DEMONSTRATIONS]
        count = min(now.retrieved, MAX_DEMONSTRATIONS - len(kept))
    else:
        count = min(MAX_RETRIEVED, max(0, retrieved))
        kept = now.fixed[: MAX_DEMONSTRATIONS - count]
    changed = Demonstrations.model_validate({"fixed": kept, "retrieved": count, "order": order or now.order})
    return genome.model_copy(update={"demonstrations": changed})
