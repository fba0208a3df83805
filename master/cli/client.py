"""``d8 client``: deliver a website from a brief, and look at the projects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from tasks.client_brief import Brief

app = typer.Typer(help="Client projects: a brief in, a reviewed website out.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
BriefFile = Annotated[Path, typer.Argument(help="The client's brief (YAML); see examples/brief.yaml.")]


@app.command()
def add(
    brief: BriefFile,
    again: Annotated[
        bool, typer.Option("--again", help="Deliver a brief that was added before once more.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Follow the project until it is over or waits for you.")
    ] = True,
    json_mode: Json = False,
) -> None:
    """Add a client; work on the project begins at once."""
    from master.cli.base import connect, emit, follow_run, messages, raise_unless_done, suggest_next

    data = read_brief_file(brief)
    check_brief(data, brief)
    api = connect()
    client = api.post(
        "/api/clients", {"brief_yaml": data.decode("utf-8-sig"), "source": brief.name[:200], "again": again}
    )
    if not client["new"]:
        messages().print(f"this brief was added before as {client['id']}; --again delivers it once more")
    if wait and client["run_id"]:
        run = follow_run(api, client["run_id"])
        raise_unless_done(run)
        suggest_next(run)
        client = {**api.get(f"/api/clients/{client['id']}"), "new": client["new"]}
    emit(client, json_mode, _sentence)
    if client["state"] == "failed":
        raise typer.Exit(1)


@app.command("list")
def list_(json_mode: Json = False) -> None:
    """The projects, the newest first."""
    from master.cli.base import connect, emit

    emit(connect().items("/api/clients", most=100), json_mode, _table)


@app.command()
def show(
    client_id: Annotated[str, typer.Argument(metavar="ID", help="The project's id, or how it begins.")],
    json_mode: Json = False,
) -> None:
    """One project with its brief."""
    from urllib.parse import quote

    from master.cli.base import connect, emit

    emit(connect().get(f"/api/clients/{quote(client_id, safe='')}"), json_mode, _details)


@app.command()
def check(brief: BriefFile, json_mode: Json = False) -> None:
    """Check a brief without adding it. Needs no master."""
    from master.cli.base import emit

    checked = check_brief(read_brief_file(brief), brief)
    emit(
        checked.model_dump(mode="json"),
        json_mode,
        lambda _: (
            f"{brief} is in order: {checked.name}, {len(checked.services)} services, "
            f"{len(checked.pages)} pages"
        ),
    )


def read_brief_file(path: Path) -> bytes:
    """The file's bytes, no more than a brief may have (and one, so that the check can say so)."""
    from master.clients.yaml_tree import MAX_BYTES
    from tasks.errors import InvalidInput

    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InvalidInput(
                f"{path} has {size:,} bytes; a brief has {MAX_BYTES:,} at most: keep to the texts that "
                f"should be on the site"
            )
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidInput(
            f"the brief {path} cannot be read ({error.strerror}): check the path; examples/brief.yaml "
            f"is one to begin with"
        ) from None


def check_brief(data: bytes, path: Path) -> Brief:
    """The brief, checked here so that mistakes show before anything is sent."""
    from master.clients.brief import parse_brief

    return parse_brief(data, str(path))


def _sentence(client: dict[str, Any]) -> str:
    where = f"; it is in {client['folder']}" if client["folder"] else ""
    note = f" ({client['note']})" if client["note"] else ""
    return f"{client['id']} is {client['state']}{note}{where}"


def _table(clients: list[dict[str, Any]]) -> Table | str:
    from master.cli.base import table

    if not clients:
        return "no clients yet: 'd8 client add examples/brief.yaml' adds one"
    shown = table("id", "name", "state", "note", "run")
    for client in clients:
        shown.add_row(*(client[key] for key in ("id", "name", "state", "note", "run_id")))
    return shown


def _details(client: dict[str, Any]) -> Table:
    from master.cli.base import table

    shown = table("what", "value")
    for key in (
        "id",
        "name",
        "state",
        "note",
        "folder",
        "run_id",
        "source",
        "created_at",
        "started_at",
        "finished_at",
    ):
        shown.add_row(key, str(client[key] or ""))
    brief = client["brief"]
    shown.add_row("business", f"{brief['sector']}, {brief['city']}, {brief['language']}")
    shown.add_row("services", ", ".join(service["name"] for service in brief["services"]))
    return shown
