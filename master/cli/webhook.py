"""``d8 webhook``: addresses that are told what happens."""

from __future__ import annotations

import time
from typing import Annotated, Any
from urllib.parse import quote

import typer

from master.cli.base import connect, emit, messages, table
from master.cli.look import Json
from tasks.errors import D8Error, TimedOut

app = typer.Typer(
    no_args_is_help=True,
    help="Addresses that are told what happens: add, list, test, on, off, deliveries, redeliver, remove.",
)

_TEST_S = 30.0


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What to call it, such as 'home-assistant'.")],
    url: Annotated[str, typer.Argument(help="Where it is told, such as https://example.com/hooks/d8.")],
    event: Annotated[
        list[str] | None,
        typer.Option(help="run_done, or run_*; repeat it for several (default: every event)."),
    ] = None,
    allow_local: Annotated[
        bool, typer.Option("--allow-local", help="It may be on the master's own machine.")
    ] = False,
    json_mode: Json = False,
) -> None:
    """Tell an address what happens from now on; prints the secret that it checks signatures with, this once."""
    body = {"name": name, "url": url, "events": event or [], "allow_local": allow_local}
    emit(connect().post("/api/webhooks", body), json_mode, lambda made: print(made["secret"]))
    messages().print(f"'d8 webhook test {name}' shows whether it arrives.")


@app.command("list")
def list_(json_mode: Json = False) -> None:
    """List webhooks."""
    emit(connect().items("/api/webhooks"), json_mode, _render)


def _render(found: list[dict[str, Any]]) -> Any:
    if not found:
        return "Nobody is told what happens: 'd8 webhook add NAME URL' changes that."
    made = table("name", "address", "events", "state", "waiting")
    for one in found:
        state = "failing" if one["failing_since"] else "on"
        state = state if one["enabled"] else f"off {one['reason']}".strip()
        made.add_row(one["name"], one["url"], ", ".join(one["events"]) or "all", state, str(one["waiting"]))
    return made


@app.command("test")
def ping(name: str, json_mode: Json = False) -> None:
    """Send a delivery that says nothing else, and wait until it has arrived."""
    api = connect()
    sent = api.post(f"{_path(name)}/test")
    end = time.monotonic() + _TEST_S
    while sent["attempts"] == 0:
        if time.monotonic() > end:
            raise TimedOut(
                f"nothing was sent within {_TEST_S:.0f} s: does the whole master run ('d8 doctor')?"
            )
        time.sleep(0.3)
        sent = api.get(f"/api/deliveries/{sent['id']}")
    emit(sent, json_mode, lambda found: _render_deliveries([found]))
    if sent["state"] != "delivered":
        raise D8Error(f"it did not arrive ({sent['status'] or 'no answer'}): {sent['error']}")


@app.command()
def on(name: str) -> None:
    """Switch a webhook on. What happened while it was off is not told."""
    connect().put(_path(name) + "/enabled", {"enabled": True})
    messages().print(f"{name} is told what happens from now on.")


@app.command()
def off(name: str) -> None:
    """Switch a webhook off."""
    connect().put(_path(name) + "/enabled", {"enabled": False})
    messages().print(f"{name} is off. 'd8 webhook on {name}' switches it on again.")


@app.command()
def deliveries(
    name: Annotated[str, typer.Argument(help="Only this webhook's.")] = "",
    state: Annotated[str, typer.Option(help="pending, delivered or failed.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    json_mode: Json = False,
) -> None:
    """List deliveries, newest first."""
    found = connect().items("/api/deliveries", most=limit, webhook=name or None, state=state or None)
    emit(found, json_mode, _render_deliveries)


def _render_deliveries(found: list[dict[str, Any]]) -> Any:
    made = table("delivery", "webhook", "event", "state", "tries", "answer")
    for one in found:
        answer = " ".join(filter(None, (str(one["status"] or ""), one["error"])))
        made.add_row(one["id"], one["webhook"], one["event"], one["state"], str(one["attempts"]), answer)
    return made


@app.command()
def redeliver(delivery: str) -> None:
    """Try a delivery again from the beginning, whatever became of it."""
    connect().post(f"/api/deliveries/{quote(delivery, safe='')}/redeliver")
    messages().print(f"{delivery} is tried again: 'd8 webhook deliveries' shows what comes of it.")


@app.command()
def remove(name: str) -> None:
    """Take a webhook away, with its deliveries."""
    connect().delete(_path(name))
    messages().print(f"{name} is told nothing any more.")


def _path(name: str) -> str:
    return f"/api/webhooks/{quote(name, safe='')}"
