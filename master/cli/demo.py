"""``d8 demo``: the main job on real input, from an empty fleet to three results."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from master.cli.base import ENDED, Api, connect, messages
from tasks.errors import D8Error, NotFound, TimedOut, Unreachable
from tasks.files import ROOT

app = typer.Typer()

_EXAMPLES = ROOT / "examples"
_QUIETLY = ("--no-wait", "--json")
#: What is started, with the commands that an owner would use.
_JOBS: dict[str, list[str]] = {
    "darwin": ["darwin", "start", str(_EXAMPLES / "messages.jsonl"), *_QUIETLY],
    "niche": ["niche", "start", str(_EXAMPLES / "keywords-spain-exact.csv"), "--market", "spain", *_QUIETLY],
    "client": ["client", "add", str(_EXAMPLES / "brief.yaml"), "--again", *_QUIETLY],
}


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the fleet and the dashboard running.")] = False,
    workers: Annotated[int, typer.Option(min=1, max=8, help="Workers on this machine.")] = 2,
    limit_s: Annotated[int, typer.Option("--limit-s", min=30, help="Give up after so many seconds.")] = 1200,
) -> None:
    """Start a fleet on this machine and run all three workloads on the example data."""
    say = messages().print
    # Ended from outside, it still stops the fleet that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    fleet = Fleet(workers)
    with fleet.running(keep):
        api = fleet.wait_for_workers(limit_s=120)
        say("The fleet is up. Starting an evolution, a niche study and a client project ...")
        runs = {name: _start(api, name, command) for name, command in _JOBS.items()}
        for name, run_id in runs.items():
            say(f"  {name}: run {run_id}")
        finished = _follow(api, runs, fleet, limit_s)
        _show_results(api, finished)
        failed = [run for run in finished.values() if run["state"] != "done"]
        if failed:
            raise D8Error("; ".join(f"run {run['id']} {run['state']}: {run['error']}" for run in failed))
        if keep:
            link = f"{api.url}/login?code={api.post('/api/login-codes')['code']}"
            say(f"The fleet goes on. Dashboard (this link works once): {link}\nStop it with 'd8 down'.")


class Fleet:
    """The master and workers that this command started, unless they ran already."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._process: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def running(self, keep: bool) -> Iterator[None]:
        """The fleet during the block, and after it if ``keep`` and the block ended well."""
        if not _answers():
            self._launch()
        done = False
        try:
            yield
            done = True
        finally:
            if self._process is not None and not (keep and done):
                self._process.terminate()
                self._process.wait(timeout=90)

    def look(self) -> None:
        """Start the master again if it was ended; leave it to the owner if they started one."""
        if self._process is not None and self._process.poll() is not None and not _answers():
            messages().print("The master was ended; starting it again.")
            self._launch()

    def wait_for_workers(self, *, limit_s: float) -> Api:
        """The API, once a worker is active. ``Unhealthy`` or ``TimedOut`` say what is missing."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            self._explain_failure()
            with contextlib.suppress(Unreachable):
                api = connect()
                if any(worker["state"] == "active" for worker in api.items("/api/workers")):
                    return api
            time.sleep(0.2)
        raise TimedOut(f"no worker became active within {limit_s:.0f} s: look into {_home() / 'logs'}")

    def _launch(self) -> None:
        log = _home() / "logs" / "up.log"
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "master.cli", "up", "--workers", str(self._workers)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _explain_failure(self) -> None:
        if self._process is not None and (code := self._process.poll()) is not None and not _answers():
            from master.supervisor import read_tail

            raise D8Error(f"the fleet did not start (exit {code}): {read_tail(_home() / 'logs' / 'up.log')}")


def _home() -> Path:
    from master.settings import load_settings

    return load_settings().home


def _answers() -> bool:
    try:
        connect().get("/api/status")
    except Unreachable:
        return False
    return True


def _start(api: Api, name: str, command: list[str]) -> str:
    """Run one of the owner's commands; returns the run's id."""
    answer = subprocess.run(
        [sys.executable, "-m", "master.cli", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise D8Error(f"'d8 {' '.join(command[:2])}' failed: {answer.stderr.strip()}")
    found = json.loads(answer.stdout)
    if name != "client":
        return str(found["id"])
    # The watcher may still be taking it up.
    for _ in range(100):
        if found.get("run_id"):
            return str(found["run_id"])
        time.sleep(0.1)
        found = api.get(f"/api/clients/{found['id']}")
    raise NotFound(f"client {found['id']} was not taken up: is the master's worker running?")


def _follow(api: Api, runs: dict[str, str], fleet: Fleet, limit_s: float) -> dict[str, dict[str, Any]]:
    """Show progress and answer what is asked, until all runs have ended."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    end = time.monotonic() + limit_s
    found: dict[str, dict[str, Any]] = {}
    columns = (
        TextColumn("{task.fields[name]:<7}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}% {task.fields[steps]:>9}  {task.description}"),
        TimeElapsedColumn(),
    )
    console = messages()
    with Progress(*columns, console=console) as progress:
        shown = {name: progress.add_task("", total=1.0, name=name, steps="") for name in runs}
        while time.monotonic() < end:
            fleet.look()
            try:
                for name, run_id in runs.items():
                    run = found[name] = api.get(f"/api/runs/{run_id}")
                    progress.update(
                        shown[name],
                        completed=run["progress"],
                        description=(run["note"] or run["state"])[:60],
                        steps=f"{run['steps_done']}/{run['steps_total']}",
                    )
                    if run["state"] in ENDED:
                        progress.stop_task(shown[name])
                _answer_questions(api, set(runs.values()), console)
            except Unreachable:
                # It may be starting again, at another address.
                with contextlib.suppress(Unreachable):
                    api = connect()
            if len(found) == len(runs) and all(run["state"] in ENDED for run in found.values()):
                return found
            time.sleep(0.5)
    raise TimedOut(
        f"not finished within {limit_s:.0f} s: 'd8 run list' shows how far it is; the fleet goes on with 'd8 up'"
    )


def _answer_questions(api: Api, run_ids: set[str], console: Any) -> None:
    """In the demo nobody is there to be asked: it approves its own requests, and says so."""
    from master.cli.approval import show_money

    for one in api.items("/api/approvals", state="pending"):
        if one["run_id"] in run_ids:
            api.post(
                f"/api/approvals/{one['id']}/decision",
                {"approve": True, "note": "answered by the demo", "digest": one["digest"]},
            )
            cost = show_money(one)
            console.print(
                f"The demo approves request {one['id']} ({one['type']}{', ' + cost if cost else ''}): {one['title']}. "
                f"Normally this waits for you.",
            )


def _show_results(api: Api, finished: dict[str, dict[str, Any]]) -> None:
    """Data on standard output: what was found, and where to look."""
    for name, run in finished.items():
        print(f"\n{name}: run {run['id']} {run['state']} ({run['steps_done']} steps)")
        for line in _findings(name, run.get("result") or {}):
            print(f"  {line}")
        files = ", ".join(sorted(artifact["name"] for artifact in run["artifacts"])[:8])
        if files:
            print(f"  files: {files}  (on the dashboard: {api.url}/runs/{run['id']})")
    print(
        "\nLook further with: d8 run show RUN, d8 darwin best RUN, d8 niche show RUN, d8 client list, d8 dashboard"
    )


def _findings(name: str, result: dict[str, Any]) -> list[str]:
    if name == "darwin" and result:
        return [str(result["verdict"]["text"])]
    if name == "niche" and result:
        return [
            f"{market}: {place}. {niche['label']}, {niche['score']:.0f} of 100"
            for market, study in result["markets"].items()
            for place, niche in enumerate(study["niches"][:3], 1)
        ]
    return [f"{key}: {value}" for key, value in result.items() if isinstance(value, str | int | float)]
