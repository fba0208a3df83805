"""``d8 backup`` and ``d8 restore``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from master.cli.base import emit, messages, table
from tasks.errors import InvalidInput, Refused

if TYPE_CHECKING:
    from master.backup.manifest import Manifest

app = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
PassphraseFile = Annotated[
    Path | None, typer.Option(help="File whose first line is the passphrase (default: you are asked).")
]


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    passphrase_file: PassphraseFile = None,
    no_encryption: Annotated[
        bool,
        typer.Option(
            "--no-encryption",
            help="Write it readable: whoever gets the file can read all data and act as this fleet.",
        ),
    ] = False,
    without_secrets: Annotated[
        bool,
        typer.Option(
            "--without-secrets",
            help="Leave out the secrets folder and d8.env: a restored fleet has new keys, and workers join again.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    json_mode: Json = False,
) -> None:
    """Write the whole fleet into one file; the master may run meanwhile."""
    from master.backup.make import bytes_of, make_backup, snapshot
    from master.capabilities import load_capabilities
    from master.clock import utc_now
    from master.settings import load_settings
    from master.store import Database
    from tasks.build import current_build

    settings = load_settings()
    if file.exists() and not force:
        raise Refused(f"{file} is there already: choose another name, or give --force to replace it")
    passphrase = "" if no_encryption else _passphrase(passphrase_file, confirm=True)
    load_capabilities()
    database = Database(settings.sqlalchemy_url)
    _require_database(database, settings.home)
    try:
        with snapshot(database) as connection:
            size = bytes_of(connection, settings)
        with _progress("backing up", size) as advance:
            manifest = make_backup(
                settings, database, file.absolute(), build=current_build().id, now=utc_now(),
                passphrase=passphrase, with_secrets=not without_secrets, force=force, advance=advance,
            )  # fmt: skip
    finally:
        database.close()
    # For 'd8 doctor'.
    (settings.home / "last-backup").write_text(f"{utc_now().isoformat()}\n", encoding="utf-8")
    emit(_facts(manifest, file, encrypted=bool(passphrase)), json_mode, _render)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    check: Annotated[
        bool, typer.Option("--check", help="Only verify it and say what is inside; change nothing.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also over a fleet that is there: its data is set aside.")
    ] = False,
    json_mode: Json = False,
) -> None:
    """Put a backup into this home and its database."""
    from master.backup.archive import check_archive, encrypted

    sealed = encrypted(file)
    passphrase = _passphrase(passphrase_file, confirm=False) if sealed else ""
    with _progress("checking", None) as advance:
        manifest = check_archive(file, passphrase, advance)
    facts = _facts(manifest, file, encrypted=sealed)
    if not check:
        messages().print(f"The backup is whole: {manifest.rows} rows of {manifest.made_at[:19]} UTC.")
        if not yes:
            typer.confirm("Restore it into this home?", abort=True, err=True)
        facts["kept"] = _restore(file, manifest, passphrase, force)
    emit(facts, json_mode, _render)


def _restore(file: Path, manifest: Manifest, passphrase: str, force: bool) -> list[str]:
    from master.backup.restore import restore as restore_backup
    from master.capabilities import load_capabilities
    from master.clock import utc_now
    from master.settings import load_settings
    from master.start import make_home
    from master.store import Database
    from master.supervisor import only_one

    settings = load_settings()
    load_capabilities()
    make_home(settings)
    size = sum(member.size for member in manifest.members.values())
    with (
        only_one(settings.run_folder),
        contextlib.closing(Database(settings.sqlalchemy_url)) as database,
        _progress("restoring", size) as advance,
    ):
        told = restore_backup(
                settings, database, file, manifest, passphrase=passphrase, now=utc_now(), force=force,
                advance=advance,
            )  # fmt: skip
    messages().print("Restored: start it with 'd8 up'.")
    for line in told:
        messages().print(line)
    return told


def _require_database(database: Any, home: Path) -> None:
    from tasks.errors import NotFound

    if database.sqlite and not Path(database.url.database or "").exists():
        raise NotFound(f"there is no fleet in {home}: set D8_HOME to the home of the one to back up")


def _passphrase(file: Path | None, *, confirm: bool) -> str:
    if file is not None:
        try:
            found = (file.read_text(encoding="utf-8").splitlines() or [""])[0]
        except OSError as error:
            raise InvalidInput(f"the passphrase file {file} cannot be read ({error.strerror})") from None
    elif sys.stdin.isatty():
        found = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
    else:
        raise InvalidInput(
            "a passphrase is needed and there is no terminal to ask at: give --passphrase-file"
            + (", or --no-encryption for a readable file" if confirm else "")
        )
    if not found:
        raise InvalidInput("the passphrase is empty: give one, or --no-encryption when the backup is made")
    return str(found)


@contextlib.contextmanager
def _progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=messages(), transient=True) as progress:
        shown = progress.add_task(what, total=total)
        yield lambda done: progress.advance(shown, done)


def _facts(manifest: Manifest, file: Path, *, encrypted: bool) -> dict[str, Any]:
    return {
        "file": str(file),
        "bytes": file.stat().st_size,
        "encrypted": encrypted,
        "made_at": manifest.made_at,
        "build": manifest.build,
        "revision": manifest.revision,
        "database": manifest.database,
        "rows": {table.name: table.rows for table in manifest.tables},
        "artifacts": sum(name.startswith("artifacts/") for name in manifest.members),
        "artifacts_missing": list(manifest.artifacts_missing),
        "with_secrets": manifest.with_secrets,
    }


def _render(facts: dict[str, Any]) -> Any:
    made = table("", "")
    made.add_row(
        "file", f"{facts['file']}, {facts['bytes']} bytes{'' if facts['encrypted'] else ', readable'}"
    )
    made.add_row("made", f"{facts['made_at'][:19].replace('T', ' ')} UTC, build {facts['build']}")
    made.add_row("from", f"{facts['database']}, revision {facts['revision']}")
    made.add_row(
        "rows", ", ".join(f"{rows} {name}" for name, rows in facts["rows"].items() if rows) or "none"
    )
    made.add_row("artifacts", f"{facts['artifacts']} ({len(facts['artifacts_missing'])} missing)")
    made.add_row("secrets", "yes" if facts["with_secrets"] else "no")
    return made
