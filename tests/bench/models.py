"""``scripts/bench models``: the model server against the usual ways to run a model, on one machine.

Each way lives in a process of its own and is asked in turn, round after round; figures are medians of the
rounds, ratios are of the same round. llama-cpp-python is built from its package the first time (some ten
minutes). With ``--gpu``: shapes of 0.6B to 8B with random weights on the GPU of this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from tests.bench import workloads
from tests.bench.workloads import Workload
from worker.models.artifacts import find_files
from worker.models.reference import parse_reference

Seconds = dict[str, list[float]]

#: Sizes of padded batches that are tried; the best one counts.
PADDED = (8, 16, 32, 80)


class Way:
    """One way to run the model, in its process."""

    def __init__(self, module: str, settings: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.rivals", module, json.dumps(settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._name = module
        self._answer()

    def run(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def seconds(self, workload: Workload, **more: Any) -> float:
        return float(self.run(**workload.order(), **more)["seconds"])

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the process of {self._name} ended; run it by hand to see why")
        answer: dict[str, Any] = json.loads(line)
        return answer


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench models", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--only", default="", help="measure only what begins with this")
    parser.add_argument("--gpu", action="store_true", help="random weights on this machine's GPU instead")
    parser.add_argument("--shapes", default="0.6B,8B", help="with --gpu; 'tiny' tries the script itself")
    parser.add_argument("--device", default="cuda", help="with --gpu; 'cpu' tries the script itself")
    parser.add_argument("--llama", type=Path, default=platformdirs.user_cache_path("d8") / "bench" / "llama")
    options = parser.parse_args()
    if options.gpu:
        from tests.bench import models_gpu

        models_gpu.main(options.rounds, options.shapes.split(","), options.device)
        return
    with tempfile.TemporaryDirectory(prefix="d8-bench-") as home, _ways(options, Path(home)) as ways:
        _report(_measure(ways, options))


@contextlib.contextmanager
def _ways(options: argparse.Namespace, home: Path) -> Iterator[dict[str, Way]]:
    files = find_files(parse_reference("embedded:smollm2"))
    folder = _safetensors(files)
    common = {"folder": str(folder), "dtype": options.dtype}
    made: dict[str, Way] = {}
    try:
        if options.only not in ("fp32", "load"):
            made["d8"] = Way("d8", {**common, "socket": str(home / "models.sock")})
            made["plain"] = Way("plain", common)
        if not options.only or options.only.startswith("w"):
            made["batching"] = Way("batching", common)
            _install_llama(options.llama)
            threads = os.cpu_count() or 1
            made["llama"] = Way(
                "llama", {"gguf": str(files.path), "packages": str(options.llama), "threads": threads}
            )
        yield made
    finally:
        for way in made.values():
            way.stop()


def _safetensors(files: Any) -> Path:
    from worker.models.native.load import ready_folder

    return ready_folder(files, platformdirs.user_cache_path("d8") / "models")


def _install_llama(folder: Path) -> None:
    if not (folder / "llama_cpp").is_dir():
        print("building llama-cpp-python from its package, once", flush=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--target",
            str(folder),
            "llama-cpp-python",
        ]
        subprocess.run(command, check=True)


def _measure(ways: dict[str, Way], options: argparse.Namespace) -> dict[str, Any]:
    seen: Seconds = {}
    parts = {
        "w": lambda: _round_w(ways, seen),
        "prefix": lambda: _round_padded(ways, seen, "prefix", workloads.long_prefix()),
        "tail": lambda: _round_padded(ways, seen, "tail", workloads.heavy_tail()),
        "tasks": lambda: _round_tasks(ways, seen),
        "single": lambda: _round_single(ways, seen),
        "embed": lambda: _round_embed(ways, seen),
    }
    chosen = [run for name, run in parts.items() if name.startswith(options.only)]
    for number in range(options.rounds if chosen else 0):
        for run in chosen:
            run()
        shown = ", ".join(f"{name} {values[-1]:.2f}" for name, values in seen.items())
        print(f"round {number + 1}, seconds: {shown}", flush=True)
    result: dict[str, Any] = {"seconds": seen}
    if not options.only or options.only == "fp32":
        result["fp32_identical"] = _identical()
    if not options.only or options.only == "load":
        result["warm_load_s"] = _warm_load_s()
    return result


def _round_w(ways: dict[str, Way], seen: Seconds) -> None:
    work = workloads.genomes()
    _note(seen, "w_d8", ways["d8"].seconds(work))
    _note(seen, "w_llama_cpp", ways["llama"].seconds(work))
    _note(seen, "w_d8", ways["d8"].seconds(work))
    _note(seen, "w_transformers_cb", ways["batching"].seconds(work))
    _note(seen, "w_one_by_one", ways["plain"].seconds(work))
    _note(seen, "w_d8", ways["d8"].seconds(work))
    _note(seen, "w_padded", min(ways["plain"].seconds(work, batch=size) for size in PADDED))


def _round_padded(ways: dict[str, Way], seen: Seconds, name: str, work: Workload) -> None:
    _note(seen, f"{name}_d8", ways["d8"].seconds(work))
    sizes = sorted({min(size, len(work.prompts)) for size in (16, 32)})
    _note(seen, f"{name}_padded", min(ways["plain"].seconds(work, batch=size) for size in sizes))
    _note(seen, f"{name}_d8", ways["d8"].seconds(work))


def _round_tasks(ways: dict[str, Way], seen: Seconds) -> None:
    work = workloads.tasks()
    _note(seen, "tasks_d8", ways["d8"].seconds(work, threads=32))
    _note(seen, "tasks_unguarded", ways["plain"].seconds(work, threads=32))


def _round_single(ways: dict[str, Way], seen: Seconds) -> None:
    for _ in range(3):
        _note(seen, "single_d8", ways["d8"].seconds(workloads.single()))
        _note(seen, "single_plain", ways["plain"].seconds(workloads.single()))


def _round_embed(ways: dict[str, Way], seen: Seconds) -> None:
    texts = workloads.keywords()
    made = ways["d8"].run(texts=texts, batch=32)
    _note(seen, "embed_d8", float(made["seconds"]))


def _note(seen: Seconds, name: str, seconds: float) -> None:
    seen.setdefault(name, []).append(seconds)


def _identical() -> bool:
    """Whether every text in fp32 is the same alone, together, in any order, as it arrives, and, where it
    is greedy, what transformers' ``generate`` gives."""
    with tempfile.TemporaryDirectory(prefix="d8-bench-") as home:
        files = find_files(parse_reference("embedded:smollm2"))
        common = {"folder": str(_safetensors(files)), "dtype": "float32"}
        d8 = Way("d8", {**common, "socket": f"{home}/models.sock"})
        plain = Way("plain", common)
        try:
            return all(_same(d8, plain, temperature) for temperature in (0.0, 1.0))
        finally:
            d8.stop()
            plain.stop()


def _same(d8: Way, plain: Way, temperature: float) -> bool:
    order = workloads.genomes(8).order() | {"temperature": temperature}
    together = d8.run(**order)["texts"]
    crowds = [d8.run(**order, threads=threads)["texts"] for threads in (1, 7, 80)]
    places = list(range(len(together)))
    random.Random(4).shuffle(places)
    mixed = dict(order)
    if temperature == 0:
        # A seed belongs to a place in the list: only greedy texts can be compared in another order.
        for field in ("prompts", "tokens"):
            mixed[field] = [order[field][place] for place in places]
        shuffled = d8.run(**mixed)["texts"]
        crowds.append([shuffled[places.index(place)] for place in range(len(places))])
        crowds.append(plain.run(**order)["texts"])
    wrong = sum(1 for crowd in crowds for one, other in zip(together, crowd, strict=True) if one != other)
    print(
        f"fp32, temperature {temperature:g}: {wrong} of {len(crowds) * len(together)} texts differ",
        flush=True,
    )
    return wrong == 0


def _warm_load_s() -> float:
    """Loading the model again in a process that has loaded it before."""
    code = "from tests.bench import warm_load; warm_load.main()"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(made.stdout.splitlines()[-1])


def _report(result: dict[str, Any]) -> None:
    seen: Seconds = result["seconds"]

    def ratio(slow: str, fast: str) -> float | None:
        if slow not in seen:
            return None
        return round(statistics.median(seen[slow]) / statistics.median(seen[fast]), 2)

    single = ratio("single_d8", "single_plain")
    figures = {
        "w_vs_one_by_one": ratio("w_one_by_one", "w_d8"),
        "w_vs_padded": ratio("w_padded", "w_d8"),
        "w_vs_transformers_cb": ratio("w_transformers_cb", "w_d8"),
        "w_vs_llama_cpp": ratio("w_llama_cpp", "w_d8"),
        "prefix_850": ratio("prefix_padded", "prefix_d8"),
        "heavy_tail_vs_padded": ratio("tail_padded", "tail_d8"),
        "tasks32_vs_unguarded": ratio("tasks_unguarded", "tasks_d8"),
        "single_overhead_pct": None if single is None else round(100 * (single - 1), 1),
        "fp32_identical": result.get("fp32_identical"),
        "warm_load_s": result.get("warm_load_s"),
        "embeddings_per_s": (
            round(len(workloads.keywords()) / statistics.median(seen["embed_d8"]), 1)
            if "embed_d8" in seen
            else None
        ),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
