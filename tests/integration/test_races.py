"""Many people answer the same requests at the same time, over several processes; the bench in small."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support import ROOT


@pytest.mark.parametrize("more", [(), pytest.param(("--postgres",), marks=pytest.mark.services)])
def test_of_many_answers_one_counts_and_nothing_is_lost(more: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "tests.bench.races", "--requests", "120", "--seed", "7", *more]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert figures == {"requests": 120, "double_decisions": 0, "double_postings": 0, "lost": 0}
