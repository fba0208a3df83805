"""``d8 up`` and ``d8 down``."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import time
from typing import TYPE_CHECKING, Annotated

import typer

from master.cli.base import messages
from tasks.errors import NotFound, TimedOut
from tasks.files import read_text_or_empty

if TYPE_CHECKING:
    from master.settings import Settings

app = typer.Typer()


@app.command()
def up(
    workers: Annotated[
        int,
        typer.Option(
            min=-1,
            max=16,
            help="Workers to run on this machine, too (default: as last time; else 1 where torch is).",
        ),
    ] = -1,
    flower: Annotated[bool, typer.Option(help="Run Flower, on loopback behind its password.")] = True,
) -> None:
    """Start the whole master in this terminal: broker, API, dashboard, duties, Telegram, Flower."""
    from master.settings import load_settings
    from master.supervisor import python
    from master.up import become_master
    from tasks.log import configure_logging

    configure_logging()
    settings = load_settings()
    names = worker_names(_remembered(settings, workers))
    announce = python("master.cli.announce", *(["--flower"] if flower else []))
    become_master(settings, workers=names, flower=flower, announce=announce)


def _remembered(settings: Settings, workers: int) -> int:
    """The number given now, or the last one given here: a fleet that is started again is the same fleet."""
    path = settings.home / "local-workers"
    if workers >= 0:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(f"{workers}\n", encoding="utf-8")
        return workers
    last = read_text_or_empty(path)
    return int(last) if last.isdigit() else int(importlib.util.find_spec("torch") is not None)


def worker_names(count: int) -> list[str]:
    """``host``, or ``host-1``, ``host-2`` ... where one machine runs several."""
    host = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")[:50] or "worker"
    return [host] if count == 1 else [f"{host}-{number}" for number in range(1, count + 1)]


@app.command()
def down() -> None:
    """Stop the master that runs in this home; running steps are kept and go on at the next start."""
    from master.settings import load_settings

    settings = load_settings()
    pid = read_text_or_empty(settings.run_folder / "up.lock")
    if not pid.isdigit():
        raise NotFound(f"no master runs in {settings.home}: 'd8 up' starts one")
    os.kill(int(pid), signal.SIGTERM)
    for _ in range(600):
        if not read_text_or_empty(settings.run_folder / "up.lock"):
            messages().print("Stopped.")
            return
        time.sleep(0.1)
    raise TimedOut(
        f"the master (process {pid}) has not stopped within 60 s: it may still be finishing a step"
    )
