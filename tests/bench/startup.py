"""``scripts/bench startup``: how long ``d8 --help`` takes, as a person waits for it.

JSON keys: help_ms (median), help_worst_ms, runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

from tests.support import ROOT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    times = []
    for number in range(runs + 1):
        began = time.perf_counter()
        subprocess.run([ROOT / "scripts/d8", "--help"], check=True, stdout=subprocess.DEVNULL)
        took_ms = (time.perf_counter() - began) * 1000
        print(f"{took_ms:.0f} ms", file=sys.stderr)
        if number:  # The first one fills the disk's cache.
            times.append(took_ms)
    shown = {
        "help_ms": round(statistics.median(times), 1),
        "help_worst_ms": round(max(times), 1),
        "runs": runs,
    }
    print(json.dumps(shown))


if __name__ == "__main__":
    main()
