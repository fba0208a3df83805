"""``d8 watch``: the fleet in the terminal, live."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from master.cli.base import Api, connect, table
from tasks.errors import Unreachable

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()


@app.command()
def watch(
    once: Annotated[bool, typer.Option("--once", help="Show it once and end.")] = False,
    every: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between two looks.")] = 1.0,
) -> None:
    """Watch the fleet until Ctrl-C: what waits for you, workers, runs with their progress."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    api = connect()
    if once:
        console.print(draw_fleet(look(api)))
        return
    if not console.is_terminal:
        while True:
            console.print(_frame(api))
            time.sleep(every)
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            live.update(_frame(api), refresh=True)
            time.sleep(every)


def _frame(api: Api) -> RenderableType:
    """The master starts again sometimes: whoever watches wants to see it come back."""
    try:
        return draw_fleet(look(api))
    except Unreachable as error:
        return f"{error}\nWaiting for it. Ctrl-C ends."


def look(api: Api) -> dict[str, Any]:
    """What is drawn, as the API says it."""
    return {
        "status": api.get("/api/status"),
        "workers": api.items("/api/workers"),
        "runs": api.items("/api/runs", most=100),
        "approvals": api.items("/api/approvals", state="pending"),
    }


def draw_fleet(seen: dict[str, Any]) -> RenderableType:
    """One frame."""
    from rich.console import Group
    from rich.text import Text

    status = seen["status"]
    steps = ", ".join(f"{count} {state}" for state, count in sorted(status["steps"].items())) or "none"
    head = Text(
        f"fleet {status['state']}, build {status['build']}, steps: {steps}, {status['time'][11:19]} UTC",
        style="bold",
    )
    runs = [run for run in seen["runs"] if run["state"] in ("running", "waiting")]
    return Group(
        head,
        "",
        _approvals(seen["approvals"]),
        "",
        _workers(seen["workers"]),
        "",
        _runs(runs or seen["runs"][:5]),
    )


def _approvals(found: list[dict[str, Any]]) -> RenderableType:
    if not found:
        return "Nothing waits for you."
    made = table("waits for you", "type", "asked (UTC)", "")
    for one in found[:8]:
        made.add_row(one["id"], one["type"], one["created_at"][:16].replace("T", " "), _plain(one["title"]))
    return made


def _workers(found: list[dict[str, Any]]) -> RenderableType:
    made = table("worker", "state", "lanes", "slots", "gpu", "runs", "")
    for one in found:
        gpus = ", ".join(
            f"{gpu.get('use_pct') or 0}% {gpu['memory_used_mib'] / 1024:.1f}/{gpu['memory_mib'] / 1024:.0f} GiB"
            for gpu in one["hardware"]["gpus"]
        )
        busy = ", ".join(f"{step['key']} {step['progress']:.0%}" for step in one["running"][:4])
        made.add_row(
            one["name"], one["state"], ", ".join(one["lanes"]), f"{len(one['running'])}/{one['slots']}", gpus,
            _plain(busy), _plain(one["note"] or one["reason"]),
        )  # fmt: skip
    return made


def _runs(found: list[dict[str, Any]]) -> RenderableType:
    from rich.progress_bar import ProgressBar

    made = table("run", "state", "", "steps", "")
    for one in found[:15]:
        bar = ProgressBar(total=1.0, completed=one["progress"], width=20)
        said = _plain(one["error"] or one["note"])
        made.add_row(one["id"], one["state"], bar, f"{one['steps_done']}/{one['steps_total']}", said)
    return made


def _plain(text: str) -> RenderableType:
    """Words that others wrote are not markup."""
    from rich.text import Text

    return Text(text[:200])
