from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
from typing import Any


def main() -> None:
    """Serve workloads until the input ends. Whatever a library prints goes to the error output."""
    way = importlib.import_module(f"tests.bench.rivals.{sys.argv[1]}")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    started_at_s = time.perf_counter()
    run = way.load(json.loads(sys.argv[2]))
    answers.write(json.dumps({"loaded_s": time.perf_counter() - started_at_s}) + "\n")
    answers.flush()
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        with contextlib.redirect_stdout(sys.stderr):
            answer = run(order)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
