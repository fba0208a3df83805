"""``scripts/bench taps``, shorter: the door process is killed while people press its buttons."""

from __future__ import annotations

import random
from pathlib import Path

from master.capabilities import load_capabilities
from tests.bench.taps import measure


def test_kills_at_random_points_lose_no_tap_and_double_nothing(d8_home: Path) -> None:
    load_capabilities()
    assert measure(d8_home, 25, random.Random(11)) == {"kills": 25, "lost": 0, "doubled": 0}
