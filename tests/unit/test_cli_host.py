"""``d8 worker show``, ``logs`` and ``invites``: what they ask the master and what they print."""

from __future__ import annotations

import json
from typing import Any

import pytest

from master.cli import host
from tasks.errors import TimedOut

WORKER = {
    "name": "garage", "host": "garage", "state": "quarantined", "reason": "3 steps failed [here]",
    "build": "b", "dirty": True,
    "lanes": ["gpu", "cpu"], "slots": 2,
    "hardware": {
        "cpus": 8, "memory_mib": 32_768,
        "gpus": [{"name": "card", "memory_used_mib": 1024, "memory_mib": 8192, "use_pct": None, "temperature_c": 61}],
    },
    "running": [{"task": "niche.analyse", "key": "judge-1", "run_id": "niche-x", "progress": 0.5}],
    "paces": [{"task": "niche.analyse", "seconds": 61.25, "steps": 7, "elsewhere_s": 5.0}],
    "strikes": [{"task": "niche.analyse", "strikes": 3}],
    "failures": [
        {"claimed_at": "2026-11-21T12:00:00+00:00", "key": "judge-0", "outcome": "crashed", "error": "killed\\nby"}
    ],
}  # fmt: skip


class Master:
    """Answers like the API; a log comes after it was looked for so often."""

    def __init__(self, looks: int = 2) -> None:
        self.looks = looks
        self.asked: list[str] = []

    def get(self, path: str) -> Any:
        if not path.endswith("/log"):
            return WORKER
        self.looks -= 1
        came = self.looks <= 0
        return {
            "asked_at": None if came else "2026-11-21T12:00:00Z",
            "sent_at": "2026-11-21T12:00:09Z" if came else "2026-11-20T12:00:00Z",
            "text": "line [1]\n" if came else "yesterday's\n",
        }

    def post(self, path: str) -> Any:
        self.asked.append(path)
        return {"name": "garage", "within_s": 30.0}

    def items(self, path: str) -> Any:
        return []


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> Master:
    made = Master()
    monkeypatch.setattr(host, "connect", lambda: made)
    monkeypatch.setattr(host, "_LOOK_EVERY_S", 0.0)
    return made


def test_show_prints_what_the_page_of_a_worker_says(
    master: Master, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    host.show("garage")
    text = capsys.readouterr().out
    for expected in (
        "3 steps failed [here]", "61 °C", "1,024 of 8,192 MiB", "judge-1 of niche-x, 50%", "61.2 s a step",
        "5 s elsewhere",
        "3 steps failed here and were done elsewhere", "2026-11-21T12:00:00 judge-0 (crashed): killed",
    ):  # fmt: skip
        assert expected in text, expected
    host.show("garage", json_mode=True)
    assert json.loads(capsys.readouterr().out) == WORKER


def test_logs_waits_for_the_log_that_was_asked_for(
    master: Master, capsys: pytest.CaptureFixture[str]
) -> None:
    host.logs("garage", limit_s=60)
    printed = capsys.readouterr()
    assert printed.out == "line [1]\n"
    assert "within some 30 s" in printed.err
    assert master.asked == ["/api/workers/garage/log"]


def test_logs_gives_up_in_words(master: Master) -> None:
    master.looks = 1_000_000
    with pytest.raises(TimedOut, match="d8 worker show garage"):
        host.logs("garage", limit_s=0.01)


def test_no_open_invite_is_said(master: Master, capsys: pytest.CaptureFixture[str]) -> None:
    host.invites()
    assert "no invite is open" in capsys.readouterr().out
