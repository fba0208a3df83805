"""A run is taken up again from a step over the API, and by the command line in front of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select
from typer.testing import CliRunner

from master.cli import run as run_commands
from master.clock import utc_now
from master.store.tables import runs, steps
from tests.integration.api.conftest import Caller


def put_failed(c: Connection) -> None:
    """A run of three steps, one after another, of which the last failed."""
    began = utc_now() - timedelta(hours=1)
    # Its next pass is never due: no conductor takes it up during the test.
    values = {"flow": "noop", "params": {"steps": 1}, "state": "failed", "wake": 0, "seen": 100}
    c.execute(insert(runs).values(id="noop-f", woken_at=began, created_at=began, **values))
    for number, key in enumerate(("a", "b/1", "c")):
        asked = began + timedelta(minutes=number)
        state = "failed" if key == "c" else "done"
        step = {"run_id": "noop-f", "key": key, "kind": "task", "task": "fleet.noop", "state": state}
        times = {"created_at": asked, "finished_at": asked + timedelta(seconds=30)}
        c.execute(insert(steps).values(**step, **times))


def aside(caller: Caller) -> int:
    keys = caller.read(lambda c: c.execute(select(steps.c.key)).scalars().all())
    return sum("#aside-" in key for key in keys)


def test_the_api_takes_a_run_up_from_a_step_once_under_one_key(caller: Caller) -> None:
    caller.write(put_failed)
    missing = caller.post("/api/runs/noop-f/retry?from_step=nowhere")
    assert (missing.status_code, "nowhere" in missing.json()["detail"]) == (404, True)
    for _ in range(2):
        answer = caller.post("/api/runs/noop-f/retry?from_step=b/1", key="k")
        assert answer.json() == {"id": "noop-f", "steps": 0, "aside": 2}
    assert aside(caller) == 2


def test_without_a_step_what_failed_is_tried_again(caller: Caller) -> None:
    caller.write(put_failed)
    assert caller.post("/api/runs/noop-f/retry").json() == {"id": "noop-f", "steps": 1, "aside": 0}
    assert aside(caller) == 0


@pytest.mark.parametrize(
    ("arguments", "said", "gone"),
    [
        (["retry", "noop-f", "--from", "b/1"], "2 steps are done anew, 0 steps are tried again", 2),
        (["retry", "noop-f"], "noop-f goes on; 1 steps are tried again", 0),
    ],
)
def test_the_command_says_what_is_done_anew(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str, gone: int
) -> None:
    class Api:
        def post(self, path: str, **query: str) -> Any:
            return caller.client.post(path, params=query).json()

    caller.write(put_failed)
    monkeypatch.setattr(run_commands, "connect", Api)
    done = CliRunner().invoke(run_commands.app, arguments)
    assert done.exit_code == 0, done.output
    assert said in " ".join(done.stderr.split())
    assert aside(caller) == gone
