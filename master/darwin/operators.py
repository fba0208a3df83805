"""How a genome gives rise to another: small pure functions by gene, and crossover by segment.

Each takes the genome, what the run allows and a random source of its own, and returns a valid
genome. A mutation may return its input where there is nothing to change; whoever mutates tries again.
"""

from __future__ import annotations

import random
import re

from master.darwin import bank
from master.darwin.demonstrations import DEMONSTRATION_MUTATIONS, cross_demonstrations
from master.darwin.genome import Space
from master.darwin.mutation import Mutation, other
from tasks.darwin_genome import Genome, Kind, Scoring

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_MOST_SENTENCES = 4


def role(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return genome.model_copy(update={"role": other(space.phrasings.roles, genome.role, rng)})


def instruction(genome: Genome, space: Space, rng: random.Random) -> Genome:
    chosen = other(space.phrasings.instructions, genome.instruction, rng)
    return genome.model_copy(update={"instruction": chosen})


def instruction_add(genome: Genome, space: Space, rng: random.Random) -> Genome:
    """One more sentence, of those that other prompts have."""
    own = _sentences(genome.instruction)
    known = [one for text in space.phrasings.instructions for one in _sentences(text) if one not in own]
    if not known or len(own) >= _MOST_SENTENCES:
        return genome
    own.insert(rng.randint(0, len(own)), rng.choice(known))
    return genome.model_copy(update={"instruction": " ".join(own)})


def instruction_drop(genome: Genome, space: Space, rng: random.Random) -> Genome:
    """One sentence less. What is deleted often did harm: Prasad et al. 2023, arXiv:2203.07281."""
    own = _sentences(genome.instruction)
    if len(own) < 2:
        return genome
    own.pop(rng.randrange(len(own)))
    return genome.model_copy(update={"instruction": " ".join(own)})


def _sentences(text: str) -> list[str]:
    return [one for one in _SENTENCE.split(text) if one]


def answer_format(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return genome.model_copy(update={"format": other(space.phrasings.formats, genome.format, rng)})


def segment_order(genome: Genome, space: Space, rng: random.Random) -> Genome:
    """Two segments change places."""
    order = list(genome.order)
    first, second = rng.sample(range(len(order)), 2)
    order[first], order[second] = order[second], order[first]
    return genome.model_copy(update={"order": tuple(order)})


def layout(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return genome.model_copy(update={"layout": other(space.phrasings.layouts, genome.layout, rng)})


def label_words(genome: Genome, space: Space, rng: random.Random) -> Genome:
    styles = bank.word_styles(space.labels)
    return genome.model_copy(update={"label_words": other(styles, genome.label_words, rng)})


def chat(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return genome.model_copy(update={"chat": not genome.chat})


def calibration(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return _with_scoring(genome, calibration=other((0.0, 0.5, 1.0), genome.scoring.calibration, rng))


def normalization(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return _with_scoring(genome, length_normalized=not genome.scoring.length_normalized)


def temperature(genome: Genome, space: Space, rng: random.Random) -> Genome:
    """Half as much or twice as much, within the range that the gene allows."""
    changed = genome.scoring.temperature * rng.choice((0.5, 2.0))
    return _with_scoring(genome, temperature=min(10.0, max(0.05, changed)))


def sampling_temperature(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return _with_sampling(genome, temperature=other((0.0, 0.2, 0.5, 0.8), genome.sampling.temperature, rng))


def sampling_top_p(genome: Genome, space: Space, rng: random.Random) -> Genome:
    """Nothing where the likeliest token is taken anyway."""
    if genome.sampling.temperature == 0:
        return genome
    return _with_sampling(genome, top_p=other((0.7, 0.9, 1.0), genome.sampling.top_p, rng))


def constrained(genome: Genome, space: Space, rng: random.Random) -> Genome:
    return _with_sampling(genome, constrained=not genome.sampling.constrained)


#: Mutations that every kind of task has, with their weights. Demonstrations weigh most: choosing them
#: alone beat rewording instructions in Wan et al. 2024, arXiv:2406.15708.
_COMMON: dict[str, tuple[Mutation, int]] = {
    "role": (role, 1),
    "instruction": (instruction, 2),
    "instruction_add": (instruction_add, 1),
    "instruction_drop": (instruction_drop, 1),
    "format": (answer_format, 1),
    "segment_order": (segment_order, 1),
    "layout": (layout, 2),
    "chat": (chat, 1),
    **DEMONSTRATION_MUTATIONS,
}

#: And those that only tasks have whose answer is weighed, or generated.
_WEIGHED: dict[str, tuple[Mutation, int]] = {
    "label_words": (label_words, 1),
    "calibration": (calibration, 2),
    "normalization": (normalization, 1),
}
_GENERATED: dict[str, tuple[Mutation, int]] = {
    "sampling_temperature": (sampling_temperature, 1),
    "sampling_top_p": (sampling_top_p, 1),
}

MUTATIONS: dict[Kind, dict[str, tuple[Mutation, int]]] = {
    "classify": {**_COMMON, **_WEIGHED},
    "extract": {**_COMMON, **_GENERATED, "constrained": (constrained, 1)},
    "answer": {**_COMMON, **_GENERATED},
    "score": {**_COMMON, **_GENERATED, "constrained": (constrained, 1)},
}


def mutate(genome: Genome, space: Space, rng: random.Random) -> tuple[Genome, str]:
    """The genome after one mutation drawn by weight, and that mutation's name."""
    mutations = MUTATIONS[space.kind]
    name = rng.choices(list(mutations), weights=[weight for _, weight in mutations.values()])[0]
    return mutations[name][0](genome, space, rng), name


def crossover(first: Genome, second: Genome, rng: random.Random) -> Genome:
    """Each segment whole from one parent or the other, by the toss of a coin; the demonstrations, which
    matter most, from one, from the other, or mixed."""
    segments = (
        "role", "instruction", "format", "order", "layout", "label_words", "scoring", "sampling", "chat",
    )  # fmt: skip
    taken = {name: getattr(second, name) for name in segments if rng.random() < 0.5}
    shown = cross_demonstrations(first.demonstrations, second.demonstrations, rng)
    return first.model_copy(update={**taken, "demonstrations": shown})


def _with_scoring(genome: Genome, **changes: float | bool) -> Genome:
    scoring = Scoring.model_validate({**genome.scoring.model_dump(), **changes})
    return genome.model_copy(update={"scoring": scoring})


def _with_sampling(genome: Genome, **changes: float | bool) -> Genome:
    return genome.model_copy(update={"sampling": genome.sampling.model_copy(update=changes)})
