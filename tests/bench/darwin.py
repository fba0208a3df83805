"""``scripts/bench darwin``: evolution compared with the libraries, with waiting, and with being killed.

"Through the fleet" is the real flow, dispatch, claims and reports on a real database (SQLite), with
workers that are functions in this process and a clock that runs as fast as they do (``tests/rig.py``).
``--parts`` chooses; each part prints its own keys to standard error as it ends.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from tests.bench.evolving.bed import Bed, say
from tests.bench.evolving.fleet import bench_async, bench_kills, bench_master
from tests.bench.evolving.gepa import bench_gepa
from tests.bench.evolving.libraries import bench_cma, bench_onemax, bench_zdt1
from tests.bench.racing import measure


def bench_racing(bed: Bed, seeds: int) -> dict[str, Any]:
    return dict(measure())


PARTS: dict[str, Callable[[Bed, int], dict[str, Any]]] = {
    "onemax": bench_onemax,
    "zdt1": bench_zdt1,
    "cma": bench_cma,
    "gepa": bench_gepa,
    "async": bench_async,
    "kills": bench_kills,
    "master": bench_master,
    "racing": bench_racing,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=30)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for name in options.parts:
        begun = time.monotonic()
        part = PARTS[name](Bed(), options.seeds)
        say(f"{name}: {json.dumps(part)} in {time.monotonic() - begun:.0f} s")
        found |= part
    print(json.dumps(found))


if __name__ == "__main__":
    main()
