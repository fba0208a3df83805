"""``d8 up`` and ``d8 down``."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from typing import Annotated

import typer

from master.cli.base import messages
from tasks.errors import NotFound, TimedOut

app = typer.Typer()


@app.command()
def up(
    workers: Annotated[int, typer.Option(min=0, max=16, help="Workers to run on this machine, too.")] = 0,
    flower: Annotated[bool, typer.Option(help="Run Flower, on loopback behind its password.")] = True,
) -> None:
    """Start the whole master in this terminal: broker, API, dashboard, duties, Telegram, Flower."""
    from master.settings import load_settings
    from master.up import run_master
    from tasks.log import configure_logging

    configure_logging()
    settings = load_settings()
    names = worker_names(workers)
    run_master(settings, workers=names, flower=flower, on_ready=lambda _: _announce(flower))


def worker_names(count: int) -> list[str]:
    """``host``, or ``host-1``, ``host-2`` ... where one machine runs several."""
    host = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")[:50] or "worker"
    return [host] if count == 1 else [f"{host}-{number}" for number in range(1, count + 1)]


def _announce(flower: bool) -> None:
    from master.cli.base import connect
    from master.settings import load_settings

    settings = load_settings()
    api = connect()
    link = f"{api.url}/login?code={api.post('/api/login-codes')['code']}"
    say = messages().print
    say(f"The master runs. Dashboard (this link works once): {link}")
    if flower:
        say(f"Flower: http://127.0.0.1:{settings.flower_port} (password in {settings.secrets_folder}/flower.password)")
    say(f"Logs: {settings.log_folder}. Stop with Ctrl-C, or 'd8 down' from elsewhere.")


@app.command()
def down() -> None:
    """Stop the master that runs in this home; running steps are kept and go on at the next start."""
    from master.settings import load_settings
    from tasks.settings import read_text_or_empty

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
    raise TimedOut(f"the master (process {pid}) has not stopped within 60 s: it may still be finishing a step")
