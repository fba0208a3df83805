"""Many seeds in one go, for a process of a pool."""

from __future__ import annotations

from tests.simulation.play import play
from tests.simulation.watch import Violation


def play_lot(lot: tuple[int, int]) -> list[tuple[int, str]]:
    """The seeds from the first to before the second that broke a promise, and which."""
    return [(seed, text) for seed in range(*lot) if (text := try_seed(seed))]


def try_seed(seed: int) -> str:
    """What was broken, or ""."""
    try:
        play(seed)
    except Violation as violation:
        return str(violation)
    return ""
