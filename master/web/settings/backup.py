"""The whole fleet as one file, encrypted, to keep somewhere else.

It is made by ``d8 backup`` in a process of its own: the key takes 64 MiB for a moment, which this one does
not have to keep.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute

from master.api.services import Services
from master.events import record_event
from master.settings import Settings
from master.store.size import database_bytes
from master.tokens import Principal
from master.web.door import N_, Door, Reading, Section
from master.web.forms import read_form
from tasks.errors import InvalidInput, Refused, Unhealthy
from tasks.files import ROOT, read_text_or_empty

HERE = "/settings/backup"
SHORTEST = 10
_FOLDER = ".download-"


def routes(door: Door) -> list[BaseRoute]:
    one_at_a_time = asyncio.Lock()

    async def download(services: Services, request: Request, caller: Principal) -> Response:
        form = await read_form(request)
        passphrase = form.get("passphrase", "")
        if passphrase != form.get("again", ""):
            raise InvalidInput("the two passphrases are not the same: go back and enter them again")
        return await make_download(
            services, passphrase, caller, with_secrets="secrets" in form, lock=one_at_a_time
        )

    return [door.page(HERE, "settings_backup.html", read_backup), door.form(f"{HERE}/download", download)]


async def make_download(
    services: Services, passphrase: str, caller: Principal, *, with_secrets: bool, lock: asyncio.Lock
) -> Response:
    """A backup as a file that is sent and then gone. ``Refused`` while ``lock`` is held: one at a time."""
    if len(passphrase) < SHORTEST or "\n" in passphrase:
        raise InvalidInput(
            f"the passphrase has {len(passphrase)} characters: take {SHORTEST} or more, such as four words"
        )
    if lock.locked():
        raise Refused("a backup is being made at this moment: wait until it has arrived")
    async with lock:
        _sweep(services.settings.home)
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=services.settings.home))
        return await _make(services, folder, passphrase, caller, with_secrets=with_secrets)


async def _make(
    services: Services, folder: Path, passphrase: str, caller: Principal, *, with_secrets: bool
) -> Response:
    """The file is removed once it was sent, or could not be made."""
    now = services.clock()
    file = folder / f"d8-{now.astimezone(UTC):%Y-%m-%d-%H%M}.d8backup"
    away: Callable[[], None] = lambda: shutil.rmtree(folder, ignore_errors=True)  # noqa: E731
    try:
        await run_backup(services.settings, file, passphrase, with_secrets=with_secrets)
        size = file.stat().st_size
        await services.write(
            lambda c: record_event(
                c, "backup_downloaded", now, by=caller.name, bytes=size, secrets=with_secrets
            )
        )
    except BaseException:
        away()
        raise
    return FileResponse(
        file, media_type="application/octet-stream", filename=file.name, background=BackgroundTask(away)
    )


async def run_backup(settings: Settings, file: Path, passphrase: str, *, with_secrets: bool) -> None:
    """``d8 backup FILE`` with the passphrase on its standard input. ``Unhealthy``: what it said."""
    arguments = [
        sys.executable,
        "-m",
        "master.cli",
        "backup",
        str(file),
        "--passphrase-file",
        "/dev/stdin",
        "--json",
    ]
    if not with_secrets:
        arguments.append("--without-secrets")
    # A pipe of our own: the event loop's may be a socket, which cannot be opened by a name.
    reads, writes = os.pipe()
    try:
        os.write(writes, passphrase.encode() + b"\n")
        os.close(writes)
        process = await asyncio.create_subprocess_exec(
            *arguments,
            cwd=ROOT,
            env={**os.environ, "D8_HOME": str(settings.home), "NO_COLOR": "1", "COLUMNS": "500"},
            stdin=reads,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    finally:
        os.close(reads)
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        text = said.decode("utf-8", "replace").strip()[-1000:]
        raise Unhealthy(f"the backup was not made ({text or 'it said nothing'}): nothing was left behind")


def _sweep(home: Path) -> None:
    """What a download left that ended with the process; nothing is being downloaded from there for so long."""
    long_ago_s = datetime.now(UTC).timestamp() - 86_400
    for folder in home.glob(f"{_FOLDER}*"):
        if folder.stat().st_mtime < long_ago_s:
            shutil.rmtree(folder, ignore_errors=True)


def read_backup(reading: Reading) -> dict[str, Any]:
    home = reading.services.settings.home
    said = read_text_or_empty(home / "last-backup")
    try:
        last = datetime.fromisoformat(said) if said else None
    except ValueError:
        last = None
    return {
        "last": last,
        "late": last is None or (reading.now - last).days >= 7,
        "database_bytes": database_bytes(reading.services.database, reading.connection),
        "shortest": SHORTEST,
    }


PAGE = Section(path=HERE, name=N_("Backup"), routes=routes)
