"""``d8 token``: what programs identify themselves with."""

from __future__ import annotations

import enum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from master.cli.base import connect, emit, messages, table
from master.cli.look import Json

app = typer.Typer(no_args_is_help=True, help="Tokens for programs: create, list, revoke.")


class TokenScope(enum.StrEnum):
    METRICS = "metrics"
    OWNER = "owner"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is, such as 'prometheus'.")],
    scope: Annotated[
        TokenScope, typer.Option(help="metrics reads /metrics and nothing else; owner may do everything.")
    ] = TokenScope.METRICS,
    json_mode: Json = False,
) -> None:
    """Print a new token. It is shown this once; the database keeps only its digest."""
    made = connect().post("/api/tokens", {"name": name, "scope": scope})
    emit(made, json_mode, lambda found: print(found["token"]))
    messages().print(f"'d8 token revoke {name}' takes it away again.")


@app.command("list")
def list_(json_mode: Json = False) -> None:
    """List the owner's tokens and sessions, without the tokens themselves."""
    emit(connect().items("/api/tokens"), json_mode, _render)


def _render(found: list[dict[str, Any]]) -> Any:
    made = table("name", "scope", "made (UTC)", "good until (UTC)")
    for token in found:
        made.add_row(
            token["name"], token["scope"], _minute(token["created_at"]), _minute(token["expires_at"])
        )
    return made


def _minute(time: str | None) -> str:
    return time[:16].replace("T", " ") if time else "it is revoked"


@app.command()
def revoke(name: str) -> None:
    """Take a token away: it is worth nothing at once. The name 'dashboard' ends every session."""
    count = connect().delete(f"/api/tokens/{quote(name, safe='')}")["revoked"]
    messages().print(f"Revoked {count} called {name}.")
