"""``d8 run``: look at runs, cancel them, try them again."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from master.cli.base import (
    connect,
    emit,
    follow_run,
    messages,
    raise_unless_done,
    start_run,
    suggest_next,
    table,
)
from master.cli.look import Json
from tasks.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, help="Runs: list, show, start, cancel, retry.")


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help="Only runs in this state.")] = "",
    flow: Annotated[str, typer.Option(help="Only runs of this flow.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    json_mode: Json = False,
) -> None:
    """List runs, newest first."""
    emit(connect().items("/api/runs", most=limit, state=state, flow=flow), json_mode, _render_list)


def _render_list(runs: list[dict[str, Any]]) -> Any:
    made = table("run", "flow", "state", "progress", "steps", "started (UTC)", "")
    for run in runs:
        made.add_row(
            run["id"],
            run["flow"],
            run["state"],
            f"{run['progress']:.0%}",
            f"{run['steps_done']}/{run['steps_total']}",
            run["created_at"][:19].replace("T", " "),
            run["error"] or run["note"],
        )
    return made


@app.command()
def show(run_id: str, json_mode: Json = False) -> None:
    """Show one run with its steps."""
    emit(connect().get(f"/api/runs/{run_id}"), json_mode, _render_run)


def _render_run(run: dict[str, Any]) -> Any:
    from rich.console import Group

    made = table("step", "task", "state", "attempts", "worker", "build", "")
    for step in run["steps"]:
        made.add_row(
            step["key"], step["task"], step["state"], str(step["attempts"]), step["worker"], step["build"],
            step["error"] or step["note"],
        )  # fmt: skip
    head = f"{run['id']}: {run['state']}, {run['steps_done']} of {run['steps_total']} steps done"
    parts: list[Any] = [f"{head}. {run['error'] or run['note']}", made]
    if run["result"]:
        parts += ["", json.dumps(run["result"], indent=2, ensure_ascii=False)]
    return Group(*parts)


@app.command()
def start(
    flow: str,
    params: Annotated[str, typer.Option(help="The flow's params as JSON.")] = "{}",
    wait: Annotated[bool, typer.Option(help="Follow it until it ends or waits for you.")] = True,
    json_mode: Json = False,
) -> None:
    """Start a run of any flow."""
    try:
        parsed = json.loads(params)
    except ValueError as error:
        raise InvalidInput(
            f"--params is not JSON ({error}): give an object such as '{{\"steps\": 3}}'"
        ) from None
    api = connect()
    run_id = start_run(api, flow=flow, params=parsed)
    run = follow_run(api, run_id) if wait else api.get(f"/api/runs/{run_id}")
    emit(run, json_mode, _render_run)
    suggest_next(run)
    raise_unless_done(run)


@app.command()
def cancel(run_id: str) -> None:
    """Stop a run; finished steps stay recorded."""
    connect().post(f"/api/runs/{run_id}/cancel")
    messages().print(f"Cancelled {run_id}.")


@app.command()
def retry(
    run_id: str,
    from_step: Annotated[
        str,
        typer.Option("--from", metavar="STEP", help="Do this step and all that came of it anew."),
    ] = "",
) -> None:
    """Take a failed run up again from where it failed; or, failed or not ended yet, from one of its steps."""
    only = {"from_step": from_step} if from_step else {}
    taken = connect().post(f"/api/runs/{run_id}/retry", **only)
    anew = f"{taken['aside']} steps are done anew, " if from_step else ""
    messages().print(
        f"{run_id} goes on; {anew}{taken['steps']} steps are tried again. 'd8 run show {run_id}' follows it."
    )
