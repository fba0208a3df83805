"""``scripts/simulate``: thousands of interleavings of the real state machine, each from its seed."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.simulation.lots import play_lot
from tests.simulation.play import play
from tests.simulation.watch import Violation

_LOT = 50


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, help="only this one, with everything that happens in it")
    options = parser.parse_args()
    if options.seed is not None:
        return _replay(options.seed)
    began = time.monotonic()
    last = options.first_seed + options.seeds
    lots = [(start, min(start + _LOT, last)) for start in range(options.first_seed, last, _LOT)]
    broken: list[tuple[int, str]] = []
    played = 0
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for (start, end), found in zip(lots, pool.map(play_lot, lots), strict=True):
            played += end - start
            broken += found
            for seed, text in found:
                print(f"seed {seed}: {text}\nreplay: scripts/simulate --seed {seed}", flush=True)
            if sys.stderr.isatty() or played % 1000 == 0:
                left_s = (time.monotonic() - began) / played * (options.seeds - played)
                print(f"{played} seeds, {len(broken)} violations, {left_s:.0f} s left", file=sys.stderr)
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"seeds": played, "violations": len(broken), "seconds": seconds}))
    return 1 if broken else 0


def _replay(seed: int) -> int:
    try:
        world = play(seed)
    except Violation as violation:
        print("\n".join(violation.__notes__), f"\nseed {seed}: {violation}")
        return 1
    print("\n".join(world.trace))
    return 0


if __name__ == "__main__":
    sys.exit(main())
