"""What every mutation is. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from master.darwin.genome import Space
from tasks.darwin_genome import Genome

Mutation = Callable[[Genome, Space, random.Random], Genome]
T = TypeVar("T")


def other(options: Sequence[T], current: T, rng: random.Random) -> T:
    """One of the options that is not the current one, if there is another."""
    rest = [option for option in options if option != current]
    return rng.choice(rest) if rest else current
