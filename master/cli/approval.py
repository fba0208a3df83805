"""``d8 approval``: the questions that wait for the owner."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from master.cli.base import connect, emit, messages, table
from master.cli.look import Json

app = typer.Typer(no_args_is_help=True, help="Questions that wait for you: list, show, approve, reject.")


@app.command("list")
def list_(
    state: Annotated[
        str, typer.Option(help="pending, approved, rejected, expired, cancelled or all.")
    ] = "pending",
    json_mode: Json = False,
) -> None:
    """List approval requests, oldest first."""
    found = connect().get("/api/approvals", state=None if state == "all" else state)
    emit(found, json_mode, _render_list)


def _render_list(found: list[dict[str, Any]]) -> Any:
    if not found:
        return "Nothing waits for you."
    made = table("id", "type", "state", "cost", "title", "run", "expires (UTC)")
    for one in found:
        made.add_row(
            one["id"],
            one["type"],
            one["state"],
            show_money(one),
            one["title"],
            one["run_id"],
            one["expires_at"][:16],
        )
    return made


def show_money(approval: dict[str, Any]) -> str:
    """``12.50 EUR``, or nothing where nothing is asked for."""
    from master.ledger.money import format_money

    return format_money(approval["cost_minor"], approval["currency"]) if approval["cost_minor"] else ""


@app.command()
def show(approval_id: str, json_mode: Json = False) -> None:
    """Show one request with its reasons."""
    emit(connect().get(f"/api/approvals/{approval_id}"), json_mode, _render_one)


def _render_one(one: dict[str, Any]) -> Any:
    made = table("", "")
    for name in (
        "id",
        "type",
        "state",
        "title",
        "reason",
        "tried",
        "run_id",
        "expires_at",
        "decided_by",
        "note",
    ):
        made.add_row(name.replace("_", " "), str(one[name] or ""))
    made.add_row("cost", show_money(one))
    for label, text in one["evidence"].items():
        made.add_row(label, text)
    return made


@app.command()
def approve(approval_id: str, note: Annotated[str, typer.Argument()] = "") -> None:
    """Say yes."""
    decided = connect().post(f"/api/approvals/{approval_id}/decision", {"approve": True, "note": note})
    messages().print(f"Approved {decided['id']}: {decided['title']}")


@app.command()
def reject(approval_id: str, reason: str) -> None:
    """Say no, and why."""
    decided = connect().post(f"/api/approvals/{approval_id}/decision", {"approve": False, "note": reason})
    messages().print(f"Rejected {decided['id']}: {decided['title']}")
