"""``d8 worker``: the machines of the fleet."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from master.cli import host
from master.cli.base import connect, emit, messages, table
from master.cli.look import Json
from tasks.errors import UsageError

app = typer.Typer(
    no_args_is_help=True,
    help="Workers: list, show, logs, invite, invites, revoke, join, start, drain, resume, update, remove.",
)

_REMOVED = Annotated[bool, typer.Option("--removed", help="Also those that were taken out.")]


@app.command("list")
def list_(removed: _REMOVED = False, json_mode: Json = False) -> None:
    """List workers with their state and why."""
    emit(connect().items("/api/workers", removed=str(removed).lower()), json_mode, _render)


def _render(workers: list[dict[str, Any]]) -> Any:
    made = table("worker", "state", "build", "lanes", "slots", "hardware", "runs", "")
    for worker in workers:
        hardware = worker["hardware"]
        gpus = ", ".join(gpu["name"] for gpu in hardware["gpus"]) or "no GPU"
        made.add_row(
            worker["name"],
            worker["state"],
            worker["build"] + (" (dirty)" if worker["dirty"] else ""),
            ", ".join(worker["lanes"]),
            str(worker["slots"]),
            f"{hardware['cpus']} cores, {hardware['memory_mib'] // 1024} GiB, {gpus}",
            ", ".join(step["key"] for step in worker["running"]),
            worker["note"] or worker["reason"],
        )
    return made


app.command()(host.show)
app.command()(host.logs)


@app.command()
def start(
    name: Annotated[str, typer.Option(help="How the fleet calls it (default: the host's name).")] = "",
    slots: Annotated[int, typer.Option(help="Steps at the same time (default: cores, at most 4).")] = 0,
) -> None:
    """Run a worker on this machine until Ctrl-C."""
    chosen = (["--name", name] if name else []) + (["--slots", str(slots)] if slots else [])
    os.execv(sys.executable, [sys.executable, "-m", "worker.cli", "start", *chosen])  # noqa: S606


@app.command()
def drain(name: str) -> None:
    """Give a worker nothing new; it finishes what it runs."""
    connect().post(f"/api/workers/{name}/drain")
    messages().print(f"{name} is draining. 'd8 worker resume {name}' gives it work again.")


@app.command()
def resume(name: str) -> None:
    """Give a drained worker work again."""
    state = connect().post(f"/api/workers/{name}/drain", resume="true")["state"]
    messages().print(f"{name} is {state}.")


@app.command()
def invite(
    name: Annotated[str, typer.Argument(help="How the fleet is to call it (default: it names itself).")] = "",
    hours: Annotated[float, typer.Option(min=0.01, max=720, help="How long the invite is good.")] = 1.0,
    json_mode: Json = False,
) -> None:
    """Print one command that makes another machine a worker; it works once and expires."""
    made = connect().post("/api/workers/invites", {"worker": name or None, "hours": hours})
    if made["only_here"]:
        messages().print(
            f"This invite works on this machine only: the master listens on its own ({made['url']}). For other "
            f"machines set D8_HOST=0.0.0.0 and start it again."
        )
    messages().print(f"Run this on the new machine, within {hours:g} h; it works once:")
    emit(made, json_mode, lambda found: _plain(found["command"]))
    messages().print(f"In a checkout of D8: {made['command_in_checkout']}", highlight=False)


app.command()(host.invites)
app.command()(host.revoke)


def _plain(line: str) -> None:
    """To be copied: not wrapped, not colored."""
    sys.stdout.write(line + "\n")


@app.command()
def join(
    master: Annotated[str, typer.Argument(help="The master's address, such as http://pi.local:7500.")],
    code: Annotated[str, typer.Argument(help="The invite's code.")],
    name: Annotated[str, typer.Option(help="How the fleet calls it (default: the host's name).")] = "",
) -> None:
    """Make this machine a worker of a fleet, with an invite."""
    chosen = ["--name", name] if name else []
    os.execv(sys.executable, [sys.executable, "-m", "worker.cli", "join", master, code, *chosen])  # noqa: S606


@app.command()
def update(
    name: Annotated[str, typer.Argument(help="The worker; or --all.")] = "",
    all_: Annotated[bool, typer.Option("--all", help="Every worker of another build.")] = False,
) -> None:
    """Bring a worker to the fleet's build: it fetches it from the master, finishes what it runs, changes
    over, proves itself, and goes back if it cannot."""
    if bool(name) == all_:
        raise UsageError("name one worker, or say --all: 'd8 worker update NAME'")
    if name:
        build = connect().post(f"/api/workers/{name}/update")["build"]
        messages().print(
            f"{name} was asked to change to build {build}. 'd8 worker list' shows how far it is."
        )
        return
    names = connect().post("/api/workers/update")["workers"]
    messages().print(f"Asked: {', '.join(names)}." if names else "No worker of another build can be asked.")


@app.command()
def remove(name: str, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Take a worker out: its token and its broker user are worth nothing at once. What it runs goes to
    others; a new invite brings it back."""
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Take worker {name!r} out? What it runs begins anew elsewhere", abort=True)
    connect().delete(f"/api/workers/{name}")
    messages().print(f"{name} is out. 'd8 worker invite {name}' would bring it back.")
