"""How a genome gives rise to another: one small pure function per gene, and crossover by segment.

Each takes the genome, what the run allows and a random source of its own, and returns a valid
genome. A mutation may return its input where there is nothing to change; the engine tries again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from master.darwin import bank
from master.darwin.genome import Space
from tasks.darwin_genome import MAX_DEMONSTRATIONS, MAX_RETRIEVED, Demonstrations, Genome, Scoring

Mutation = Callable[[Genome, Space, random.Random], Genome]
_T = TypeVar("_T")


def _other(options: Sequence[_T], current: _T, rng: random.Random) -> _T:
    """One of the options that is not the current one, if there is another."""
    rest = [option for option in options if option != current]
    return rng.choice(rest) if rest else current


def role(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return genome.model_copy(update={"role": _other(bank.ROLES, genome.role, rng)})


def instruction(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return genome.model_copy(update={"instruction": _other(bank.INSTRUCTIONS, genome.instruction, rng)})


def layout(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return genome.model_copy(update={"layout": _other(bank.LAYOUTS, genome.layout, rng)})


def label_words(genome: Genome, space: Space, rng: random.Random) -> Genome:
    styles = bank.word_styles(space.labels)
    return genome.model_copy(update={"label_words": _other(styles, genome.label_words, rng)})


def chat(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return genome.model_copy(update={"chat": not genome.chat})


def retrieve_count(genome: Genome, space: Space, rng: random.Random) -> Genome:
    """One or two neighbors more or fewer."""
    return _with_demonstrations(
        genome, retrieved=genome.demonstrations.retrieved + rng.choice((-2, -1, 1, 2))
    )


def retrieve_order(genome: Genome, space: Space, rng: random.Random) -> Genome:
    if not genome.demonstrations.retrieved:
        return genome
    return _with_demonstrations(
        genome, order=_other(("nearest_last", "nearest_first"), genome.demonstrations.order, rng)
    )


def demonstration_add(genome: Genome, space: Space, rng: random.Random) -> Genome:
    """One more fixed demonstration, of a label that has none yet if there is such a label."""
    fixed = genome.demonstrations.fixed
    shown = {label for at, label in space.pool if at in fixed}
    unseen = [at for at, label in space.pool if at not in fixed and label not in shown]
    options = unseen or [at for at in space.pool_ids if at not in fixed]
    if not options:
        return genome
    return _with_demonstrations(genome, fixed=(*fixed, rng.choice(options)))


def demonstration_drop(genome: Genome, space: Space, rng: random.Random) -> Genome:
    fixed = list(genome.demonstrations.fixed)
    if fixed:
        fixed.pop(rng.randrange(len(fixed)))
    return _with_demonstrations(genome, fixed=tuple(fixed))


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
    return _with_demonstrations(genome, fixed=tuple(fixed))


def demonstration_order(genome: Genome, space: Space, rng: random.Random) -> Genome:
    fixed = list(genome.demonstrations.fixed)
    rng.shuffle(fixed)
    return _with_demonstrations(genome, fixed=tuple(fixed))


def calibration(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return _with_scoring(genome, calibration=_other((0.0, 0.5, 1.0), genome.scoring.calibration, rng))


def normalization(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return _with_scoring(genome, length_normalized=not genome.scoring.length_normalized)


def temperature(genome: Genome, space: Space, rng: random.Random) -> Genome:
    """Half as much or twice as much, within the range that the gene allows."""
    changed = genome.scoring.temperature * rng.choice((0.5, 2.0))
    return _with_scoring(genome, temperature=min(10.0, max(0.05, changed)))


#: Every mutation with its weight. Demonstrations weigh most: choosing them alone beat rewording
#: instructions in Wan et al. 2024, arXiv:2406.15708.
MUTATIONS: dict[str, tuple[Mutation, int]] = {
    "role": (role, 1),
    "instruction": (instruction, 2),
    "layout": (layout, 2),
    "label_words": (label_words, 1),
    "chat": (chat, 1),
    "retrieve_count": (retrieve_count, 5),
    "retrieve_order": (retrieve_order, 1),
    "demonstration_add": (demonstration_add, 2),
    "demonstration_drop": (demonstration_drop, 1),
    "demonstration_swap": (demonstration_swap, 2),
    "demonstration_order": (demonstration_order, 1),
    "calibration": (calibration, 2),
    "normalization": (normalization, 1),
    "temperature": (temperature, 1),
}


def mutate(genome: Genome, space: Space, rng: random.Random) -> tuple[Genome, str]:
    """The genome after one mutation drawn by weight, and that mutation's name."""
    weights = [weight for _, weight in MUTATIONS.values()]
    name = rng.choices(list(MUTATIONS), weights=weights)[0]
    return MUTATIONS[name][0](genome, space, rng), name


def crossover(first: Genome, second: Genome, rng: random.Random) -> Genome:
    """Each segment whole from one parent or the other, by the toss of a coin."""
    segments = ("role", "instruction", "layout", "label_words", "demonstrations", "scoring", "chat")
    return first.model_copy(update={name: getattr(second, name) for name in segments if rng.random() < 0.5})


def _with_demonstrations(
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


def _with_scoring(genome: Genome, **changes: float | bool) -> Genome:
    scoring = Scoring.model_validate({**genome.scoring.model_dump(), **changes})
    return genome.model_copy(update={"scoring": scoring})
