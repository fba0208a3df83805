"""Commands that look at the fleet as a whole, and pause or resume it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from master.cli.base import connect, emit, messages, table

app = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def status(json_mode: Json = False) -> None:
    """Show the fleet at a glance."""
    emit(connect().get("/api/status"), json_mode, _render_status)


def _render_status(data: dict[str, Any]) -> Any:
    made = table("", "")
    made.add_row("fleet", f"{data['state']}, build {data['build']}, model {data['model']}")
    made.add_row("workers", _counts(data["workers"]) + f", {data['slots']} slots")
    made.add_row("runs", _counts(data["runs"]))
    made.add_row("open steps", _counts(data["steps"]))
    made.add_row("waiting for you", str(data["approvals_pending"]))
    for notice in data["notices"]:
        made.add_row(
            "look at", f"{notice.get('worker', notice['kind'])}: {notice.get('reason', notice['kind'])}"
        )
    return made


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"


@app.command()
def dashboard() -> None:
    """Print a link to the dashboard; it works once, within 15 minutes."""
    api = connect()
    print(f"{api.url}/login?code={api.post('/api/login-codes')['code']}")


@app.command()
def events(
    run: Annotated[str, typer.Option(help="Only this run's.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    json_mode: Json = False,
) -> None:
    """Show what happened, newest last."""
    found = connect().items("/api/events", most=limit, run=run or None)
    emit(sorted(found, key=lambda event: event["seq"]), json_mode, _render_events)


def _render_events(found: list[dict[str, Any]]) -> Any:
    made = table("time (UTC)", "event", "run", "step", "worker", "")
    for event in found:
        about = " ".join(
            f"{name}={value}" for name, value in event["data"].items() if value not in ("", None)
        )
        step = str(event["step_id"] or "")
        made.add_row(
            event["at"][:19].replace("T", " "), event["name"], event["run_id"], step, event["worker"], about
        )
    return made


@app.command()
def pause() -> None:
    """Send no more steps; what runs goes on."""
    connect().post("/api/dispatch/pause")
    messages().print("Paused: running steps finish, no new ones are sent. 'd8 resume' goes on.")


@app.command()
def resume() -> None:
    """Send steps again."""
    connect().post("/api/dispatch/resume")
    messages().print("Resumed.")
