"""``scripts/faults``: real faults against a real fleet, seed by seed."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
import time
import traceback
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.checks import Findings
from tests.faults.faults import FAULTS
from tests.faults.play import play_seed
from tests.faults.recovery import measure_recovery
from tests.faults.stage import made_stage


@dataclasses.dataclass
class Tally:
    """What was found, in all and by fault."""

    seeds: int = 0
    steps: int = 0
    failed_seeds: list[int] = dataclasses.field(default_factory=list)
    total: dict[str, int] = dataclasses.field(default_factory=lambda: defaultdict(int))
    by_fault: dict[str, list[tuple[float, Findings]]] = dataclasses.field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, seed: int, findings: Findings, struck: list[tuple[str, float]]) -> None:
        self.seeds += 1
        self.steps += findings.steps
        for name in ("lost", "recorded_twice", "wrong_build", "needed_human"):
            self.total[name] += getattr(findings, name)
        for name, recovered_s in struck:
            self.by_fault[name].append((recovered_s, findings))
        if not findings.clean:
            self.failed_seeds.append(seed)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds to play")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(FAULTS), default="", help="this fault in every seed")
    parser.add_argument("--recovery", type=int, default=3, help="times each recovery is measured; 0: not")
    parser.add_argument("--list", action="store_true", help="list the faults")
    options = parser.parse_args()
    if options.list:
        print("\n".join(sorted(FAULTS)))
        return 0
    if os.geteuid() != 0:
        print("scripts/faults makes network namespaces and mounts: run it as root", file=sys.stderr)
        return 4
    for name in [name for name in os.environ if name.startswith("D8_")]:
        del os.environ[name]
    tally = Tally()
    seeds = list(range(options.first_seed, options.first_seed + options.seeds))
    while seeds:
        # A stage that a seed has wrecked is not used again.
        seeds = _play_on_one_stage(seeds, options.only, tally)
    recovery = {"child": 0.0, "host": 0.0, "broker": 0.0}
    if options.recovery:
        with made_stage(settings={}) as stage:
            recovery = measure_recovery(stage, options.recovery)
    _report(tally, recovery)
    return 1 if tally.failed_seeds else 0


def _play_on_one_stage(seeds: list[int], only: str, tally: Tally) -> list[int]:
    """Returns the seeds that are left."""
    began, first = time.monotonic(), len(seeds)
    with made_stage() as stage:
        while seeds:
            seed, seeds = seeds[0], seeds[1:]
            started = time.monotonic()
            try:
                findings, struck = play_seed(stage, seed, only)
            except (AssertionError, OSError, RuntimeError) as error:
                tally.seeds += 1
                tally.failed_seeds.append(seed)
                tally.total["needed_human"] += 1
                _keep_logs(stage.folder, seed)
                print(f"seed {seed}: {error}\n{traceback.format_exc(limit=-3)}", flush=True)
                print(f"replay: scripts/faults --seeds 1 --first-seed {seed} --recovery 0", flush=True)
                return seeds
            tally.add(seed, findings, [(one.name, one.recovered_s) for one in struck])
            left_s = (time.monotonic() - began) / (first - len(seeds)) * len(seeds)
            names = ", ".join(one.name for one in struck)
            verdict = "ok" if findings.clean else f"FAILED {findings.details}"
            print(
                f"seed {seed}: {verdict}, {findings.steps} steps, {time.monotonic() - started:.1f} s ({names}); "
                f"{left_s / 60:.0f} min left",
                flush=True,
            )
            if not findings.clean:
                _keep_logs(stage.folder, seed)
                print(f"replay: scripts/faults --seeds 1 --first-seed {seed} --recovery 0", flush=True)
    return seeds


def _keep_logs(folder: Path, seed: int) -> None:
    import shutil
    import tempfile

    kept = Path(tempfile.mkdtemp(prefix=f"d8-faults-seed-{seed}-"))
    for log in [*folder.glob("*.log"), *folder.glob("master/logs/*.log"), *folder.glob("host-*/logs/*.log")]:
        shutil.copy(log, kept / "-".join(log.relative_to(folder).parts))
    print(f"logs of seed {seed}: {kept}", flush=True)


def _report(tally: Tally, recovery: dict[str, float]) -> None:
    table = Table(title="Faults")
    for column in ("fault", "times", "lost", "twice", "wrong build", "needed human", "recovered in s"):
        table.add_column(column)
    for name, found in sorted(tally.by_fault.items()):
        table.add_row(
            name,
            str(len(found)),
            *(str(sum(getattr(findings, key) for _, findings in found))
              for key in ("lost", "recorded_twice", "wrong_build", "needed_human")),
            f"{statistics.median(seconds for seconds, _ in found):.1f}",
        )  # fmt: skip
    Console(width=120).print(table)
    if tally.failed_seeds:
        print(f"failed seeds: {tally.failed_seeds}")
    print(
        json.dumps(
            {
                "seeds": tally.seeds,
                "steps": tally.steps,
                **{
                    name: tally.total[name]
                    for name in ("lost", "recorded_twice", "wrong_build", "needed_human")
                },
                "recover_child_s": recovery["child"],
                "recover_host_s": recovery["host"],
                "recover_broker_s": recovery["broker"],
            }
        )
    )


if __name__ == "__main__":
    sys.exit(main())
