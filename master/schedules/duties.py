"""What the master does itself on a schedule, beside starting runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from master.backup.make import make_backup
from master.settings import Settings
from master.store import Database
from tasks.build import current_build
from tasks.errors import NotFound
from tasks.files import read_text_or_empty
from tasks.record import Record

#: Its first line seals the backups that nobody is there to be asked for a passphrase of.
SEALED_WITH = "backup.passphrase"
FOLDER = "backups"


class BackupParams(Record):
    #: Older backups of the folder are deleted.
    keep: int = Field(default=7, ge=1, le=1000)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Duty:
    params: type[Record]
    #: Does it and says in one line what came of it.
    function: Callable[[Settings, Database, Any, datetime], str]


def back_up(settings: Settings, database: Database, params: BackupParams, now: datetime) -> str:
    """A sealed backup in the home's ``backups`` folder. ``NotFound``: nobody has said with which passphrase."""
    secret = settings.secrets_folder / SEALED_WITH
    passphrase = read_text_or_empty(secret).partition("\n")[0].strip()
    if not passphrase:
        raise NotFound(
            f"backups on a schedule are sealed with the first line of {secret}, which is not there: write a "
            f"passphrase into it (mode 600) and keep it somewhere else, too"
        )
    folder = settings.home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"fleet-{now:%Y%m%d-%H%M%S}.d8backup"
    make_backup(
        settings, database, target, build=current_build().id, now=now, passphrase=passphrase,
        with_secrets=True, force=True,
    )  # fmt: skip
    # For 'd8 doctor'.
    (settings.home / "last-backup").write_text(f"{now.isoformat()}\n", encoding="utf-8")
    gone = _delete_old(folder, params.keep)
    return f"wrote {target.name}" + (f", deleted {gone} older" if gone else "")


def _delete_old(folder: Path, keep: int) -> int:
    # Their names sort as their times do.
    old = sorted(folder.glob("fleet-*.d8backup"))[:-keep]
    for path in old:
        path.unlink()
    return len(old)


DUTIES: dict[str, Duty] = {"backup": Duty(params=BackupParams, function=back_up)}
