"""``d8 admin``: owners, and for whoever owns the master's home a way in when nothing else lets them in."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from master.cli.base import Api, connect, emit, messages, table
from master.cli.look import Json

app = typer.Typer(
    no_args_is_help=True, help="Owners, and a way in for one who is locked out: code, owners, reset."
)


@app.callback()
def _group() -> None:
    """Owners, and a way in for one who is locked out: code, owners, reset."""


@app.command()
def code() -> None:
    """Print a one-time code and the link with which somebody becomes an owner, within an hour."""
    print(welcome_link(connect()))
    messages().print("Whoever opens it chooses a name and a password, and is an owner from then on.")


def welcome_link(api: Api) -> str:
    return f"{api.url}/welcome?code={api.post('/api/owners/codes')['code']}"


@app.command()
def owners(json_mode: Json = False) -> None:
    """List the owners."""
    emit(connect().items("/api/owners"), json_mode, _render)


def _render(found: list[dict[str, Any]]) -> Any:
    made = table("name", "owner since (UTC)", "password set (UTC)")
    for owner in found:
        made.add_row(owner["name"], _minute(owner["created_at"]), _minute(owner["password_at"]) or "none")
    return made


def _minute(time: str | None) -> str:
    return time[:16].replace("T", " ") if time else ""


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Make a new owner token; end every session, code and owner token; take every password away.

    Accounts keep their names: 'd8 dashboard' then lets you in to choose a new password. Needs the home and its
    database, not the API: for a token or password that was lost, or seen by others.
    """
    from master.clock import utc_now
    from master.owners.reset import reset_owners
    from master.settings import load_settings
    from master.store import Database
    from master.store.migrate import current_revision
    from tasks.errors import NotFound, UsageError

    settings = load_settings()
    if not yes and not sys.stdin.isatty():
        raise UsageError("this ends every session and owner token: say --yes where nobody can be asked")
    if not yes:
        typer.confirm("End every session, owner token and password of this fleet", abort=True)
    database = Database(settings.sqlalchemy_url)
    with database.read() as connection:
        if not current_revision(connection):
            raise NotFound(f"no master has run in {settings.home} yet: 'd8 up' starts one")
    path = settings.secrets_folder / "owner.token"
    with database.write() as connection:
        done = reset_owners(connection, path, now=utc_now())
    database.close()
    messages().print(
        f"{done.tokens} tokens, {done.sessions} sessions and {done.passwords} passwords are worth nothing now; the new "
        f"token is in {path}. 'd8 dashboard' prints a link to log in and choose a new password."
    )
