"""``d8 ledger``: the money."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from master.cli.base import connect, emit, messages, table
from master.cli.look import Json
from tasks.errors import Refused

app = typer.Typer(
    no_args_is_help=True, help="The money: balance, report, budget, record, reverse, verify, export."
)

Month = Annotated[str, typer.Argument(help="Such as 2026-11 (default: the current one).")]


@app.command()
def balance(json_mode: Json = False) -> None:
    """Show every account's sum."""
    emit(connect().items("/api/ledger/balance"), json_mode, _render_balance)


def _render_balance(found: list[dict[str, Any]]) -> Any:
    if not found:
        return "The ledger is empty."
    made = table("account", "amount")
    made.columns[1].justify = "right"
    for each in found:
        made.add_row(each["account"], show(each["minor"], each["currency"]))
    return made


@app.command()
def report(
    month: Month = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print it as CSV for a spreadsheet.")] = False,
    json_mode: Json = False,
) -> None:
    """Show a month: budgets, accounts, projects with their margin and return."""
    api = connect()
    if as_csv:
        sys.stdout.write(api.text("/api/ledger/report.csv", month=month or None))
        return
    emit(api.get("/api/ledger/report", month=month or None), json_mode, _render_report)


def _render_report(data: dict[str, Any]) -> Any:
    from rich.console import Group

    accounts = table("account", "in the month")
    for each in data["accounts"]:
        # Income is a credit; people read what came in as more than nothing.
        sign = -1 if each["account"].startswith("income:") else 1
        accounts.add_row(each["account"], show(sign * each["minor"], each["currency"]))
    projects = table("project", "income", "costs", "margin", "so far", "ROI", "paid back")
    for column in projects.columns[1:]:
        column.no_wrap = True
    for each in data["projects"]:
        all_time, months = each["all_time"], each["all_time"]["payback_months"]
        costs = each["expense_minor"] + each["usage_minor"]
        amounts = (each["income_minor"], costs, each["margin_minor"], all_time["profit_minor"])
        projects.add_row(
            each["project"] or "(none)",
            *(show(minor, each["currency"]) for minor in amounts),
            "" if all_time["roi_pct"] is None else f"{all_time['roi_pct']:.1f}%",
            f"in {months} mo" if months else "",
        )
    head = f"{data['month']}: entry {data['head_seq']} is the newest, with hash {data['head']}"
    return Group(head, "", _render_budgets(data["budgets"]), "", accounts, "", projects)


@app.command()
def budget(month: Month = "", json_mode: Json = False) -> None:
    """Show what a month has of each budget line of policy.toml."""
    emit(connect().items("/api/ledger/budgets", month=month or None), json_mode, _render_budgets)


def _render_budgets(found: list[dict[str, Any]]) -> Any:
    if not found:
        return "No budgets: write [[budgets]] lines into policy.toml (docs/ledger.md)."
    made = table("budget", "limit", "spent", "reserved", "left")
    for each in found:
        amounts = (each[name] for name in ("limit_minor", "spent_minor", "held_minor", "left_minor"))
        made.add_row(each["category"] or "(overall)", *(show(minor, each["currency"]) for minor in amounts))
    return made


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="The file to write (default: standard output).")] = None,
    form: Annotated[str, typer.Option("--format", help="hledger, beancount or csv.")] = "hledger",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write the whole journal for another program."""
    if file is not None and file.exists() and not force:
        raise Refused(f"{file} is there already: choose another name, or give --force to replace it")
    text = connect().text("/api/ledger/export", format=form)
    if file is None:
        sys.stdout.write(text)
        return
    # Written as it came: CSV has line ends of its own.
    file.write_text(text, encoding="utf-8", newline="")
    messages().print(f"Wrote {file}.")


@app.command()
def verify(
    head: Annotated[
        str, typer.Option(help="A hash noted before: shows that nothing was cut off or rewritten since.")
    ] = "",
    json_mode: Json = False,
) -> None:
    """Compute the whole ledger again from its entries; status 1 when a row is not what was written."""
    found = connect().get("/api/ledger/verify", head=head or None)
    emit(found, json_mode, _render_verification)
    if not found["sound"]:
        raise typer.Exit(1)


def _render_verification(found: dict[str, Any]) -> str:
    if found["sound"]:
        return f"Sound: {found['entries']} entries, head {found['head']}"
    where = f" at entry {found['first_wrong_seq']}" if found["first_wrong_seq"] else ""
    return (
        f"NOT sound{where}: {found['problem']}. The {found['entries']} entries before are in order. Compare with a "
        f"backup ('d8 restore' into another home) and find out who can write to the database."
    )


@app.command()
def record(
    kind: Annotated[str, typer.Argument(help="expense or income.")],
    amount: Annotated[str, typer.Argument(help='Such as "12.50 EUR".')],
    category: Annotated[str, typer.Option(help="Such as hosting.")] = "",
    project: Annotated[str, typer.Option(help="What it is attributed to, such as client:alba.")] = "",
    run: Annotated[str, typer.Option(help="The run that it belongs to.")] = "",
    note: Annotated[str, typer.Option(help="What it was for.")] = "",
    reference: Annotated[str, typer.Option(help="Number of the invoice or transfer.")] = "",
    month: Annotated[str, typer.Option(help="The month it counts in (default: the current one).")] = "",
    key: Annotated[str, typer.Option(help="Idempotency key: the same again is not recorded twice.")] = "",
    json_mode: Json = False,
) -> None:
    """Write down money that was paid or received outside of approvals."""
    body = {
        "kind": kind,
        "amount": amount,
        "category": category,
        "project": project,
        "run_id": run,
        "note": note,
        "reference": reference,
        "month": month,
    }
    made = connect().post("/api/ledger/record", body, idempotency_key=key)
    emit(made, json_mode, lambda data: f"Recorded as entry {data['seq']}.")


@app.command()
def reverse(
    seq: Annotated[int, typer.Argument(help="Number of the entry.")],
    reason: str,
    key: Annotated[str, typer.Option(help="Idempotency key.")] = "",
    json_mode: Json = False,
) -> None:
    """Undo an entry with one that says the opposite."""
    made = connect().post("/api/ledger/reversals", {"seq": seq, "reason": reason}, idempotency_key=key)
    emit(made, json_mode, lambda data: f"Entry {seq} is reversed by entry {data['seq']}.")


def show(minor: int, currency: str) -> str:
    from master.ledger.money import format_money

    return format_money(minor, currency)
