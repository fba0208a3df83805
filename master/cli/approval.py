"""``d8 approval``: the questions that wait for the owner, and what became of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from master.cli.base import connect, emit, messages, table
from master.cli.look import Json

app = typer.Typer(
    no_args_is_help=True,
    help="Questions that wait for you: list, show, approve, reject, done, abandon, rehearse, policy.",
)

_SHOWN = (
    "id",
    "type",
    "state",
    "title",
    "reason",
    "tried",
    "category",
    "project",
    "run_id",
    "need",
    "expires_at",
    "decided_by",
    "execute_by",
    "executed_by",
    "reference",
    "note",
    "replaced_by",
)


@app.command("list")
def list_(
    state: Annotated[
        str,
        typer.Option(
            help="pending, approved, rejected, expired, cancelled, superseded, executed, abandoned or all."
        ),
    ] = "pending",
    json_mode: Json = False,
) -> None:
    """List approval requests, oldest first."""
    found = connect().items("/api/approvals", state=None if state == "all" else state)
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
    from master.ledger.money import format_money

    made = table("", "")
    for name in _SHOWN:
        if one[name]:
            made.add_row(name.replace("_", " "), str(one[name]))
    made.add_row("cost", show_money(one) or "nothing")
    if one["actual_minor"] is not None:
        made.add_row("cost in the end", format_money(one["actual_minor"], one["currency"]))
    if one["expected"]:
        low, middle, high = (
            format_money(one["expected"][name], one["currency"])
            for name in ("low_minor", "expected_minor", "high_minor")
        )
        made.add_row("expected return", f"{middle} ({low} to {high}): {one['expected']['how']}")
    if one["quorum"] > 1:
        said = ", ".join(vote["by"] for vote in one["votes"]) or "nobody yet"
        made.add_row("needs", f"{one['quorum']} people; {said} said yes")
    for label, text in {**one["payload"], **one["evidence"]}.items():
        made.add_row(label, text)
    return made


@app.command()
def approve(approval_id: str, note: Annotated[str, typer.Argument()] = "", json_mode: Json = False) -> None:
    """Say yes. What it costs is reserved; nothing is paid before you pay it."""
    decided = connect().post(f"/api/approvals/{approval_id}/decision", {"approve": True, "note": note})
    emit(decided, json_mode, lambda _: None)
    if decided["state"] == "pending":
        said = len(decided["votes"])
        messages().print(
            f"Noted: {said} of the {decided['quorum']} people that {decided['id']} needs said yes."
        )
        return
    messages().print(f"Approved {decided['id']}: {decided['title']}")
    if decided["execute_by"]:
        messages().print(f"Once it is done: 'd8 approval done {decided['id']} \"{show_money(decided)}\"'")


@app.command()
def reject(approval_id: str, reason: str, json_mode: Json = False) -> None:
    """Say no, and why."""
    decided = connect().post(f"/api/approvals/{approval_id}/decision", {"approve": False, "note": reason})
    emit(decided, json_mode, lambda _: None)
    messages().print(f"Rejected {decided['id']}: {decided['title']}")


@app.command()
def done(
    approval_id: str,
    actual: Annotated[str, typer.Argument(help='What it cost, "12.50 EUR"; left out: as approved.')] = "",
    reference: Annotated[str, typer.Option(help="Invoice number, account name. Never a password.")] = "",
    note: Annotated[str, typer.Option()] = "",
    json_mode: Json = False,
) -> None:
    """Say that you did what you approved: the expense is posted, what it cost less is free again."""
    body = {"actual": actual, "reference": reference, "note": note}
    executed = connect().post(f"/api/approvals/{approval_id}/execution", body)
    emit(executed, json_mode, lambda _: None)
    messages().print(f"Done {executed['id']}: {executed['title']}")


@app.command()
def abandon(approval_id: str, reason: str, json_mode: Json = False) -> None:
    """Say that you will not do what you approved: its money is free again."""
    left = connect().post(f"/api/approvals/{approval_id}/abandonment", {"reason": reason})
    emit(left, json_mode, lambda _: None)
    messages().print(f"Abandoned {left['id']}: {left['title']}")


@app.command()
def rehearse(json_mode: Json = False) -> None:
    """Ask yourself one harmless question, to see that it reaches you and that your answer comes back."""
    from master.cli.base import start_run

    run_id = start_run(connect(), flow="rehearsal", params={})
    emit({"run": run_id}, json_mode, lambda _: None)
    messages().print(
        f"Asked by run {run_id}: answer on Telegram, on the dashboard or with 'd8 approval list'; "
        f"'d8 run show {run_id}' tells that your answer came back."
    )


@app.command()
def policy(json_mode: Json = False) -> None:
    """Show the rules that hold: who decides what, how many, how long. They stand in policy.toml."""
    emit(connect().get("/api/policy"), json_mode, _render_policy)


def _render_policy(found: dict[str, Any]) -> Any:
    from master.ledger.money import format_money

    made = table("type", "who decides", "how many", "no answer for", "not done for", "above")
    for kind, rule in sorted(found["rules"].items()):
        above = ", ".join(
            f"{format_money(**tier['above'])}: {tier['quorum']} people" for tier in rule["tiers"]
        )
        made.add_row(
            kind,
            ", ".join(rule["deciders"]) or "every owner",
            str(rule["quorum"]),
            _days(rule["expires"]),
            _days(rule["execute_within"]),
            above,
        )
    return made


def _days(seconds: int) -> str:
    return f"{seconds / 86400:g} d" if seconds >= 86400 else f"{seconds / 3600:g} h"
