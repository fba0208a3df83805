"""Which processes make up a master on this machine, and when each is ready."""

from __future__ import annotations

import os
import secrets
import sys
from typing import NoReturn

from master.broker import prepare_broker, server_command
from master.ready import Ready
from master.settings import Settings
from master.start import make_home
from master.store.artifacts import write_whole
from master.supervise import MasterPlan
from master.supervisor import Part, only_one, python
from tasks.files import ROOT, read_text_or_empty
from tasks.tracing import check_tracing


def master_parts(settings: Settings, *, workers: list[str], flower: bool) -> list[Part]:
    """The parts in the order in which they are started. An external broker is not ours to start."""
    parts: list[Part] = []
    if not settings.broker_url.get_secret_value():
        parts.append(
            Part(
                name="broker",
                command=server_command(prepare_broker(settings)),
                ready=Ready(kind="redis", where=str(settings.run_folder / "broker.url"), what="the broker"),
            )
        )
    parts.append(
        Part(
            name="api",
            command=python("master.api"),
            ready=Ready(
                kind="http", where=f"http://{_own(settings.host)}:{settings.port}/livez", what="the API"
            ),
        )
    )
    parts.append(
        Part(
            name="duties",
            command=python(
                "celery", "-A", "master.app", "worker", "-n", "d8@master", "-Q", "d8.master",
                "--pool", "threads", "-c", "4", "--without-gossip", "--without-mingle", "-l", "WARNING",
            ),
        )
    )  # fmt: skip
    if settings.telegram_token is not None:
        parts.append(Part(name="telegram", command=python("master.telegram")))
    if flower:
        parts.append(_flower(settings))
    parts += [
        Part(name=f"worker-{name}", command=python("worker.cli", "run", "--name", name)) for name in workers
    ]
    return parts


def become_master(settings: Settings, *, workers: list[str], flower: bool, announce: list[str]) -> NoReturn:
    """Plan the parts, and become the small process that keeps them running (``master.supervise``)."""
    check_tracing(settings.otel_endpoint)
    make_home(settings)
    path = settings.run_folder / "up.json"
    # A master that runs here must not find its broker's address changed.
    with only_one(settings.run_folder):
        MasterPlan(
            parts=master_parts(settings, workers=workers, flower=flower),
            run_folder=str(settings.run_folder),
            log_folder=str(settings.log_folder),
            host=settings.host,
            port=settings.port,
            announce=announce,
        ).write(path)
    os.chdir(ROOT)
    os.execv(sys.executable, python("master.supervise", str(path)))  # noqa: S606


def _own(host: str) -> str:
    """The address by which this machine reaches a server that listens on ``host``."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 (compared with, not bound to)
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _flower(settings: Settings) -> Part:
    """Read-only for the curious, on loopback, behind a password that is made here."""
    path = settings.secrets_folder / "flower.password"
    if not read_text_or_empty(path):
        write_whole(path, f"owner:{secrets.token_urlsafe(18)}\n".encode(), mode=0o600)
    # Flower reads its options from FLOWER_... variables or a file: a password on the command line
    # would be in the list of processes.
    configuration = settings.run_folder / "flowerconfig.py"
    write_whole(
        configuration,
        (
            f"basic_auth = [{read_text_or_empty(path)!r}]\n"
            f"address = '127.0.0.1'\nport = {settings.flower_port}\n"
            f"max_tasks = 5000\nenable_events = True\n"
        ).encode(),
        mode=0o600,
    )
    return Part(
        name="flower",
        command=python("celery", "-A", "tasks.app", "flower", f"--conf={configuration}", "--logging=warning"),
    )
