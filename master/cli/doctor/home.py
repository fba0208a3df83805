"""The home: who may read it, what grows in it, the owner's rules, backups."""

from __future__ import annotations

import os
import stat
from datetime import datetime, timedelta
from pathlib import Path

from master.cli.doctor.ground import Finding, Ground, fine, look, missing
from tasks.files import read_text_or_empty

_MOST_LOGS_MIB = 500
_OLD_BACKUP = timedelta(days=30)


def check_home(ground: Ground) -> Finding:
    home = ground.settings.home
    if not home.exists():
        return look("home", f"{home} does not exist yet", "'d8 up' makes it")
    if not os.access(home, os.W_OK):
        return missing("home", f"{home} cannot be written", "make it yours, or set D8_HOME")
    return fine("home", str(home))


def check_home_permissions(ground: Ground) -> Finding | None:
    home = ground.settings.home
    if not home.exists():
        return None
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o022:
        return missing(
            "home permissions", f"{home} can be changed by others (mode {mode:o})", f"chmod 700 {home}"
        )
    if mode & 0o055:
        return look("home permissions", f"{home} can be read by others (mode {mode:o})", f"chmod 700 {home}")
    return fine("home permissions", "its owner's alone")


def check_secrets(ground: Ground) -> Finding:
    folder = ground.settings.secrets_folder
    for path in sorted(folder.glob("*")) if folder.exists() else ():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            return missing("secrets", f"{path} can be read by others (mode {mode:o})", f"chmod 600 {path}")
    return fine("secrets", "readable by their owner alone")


def check_settings_file(ground: Ground) -> Finding | None:
    """``d8.env`` may hold tokens."""
    path = ground.settings.home / "d8.env"
    if not path.exists():
        return None
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return look("d8.env", f"{path} can be read by others (mode {mode:o})", f"chmod 600 {path}")
    return fine("d8.env", "readable by its owner alone")


def check_logs(ground: Ground) -> Finding | None:
    folder = ground.settings.log_folder
    if not folder.exists():
        return None
    mib = sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) // 2**20
    if mib > _MOST_LOGS_MIB:
        return look(
            "logs", f"{mib} MiB in {folder}",
            "something fails again and again: 'd8 logs' shows what; a restart begins new files",
        )  # fmt: skip
    return fine("logs", f"{mib} MiB")


def check_backup(ground: Ground) -> Finding | None:
    if not _has_state(ground.settings.home):
        return None
    said = read_text_or_empty(ground.settings.home / "last-backup")
    try:
        last = datetime.fromisoformat(said)
    except ValueError:
        return look("backup", "none was made from this home", "'d8 backup FILE', to another disk")
    days = (ground.now - last).days
    if ground.now - last > _OLD_BACKUP:
        return look("backup", f"the last one is {days} days old", "'d8 backup FILE', to another disk")
    return fine("backup", f"the last one is {days} days old")


def check_policy(ground: Ground) -> Finding:
    from master.approvals.policy_file import PolicyFile
    from tasks.errors import InvalidInput

    path = ground.settings.policy_path
    try:
        policy = PolicyFile(path)()
    except InvalidInput as error:
        return missing("policy", str(error), "correct the file")
    if not path.exists():
        return Finding(
            check="policy", level="ok", found="every owner decides everything; no budgets",
            remedy=f"{path} may say otherwise: docs/approvals.md",
        )  # fmt: skip
    return fine("policy", f"{len(policy.budgets)} budget lines, {len(policy.people)} people")


def check_time_zone(ground: Ground) -> Finding | None:
    """Budgets' months and quiet hours go by the policy's zone, which is UTC unless it says otherwise."""
    from master.approvals.policy_file import PolicyFile
    from tasks.errors import InvalidInput

    try:
        zone = PolicyFile(ground.settings.policy_path)().time_zone
    except InvalidInput:
        return None
    here = _zone_here(ground.root)
    if zone == "UTC" and here and here not in ("UTC", "Etc/UTC"):
        return look(
            "time zone", f"this machine is in {here}, months and quiet hours are in UTC",
            f'write time_zone = "{here}" into {ground.settings.policy_path}',
        )  # fmt: skip
    return fine("time zone", zone)


def _zone_here(root: Path) -> str:
    named = read_text_or_empty(root / "etc/timezone")
    link = root / "etc/localtime"
    return named or (os.readlink(link).partition("zoneinfo/")[2] if link.is_symlink() else "")


def _has_state(home: Path) -> bool:
    return (home / "secrets" / "owner.token").exists()


CHECKS = {
    "home": check_home,
    "home permissions": check_home_permissions,
    "secrets": check_secrets,
    "d8.env": check_settings_file,
    "logs": check_logs,
    "backup": check_backup,
    "policy": check_policy,
    "time zone": check_time_zone,
}
