"""Where all chance of an evolution comes from. Pure."""

from __future__ import annotations

import random


def source(seed: int, *names: object) -> random.Random:
    """A random source of its own for each purpose: the same for the same seed and names, whatever
    was drawn elsewhere before."""
    # Not for secrets: it must be repeatable.
    return random.Random(":".join(str(part) for part in (seed, *names)))
