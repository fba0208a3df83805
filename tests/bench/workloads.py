"""What the model server is measured with. Seeded: the same in every process and round."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

WORDS = (
    "the market for handmade wooden toys in small towns grows each year because parents want things that "
    "last and can be repaired by hand while large sellers compete on price and speed of delivery alone"
).split()


@dataclasses.dataclass(frozen=True)
class Workload:
    prompts: list[str]
    #: New tokens of each at most, or exactly where they are ``forced``.
    tokens: list[int]
    forced: bool

    def order(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def genomes(count: int = 20) -> Workload:
    """W: so many system prompts of some 70 tokens, four questions each, at most 48 new tokens."""
    chance = random.Random(1)
    prompts = []
    for number in range(count):
        system = f"Agent {number}. " + _some(chance, 56)
        prompts += [
            f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{_some(chance, 12)}?<|im_end|>\n"
            "<|im_start|>assistant\n"
            for _ in range(4)
        ]
    return Workload(prompts, [48] * len(prompts), forced=False)


def long_prefix() -> Workload:
    """Sixteen requests that share some 850 tokens, 16 new tokens each."""
    chance = random.Random(3)
    prefix = _some(chance, 830)
    prompts = [f"{prefix} {number} {_some(chance, 6)}" for number in range(16)]
    return Workload(prompts, [16] * 16, forced=True)


def heavy_tail() -> Workload:
    """Lengths of 8 to 512 tokens, most of them short (Pareto, a = 1.1), in no order."""
    chance = random.Random(5)
    tokens = [max(8, min(512, int(8 * chance.paretovariate(1.1)))) for _ in range(48)]
    return Workload([_some(chance, 20) for _ in tokens], tokens, forced=True)


def tasks() -> Workload:
    """Thirty-two tasks at once, 16 tokens each."""
    chance = random.Random(6)
    return Workload([_some(chance, 20) for _ in range(32)], [16] * 32, forced=True)


def single() -> Workload:
    return Workload([_some(random.Random(7), 60)], [64], forced=True)


def keywords() -> list[str]:
    """Search phrases and short sentences, as niches are made of."""
    chance = random.Random(8)
    return [_some(chance, chance.randint(3, 16)) for _ in range(1024)]


def _some(chance: random.Random, words: int) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(words))
