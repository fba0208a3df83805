"""``d8 worker``: the machines of the fleet."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from master.cli.base import connect, emit, messages, table
from master.cli.look import Json

app = typer.Typer(no_args_is_help=True, help="Workers: list, start, drain, resume, remove.")


@app.command("list")
def list_(json_mode: Json = False) -> None:
    """List workers with their state and why."""
    emit(connect().get("/api/workers"), json_mode, _render)


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
            worker["reason"],
        )
    return made


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
def remove(name: str) -> None:
    """Forget a worker that is offline."""
    connect().delete(f"/api/workers/{name}")
    messages().print(f"{name} is forgotten; it may join again.")
