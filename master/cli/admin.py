"""``d8 admin``: for whoever owns the master's home, also when nothing else lets them in."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from master.cli.base import messages

app = typer.Typer(no_args_is_help=True, help="When the owner is locked out: reset.")


@app.callback()
def _group() -> None:
    """When the owner is locked out: reset."""


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Make a new owner token and end every session, one-time link and owner token there is.

    Needs the home and its database, not the API: for a token that was lost or seen by others.
    """
    from master.clock import utc_now
    from master.events import record_event
    from master.settings import load_settings
    from master.store import Database
    from master.store.migrate import current_revision
    from master.tokens import reset_owner
    from tasks.errors import NotFound, UsageError

    settings = load_settings()
    if not yes and not sys.stdin.isatty():
        raise UsageError("this ends every session and owner token: say --yes where nobody can be asked")
    if not yes:
        typer.confirm("End every session and every owner token of this fleet", abort=True)
    database = Database(settings.sqlalchemy_url)
    with database.read() as connection:
        if not current_revision(connection):
            raise NotFound(f"no master has run in {settings.home} yet: 'd8 up' starts one")
    path = settings.secrets_folder / "owner.token"
    with database.write() as connection:
        now = utc_now()
        gone = reset_owner(connection, path, now=now)
        record_event(connection, "owner_reset", now, tokens=gone)
    database.close()
    messages().print(
        f"{gone} tokens and sessions are worth nothing now; the new token is in {path}. "
        f"'d8 dashboard' prints a link to log in."
    )
