"""``d8 schedule``: what the master starts by the clock."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from master.cli.base import connect, emit, messages, table
from master.cli.look import Json
from tasks.errors import InvalidInput

app = typer.Typer(
    no_args_is_help=True,
    help="What is started by the clock: add, list, show, on, off, run, executions, cancel, remove.",
)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What to call it, such as 'nightly-backup'.")],
    cron: Annotated[
        str,
        typer.Argument(help="'0 3 * * *' (minute, hour, day, month, weekday), or @hourly, @daily, @weekly."),
    ],
    flow: Annotated[str, typer.Option(help="The flow to run, such as niche.")] = "",
    duty: Annotated[str, typer.Option(help="Or what the master does itself: backup.")] = "",
    params: Annotated[str, typer.Option(help="Its params, as JSON.")] = "{}",
    zone: Annotated[str, typer.Option(help="'Europe/Madrid' (default: the policy's time zone).")] = "",
    missed: Annotated[
        str, typer.Option(help="What was due while the master was away: once (made up for once) or skip.")
    ] = "once",
    overlap: Annotated[str, typer.Option(help="While the last one goes on: skip or allow.")] = "skip",
    off: Annotated[bool, typer.Option("--off", help="Add it switched off.")] = False,
    json_mode: Json = False,
) -> None:
    """Start a flow or a duty by the clock."""
    body = {
        "name": name, "cron": cron, "flow": flow, "duty": duty, "params": _params(params), "zone": zone,
        "missed": missed, "overlap": overlap, "enabled": not off,
    }  # fmt: skip
    emit(connect().post("/api/schedules", body), json_mode, lambda made: _render([made]))
    messages().print(f"'d8 schedule run {name}' tries it now, 'd8 schedule off {name}' switches it off.")


def _params(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"--params is not JSON ({error}): quote it, such as '{{\"steps\": 1}}'") from None
    if not isinstance(found, dict):
        raise InvalidInput("--params is a JSON object, such as '{\"steps\": 1}'")
    return found


@app.command("list")
def list_(json_mode: Json = False) -> None:
    """List schedules: when each is due, and what became of the last time."""
    emit(connect().items("/api/schedules"), json_mode, _render)


def _render(found: list[dict[str, Any]]) -> Any:
    if not found:
        return "Nothing is started by the clock: 'd8 schedule add NAME CRON --flow FLOW' changes that."
    made = table("name", "starts", "when", "next (UTC)", "last (UTC)", "")
    for one in found:
        last = one["last"] or {}
        made.add_row(
            one["name"],
            one["flow"] or one["duty"],
            f"{one['cron']} {one['zone']}",
            _minute(one["next_at"]) if one["enabled"] else "off",
            _minute(last.get("due_at")),
            " ".join(filter(None, (last.get("state"), last.get("run_id"), last.get("note")))),
        )
    return made


def _minute(time: str | None) -> str:
    return time[:16].replace("T", " ") if time else "never"


@app.command()
def show(name: str, json_mode: Json = False) -> None:
    """Show a schedule."""
    emit(connect().get(_path(name)), json_mode, _render_one)


def _render_one(one: dict[str, Any]) -> Any:
    made = table("", "")
    for field in (
        "name",
        "flow",
        "duty",
        "cron",
        "zone",
        "enabled",
        "missed",
        "overlap",
        "next_at",
        "created_by",
    ):
        if one[field] not in ("", None):
            made.add_row(field.replace("_", " "), str(one[field]))
    made.add_row("params", json.dumps(one["params"], ensure_ascii=False))
    return made


@app.command()
def on(name: str) -> None:
    """Switch a schedule on. What was due meanwhile is not owed."""
    found = connect().put(_path(name) + "/enabled", {"enabled": True})
    messages().print(f"{name} is on: due next at {_minute(found['next_at'])} UTC.")


@app.command()
def off(name: str) -> None:
    """Switch a schedule off. What it has started goes on."""
    connect().put(_path(name) + "/enabled", {"enabled": False})
    messages().print(f"{name} is off. 'd8 schedule on {name}' switches it on again.")


@app.command()
def run(name: str, json_mode: Json = False) -> None:
    """Start a schedule's work now, beside its times."""
    started = connect().post(_path(name) + "/executions")
    emit([started], json_mode, _render_executions)


@app.command()
def executions(
    name: Annotated[str, typer.Argument(help="Only this schedule's.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    json_mode: Json = False,
) -> None:
    """List each time that something was started by the clock, newest first."""
    found = connect().items("/api/executions", most=limit, schedule=name or None)
    emit(found, json_mode, _render_executions)


def _render_executions(found: list[dict[str, Any]]) -> Any:
    made = table("execution", "schedule", "due (UTC)", "by", "state", "")
    for one in found:
        row = (one["id"], one["schedule"], _minute(one["due_at"]), one["origin"], one["state"])
        made.add_row(*row, one["run_id"] or one["note"])
    return made


@app.command()
def cancel(execution: str) -> None:
    """Cancel an execution: its run stops, a duty that has not begun is left out."""
    connect().post(f"/api/executions/{quote(execution, safe='')}/cancel")
    messages().print(f"{execution} is cancelled.")


@app.command()
def remove(name: str) -> None:
    """Take a schedule away. What it has started goes on, and its executions stay."""
    connect().delete(_path(name))
    messages().print(f"{name} is gone.")


def _path(name: str) -> str:
    return f"/api/schedules/{quote(name, safe='')}"
