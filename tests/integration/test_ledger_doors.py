"""The money through its doors: the API, the page, the command line with a real master, hledger."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from starlette.testclient import TestClient

from master.api.app import create_api
from master.ledger import Money, reserve, settle
from master.ledger.export import JournalWriter
from master.ledger.money import format_number
from master.ledger.report import balance, list_entries
from master.ledger.tables import ledger_postings
from master.ledger.verify import verify_newest
from master.ready import Ready
from master.settings import load_settings
from master.store import Database
from master.tokens import Scope, create_token
from tests.conftest import StartProcess
from tests.integration.core.conftest import database, postgres
from tests.integration.web.conftest import stage
from tests.integration.web.stage import HOSTILE, Stage
from tests.ledger_play import NOW, play
from tests.support import ROOT, free_port, require, wait_until

__all__ = ["database", "postgres", "stage"]

POLICY = """
[[budgets]]
category = "hosting"
month = "50.00 EUR"
[[budgets]]
month = "80.00 EUR"
"""
MONTH = "2026-11"


@pytest.fixture
def owner(stage: Stage) -> TestClient:
    (stage.home / "policy.toml").write_text(POLICY)
    token = (stage.home / "secrets" / "owner.token").read_text().strip()
    stage.browser.headers["authorization"] = f"Bearer {token}"
    return stage.browser


def record(owner: TestClient, amount: str, key: str = "", **fields: str) -> Any:
    body = {"kind": "expense", "category": "hosting", "month": MONTH, **fields, "amount": amount}
    return owner.post("/api/ledger/record", json=body, headers={"Idempotency-Key": key} if key else {})


def test_movement_is_recorded_once_a_key_and_reversed_once(owner: TestClient) -> None:
    first = record(owner, "12.50 EUR", "k")
    assert (first.status_code, first.json()) == (201, {"seq": 1})
    assert record(owner, "12.50 EUR", "k").json() == {"seq": 1}
    assert record(owner, "12.51 EUR", "k").status_code == 409
    undone = owner.post("/api/ledger/reversals", json={"seq": 1, "reason": "wrong"})
    assert undone.json() == {"seq": 2}
    again = owner.post("/api/ledger/reversals", json={"seq": 1, "reason": "wrong"})
    assert again.status_code == 409
    assert "reversed by entry 2 already" in again.json()["detail"]
    assert [e["kind"] for e in owner.get("/api/ledger/entries").json()["items"]] == ["expense", "reversal"]
    assert [e["seq"] for e in owner.get("/api/ledger/entries?limit=1").json()["items"]] == [1]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("record", {"kind": "expense", "amount": "12,50 EUR"}),
        ("record", {"kind": "gift", "amount": "12.50 EUR"}),
        ("record", {"kind": "expense", "amount": "-1.00 EUR"}),
        ("record", {"kind": "expense", "amount": "1.00 EUR", "category": "No Good"}),
        ("record", {"kind": "expense", "amount": "1.00 EUR", "month": "11/2026"}),
        ("reversals", {"seq": 0, "reason": "x"}),
        ("reversals", {"seq": 1, "reason": " "}),
    ],
)
def test_what_cannot_be_recorded_is_refused_as_input(owner: TestClient, path: str, body: Any) -> None:
    assert owner.post(f"/api/ledger/{path}", json=body).status_code == 422
    assert owner.get("/api/ledger/balance").json()["items"] == []


def test_workers_and_strangers_see_no_money(stage: Stage) -> None:
    worker = stage.write(lambda c: create_token(c, Scope.WORKER, "w", now=NOW))
    paths = ("balance", "report", "report.csv", "entries", "budgets", "verify", "export")
    for path in paths:
        assert stage.browser.get(f"/api/ledger/{path}").status_code == 401, path
    stage.browser.headers["authorization"] = f"Bearer {worker}"
    for path in paths:
        assert stage.browser.get(f"/api/ledger/{path}").status_code == 409, path


def test_budgets_report_and_csv_agree(owner: TestClient) -> None:
    record(owner, "12.50 EUR", project="client:alba")
    record(owner, "20.00 EUR", kind="income", category="sales", project="client:alba")
    (hosting, overall) = owner.get(f"/api/ledger/budgets?month={MONTH}").json()["items"]
    assert (hosting["spent_minor"], hosting["left_minor"], overall["left_minor"]) == (1250, 3750, 6750)
    report = owner.get(f"/api/ledger/report?month={MONTH}").json()
    assert report["projects"][0]["margin_minor"] == 750
    answer = owner.get(f"/api/ledger/report.csv?month={MONTH}")
    assert answer.headers["content-disposition"] == f'attachment; filename="ledger-{MONTH}.csv"'
    rows = {(row["what"], row["name"]): row for row in csv.DictReader(io.StringIO(answer.text))}
    assert rows["budget", "hosting"]["amount"] == "12.50"
    assert rows["project", "client:alba"]["amount"] == "7.50"
    assert rows["project", "client:alba"]["roi_pct"] == "60.0"
    assert rows["head", report["head"]]["amount"] == "2"


def test_broken_policy_is_told_with_its_place(stage: Stage, owner: TestClient) -> None:
    (stage.home / "policy.toml").write_text("[[budgets]]\nmonth = 50")
    answer = owner.get("/api/ledger/budgets")
    assert answer.status_code == 422
    assert "policy.toml: budgets[0]: month" in answer.json()["detail"]
    stage.login()
    assert "policy.toml: budgets[0]: month" in stage.browser.get("/ledger").text


def test_verification_names_the_noted_head(owner: TestClient) -> None:
    record(owner, "1.00 EUR")
    head = owner.get("/api/ledger/verify").json()["head"]
    record(owner, "2.00 EUR")
    assert owner.get(f"/api/ledger/verify?head={head}").json()["sound"]
    assert not owner.get(f"/api/ledger/verify?head={'0' * 63}1").json()["sound"]


def test_page_shows_budgets_projects_and_entries_and_escapes_what_people_wrote(
    stage: Stage, owner: TestClient
) -> None:
    record(owner, "45.00 EUR", project=HOSTILE, note=HOSTILE, reference="F-1")
    record(owner, "50.00 EUR", category="ads")
    stage.login()
    text = owner.get(f"/ledger?month={MONTH}").text
    for part in ("45.00 EUR spent", "5.00 EUR left", "15.00 EUR over the limit", "expenses:ads", "F-1"):
        assert part in text, part
    assert 'width="900"' in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert 'href="/ledger" aria-current="page"' in text
    assert "style=" not in text, "the policy of the page forbids it"
    assert owner.get("/ledger?month=2026-13").status_code == 422
    assert "No entries in 2020-01" in owner.get("/ledger?month=2020-01").text


def test_page_asks_who_is_there(stage: Stage) -> None:
    answer = stage.browser.get("/ledger", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_exported_csv_runs_no_formula(owner: TestClient) -> None:
    record(owner, "1.00 EUR", note='=HYPERLINK("http://evil")')
    rows = list(csv.DictReader(io.StringIO(owner.get("/api/ledger/export?format=csv").text)))
    assert [row["amount"] for row in rows] == ["1.00", "-1.00"]
    assert rows[0]["note"].startswith("'=")
    assert owner.get("/api/ledger/export?format=xls").status_code == 422


def journal_of(database: Database, form: str) -> str:
    writer = JournalWriter(form)
    with database.read() as connection:
        return writer.begin() + writer.page(list_entries(connection, limit=1000))


@pytest.mark.services
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_hledger_reads_the_journal_and_agrees_to_the_cent(database: Database, tmp_path: Path) -> None:
    """Amounts of no, two and three decimal places; notes that mean something to hledger."""
    hledger = require("hledger")
    play(database.url.render_as_string(hide_password=False), 3, 600)
    with database.write() as connection:
        for number, (minor, currency) in enumerate([(1250, "KWD"), (1, "EUR"), (999_999_999, "CLP")]):
            amount = Money(minor=minor, currency=currency)
            reserve(
                connection, approval_id=f"x{number}", run_id="r; x", project="p, q: z", category="paid-ads_2",
                amount=amount, month="2027-11", budgets=(), note='a "note"; | with\n    assets:money  5 EUR',
                now=NOW,
            )  # fmt: skip
            settle(connection, f"x{number}", actual=amount, reference="F;1\n", note="", by="ana", now=NOW)
    path = tmp_path / "d8.journal"
    path.write_text(journal_of(database, "hledger"), encoding="utf-8")
    subprocess.run([hledger, "-f", path, "check"], check=True, capture_output=True)
    shown = subprocess.run(
        [hledger, "-f", path, "balance", "--flat", "--empty", "-O", "csv", "--layout=bare"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    theirs = {
        (row["account"], row["commodity"]): row["balance"]
        for row in csv.DictReader(io.StringIO(shown))
        if row["account"].casefold() not in ("total", "total:") and float(row["balance"])
    }
    with database.read() as connection:
        ours = {
            (each.account, each.currency): format_number(each.minor, each.currency)
            for each in balance(connection)
            if each.minor
        }
    assert len(ours) > 10
    assert theirs == ours


def test_command_line_with_a_real_master(d8_home: Path, start_process: StartProcess) -> None:
    (d8_home / "policy.toml").write_text(POLICY)
    port = str(free_port())
    env = {**os.environ, "D8_PORT": port}
    master = start_process([sys.executable, "-m", "master.api"], env=env)

    def d8(*arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "master.cli", "ledger", *arguments],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    ready = Ready(kind="http", where=f"http://127.0.0.1:{port}/livez", what="the API")
    wait_until(ready.holds, 60.0, "the API answers", master.tail)
    assert "Recorded as entry 1." in d8(
        "record",
        "expense",
        "12.50 EUR",
        "--category",
        "hosting",
        "--project",
        "niche:trail",
        "--month",
        MONTH,
    )
    assert json.loads(d8("balance", "--json"))[0] == {
        "account": "assets:money", "currency": "EUR", "minor": -1250
    }  # fmt: skip
    assert "-12.50 EUR" in d8("balance")
    assert "37.50 EUR" in d8("budget", MONTH)
    assert "niche:trail" in d8("report", MONTH)
    assert "budget,hosting,EUR,12.50,50.00" in d8("report", MONTH, "--csv")
    assert "expenses:hosting  12.50 EUR" in d8("export")
    file = d8_home / "out.csv"
    d8("export", str(file), "--format", "csv")
    assert file.read_bytes().count(b"\r\n") == 3
    assert "--force" in d8("export", str(file), status=4)
    assert "reversed by entry 2" in d8("reverse", "1", "wrong")
    assert "three letters" in d8("record", "income", "12,50", status=2)
    assert d8("verify").startswith("Sound: 2 entries")
    database = Database(load_settings().sqlalchemy_url)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE ledger_postings SET minor = minor * 2")
    database.close()
    assert "NOT sound at entry 1" in d8("verify", status=1)


def test_api_of_a_fresh_home_is_made_without_a_policy(d8_home: Path) -> None:
    with TestClient(create_api(load_settings(home=d8_home))) as client:
        token = (d8_home / "secrets" / "owner.token").read_text().strip()
        client.headers["authorization"] = f"Bearer {token}"
        assert client.get("/api/ledger/budgets").json()["items"] == []


def test_newest_entries_show_that_they_were_changed(database: Database) -> None:
    play(database.url.render_as_string(hide_password=False), 3, 60)
    with database.read() as connection:
        assert verify_newest(connection) == ""
        assert verify_newest(connection, most=2) == ""
    with database.write() as connection:
        last = connection.execute(select(func.max(ledger_postings.c.seq))).scalar_one()
        connection.execute(
            update(ledger_postings)
            .where(ledger_postings.c.seq == last)
            .values(minor=ledger_postings.c.minor * 2)
        )
    with database.read() as connection:
        assert f"entry {last}" in verify_newest(connection, most=2)
