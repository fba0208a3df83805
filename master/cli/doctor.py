"""``d8 doctor``: what is missing, and what to do about it."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from master.cli.base import emit, table
from master.cli.look import Json

if TYPE_CHECKING:
    from master.settings import Settings

app = typer.Typer()

_LEAST_DISK_MIB = 2048
_LEAST_MEMORY_MIB = 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    check: str
    #: ok, warning (works, but not as it should) or missing (something will not work).
    level: str
    found: str
    remedy: str = ""


@app.command()
def doctor(json_mode: Json = False) -> None:
    """Say what is missing on this machine and in this fleet, and what to do. Exit code 3 if anything is."""
    from master.settings import load_settings

    findings = list(examine(load_settings()))
    emit([dataclasses.asdict(finding) for finding in findings], json_mode, lambda _: _render(findings))
    if any(finding.level == "missing" for finding in findings):
        raise typer.Exit(3)


def _render(findings: list[Finding]) -> Any:
    made = table("", "check", "found", "remedy")
    marks = {"ok": "[green]ok[/]", "warning": "[yellow]look[/]", "missing": "[red]missing[/]"}
    for finding in findings:
        made.add_row(marks[finding.level], finding.check, finding.found, finding.remedy)
    return made


def examine(settings: Settings) -> Iterator[Finding]:
    """All checks, from the machine up to the fleet. Each is quick and changes nothing."""
    yield _python()
    yield _disk(settings.home)
    yield _memory()
    yield _home(settings.home)
    yield from _secrets(settings.secrets_folder)
    yield _model_libraries()
    yield _tool("docker", "untrusted code runs only in Docker", "install docker.io where steps run code")
    yield _tool(
        "nvidia-smi", "this machine serves GPU lanes", "nothing to do on a machine without an NVIDIA GPU"
    )
    yield _attempt("database", lambda: _database(settings))
    yield _attempt("broker", lambda: _broker(settings))
    yield from _strays(settings)
    yield from _master(settings)
    yield _telegram(settings)
    yield _policy(settings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(check="python", level="ok", found=version)


def _disk(home: Path) -> Finding:
    place = next(path for path in (home, *home.parents) if path.exists())
    free_mib = shutil.disk_usage(place).free // 2**20
    level = "ok" if free_mib >= _LEAST_DISK_MIB else "missing"
    return Finding(
        check="disk", level=level, found=f"{free_mib} MiB free at {place}",
        remedy="" if level == "ok" else f"make room: at least {_LEAST_DISK_MIB} MiB",
    )  # fmt: skip


def _memory() -> Finding:
    import psutil

    free_mib = psutil.virtual_memory().available // 2**20
    level = "ok" if free_mib >= _LEAST_MEMORY_MIB else "warning"
    remedy = "" if level == "ok" else "close other programs, or run fewer workers here"
    return Finding(check="memory", level=level, found=f"{free_mib} MiB available", remedy=remedy)


def _home(home: Path) -> Finding:
    if not home.exists():
        return Finding(
            check="home", level="warning", found=f"{home} does not exist yet", remedy="'d8 up' makes it"
        )
    if not os.access(home, os.W_OK):
        return Finding(
            check="home",
            level="missing",
            found=f"{home} cannot be written",
            remedy="make it yours, or set D8_HOME",
        )
    return Finding(check="home", level="ok", found=str(home))


def _secrets(folder: Path) -> Iterator[Finding]:
    for path in sorted(folder.glob("*")) if folder.exists() else ():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            yield Finding(
                check="secrets", level="missing", found=f"{path} can be read by others (mode {mode:o})",
                remedy=f"chmod 600 {path}",
            )  # fmt: skip
            return
    yield Finding(check="secrets", level="ok", found="readable by their owner alone")


def _model_libraries() -> Finding:
    if importlib.util.find_spec("torch"):
        return Finding(check="torch", level="ok", found="installed: workers can run here")
    return Finding(
        check="torch", level="warning", found="not installed: this machine can be a master, not a worker",
        remedy="'scripts/env --worker' where a worker is to run",
    )  # fmt: skip


def _tool(name: str, meaning: str, remedy: str) -> Finding:
    path = shutil.which(name)
    if path:
        return Finding(check=name, level="ok", found=f"{path}: {meaning}")
    return Finding(check=name, level="warning", found="not installed", remedy=remedy)


def _attempt(check: str, look: Callable[[], Finding]) -> Finding:
    from tasks.errors import D8Error

    try:
        return look()
    except D8Error as error:
        return Finding(check=check, level="missing", found=str(error), remedy="see there")


def _database(settings: Settings) -> Finding:
    from sqlalchemy import inspect

    from master.store import Database

    database = Database(settings.sqlalchemy_url)
    shown = database.url.render_as_string(hide_password=True)
    if database.sqlite and not Path(database.url.database or "").exists():
        return Finding(
            check="database", level="warning", found=f"{shown}: not made yet", remedy="'d8 up' makes it"
        )
    with database.read() as connection:
        tables = inspect(connection).get_table_names()
    if "steps" not in tables:
        return Finding(
            check="database", level="warning", found=f"{shown}: no tables yet", remedy="'d8 up' makes them"
        )
    return Finding(check="database", level="ok", found=f"{shown}, {len(tables)} tables")


def _broker(settings: Settings) -> Finding:
    from kombu.connection import Connection
    from kombu.exceptions import OperationalError

    url = settings.find_broker_url()
    if not url:
        return Finding(
            check="broker", level="warning", found="the embedded one has not run yet", remedy="'d8 up'"
        )
    connection = Connection(url, connect_timeout=2, transport_options={"socket_connect_timeout": 2})
    try:
        connection.ensure_connection(max_retries=1, timeout=2)
    except (OperationalError, OSError):
        return Finding(
            check="broker", level="missing", found=f"{connection.as_uri()} does not answer",
            remedy="start it with 'd8 up', or correct D8_BROKER_URL",
        )  # fmt: skip
    return Finding(check="broker", level="ok", found=connection.as_uri())


def _strays(settings: Settings) -> Iterator[Finding]:
    """Tickets that nobody could take: their steps were sent again, but what made them stray may go on."""
    from master.rabbitmq import count_strays, find_rabbitmq

    management = find_rabbitmq(settings)
    if management is not None:
        yield _attempt("stray tickets", lambda: _judge_strays(count_strays(management)))


def _judge_strays(strays: dict[str, int]) -> Finding:
    found = ", ".join(f"{count} in {queue}" for queue, count in strays.items())
    if not any(strays.values()):
        return Finding(check="stray tickets", level="ok", found=found)
    return Finding(
        check="stray tickets", level="warning", found=found,
        remedy="'d8 worker list' and the logs say which worker dies or has the wrong lanes; purge the queues after",
    )  # fmt: skip


def _master(settings: Settings) -> Iterator[Finding]:
    from master.cli.base import connect
    from tasks.build import current_build
    from tasks.errors import D8Error

    try:
        api = connect()
        status, workers = api.get("/api/status"), api.get("/api/workers")
    except D8Error as error:
        yield Finding(check="master", level="missing", found=str(error), remedy="'d8 up' starts it")
        return
    here = current_build().id
    if status["master_build"] == here:
        yield Finding(check="master", level="ok", found=f"answers at {api.url}, build {here}")
    else:
        yield Finding(
            check="master", level="warning", found=f"runs build {status['master_build']}, this checkout is {here}",
            remedy="start it again: 'd8 down', then 'd8 up'",
        )  # fmt: skip
    active = [worker["name"] for worker in workers if worker["state"] == "active"]
    yield Finding(
        check="workers", level="ok" if active else "missing", found=", ".join(active) or "none is active",
        remedy="" if active else "'d8 worker start' on each machine",
    )  # fmt: skip
    for worker in workers:
        if worker["state"] in ("wrong_build", "offline", "quarantined"):
            yield Finding(
                check=f"worker {worker['name']}",
                level="warning",
                found=worker["state"],
                remedy=worker["reason"],
            )


def _policy(settings: Settings) -> Finding:
    from master.approvals.policy_file import PolicyFile
    from tasks.errors import InvalidInput

    try:
        policy = PolicyFile(settings.policy_path)()
    except InvalidInput as error:
        return Finding(check="policy", level="missing", found=str(error), remedy="correct the file")
    if not settings.policy_path.exists():
        return Finding(
            check="policy",
            level="ok",
            found="every owner decides everything; no budgets",
            remedy=f"{settings.policy_path} may say otherwise: docs/approvals.md",
        )
    return Finding(
        check="policy", level="ok", found=f"{len(policy.budgets)} budget lines, {len(policy.people)} people"
    )


def _telegram(settings: Settings) -> Finding:
    if settings.telegram_token is None:
        return Finding(
            check="telegram", level="warning", found="no token: approvals wait on the dashboard and command line",
            remedy="set D8_TELEGRAM_TOKEN and D8_TELEGRAM_USERS",
        )  # fmt: skip
    if not settings.telegram_users:
        return Finding(
            check="telegram", level="missing", found="a token but nobody who may use it",
            remedy="set D8_TELEGRAM_USERS to your numeric user id",
        )  # fmt: skip
    return Finding(check="telegram", level="ok", found=f"{len(settings.telegram_users)} user(s) may decide")
