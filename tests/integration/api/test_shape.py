"""What all of the API has in common: errors, headers, pages of lists, its description."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from master.api import answers
from master.api.reader import __file__ as reader_file
from master.api.status import show_status
from master.dispatch.states import RunState
from master.events import record_event
from master.flows.runs import list_attempts, list_runs, show_run, start_run
from master.store.tables import runs
from tests.integration.api.conftest import Caller

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LISTS = (
    "runs", "runs/RUN/steps", "runs/RUN/attempts", "flows", "workers", "notices", "approvals", "ledger/balance",
    "ledger/entries", "ledger/budgets", "clients", "artifacts", "events", "tokens", "schedules", "executions",
    "webhooks", "deliveries", "owners", "sessions",
)  # fmt: skip
WRONG_CURSORS = (
    "x",
    "!!!",
    "bnVsbA",
    "W10",
    "WyJydW5zIiwxLDJd",
    "WyJ0b2tlbnMiLCJ4Il0",
    "WyJydW5zIiwieCIsInkiXQ",
    "é",
)
START = {"flow": "noop", "params": {"steps": 1}}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "title"),
    [
        ("GET", "/api/runs/none", None, 404, "NotFound"),
        ("GET", "/api/nothing/here", None, 404, "NotFound"),
        ("PATCH", "/api/runs", None, 405, "Refused"),
        ("POST", "/api/runs", {"flow": 7}, 422, "InvalidInput"),
        ("GET", "/api/runs?limit=many", None, 422, "InvalidInput"),
        ("POST", "/api/dispatch/stop", None, 422, "InvalidInput"),
        ("DELETE", "/api/tokens/local-owner", None, 409, "Refused"),
        ("GET", "/worker/nothing", None, 404, "NotFound"),
    ],
)
def test_every_error_is_a_problem_with_a_paragraph(
    caller: Caller, method: str, path: str, body: Any, status: int, title: str
) -> None:
    answer = caller.client.request(method, path, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert (problem["status"], problem["title"], problem["type"]) == (status, title, f"urn:d8:{title}")
    assert len(problem["detail"]) > 10
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_wrong_method_is_told_the_right_ones(caller: Caller) -> None:
    answer = caller.client.request("PATCH", "/api/runs")
    assert answer.headers["allow"] == "GET, POST"
    assert "GET, POST" in answer.json()["detail"]


def test_a_mistake_of_ours_tells_the_caller_nothing_of_it(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the secret is 4711")

    monkeypatch.setattr("master.api.owner_routes.show_run", broken)
    answer = caller.client.get("/api/runs/x")
    assert (answer.status_code, answer.json()["title"]) == (500, "D8Error")
    assert "4711" not in answer.text
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_data_is_never_run_guessed_or_kept_by_a_browser(caller: Caller) -> None:
    headers = caller.client.get("/api/status").headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")


def test_a_list_comes_in_pages_that_newcomers_do_not_shift(caller: Caller) -> None:
    for _ in range(7):
        assert caller.post("/api/runs", START).status_code == 201
    wanted = [run["id"] for run in caller.get("/api/runs")["items"]]
    seen, cursor = [], ""
    while cursor is not None:
        page = caller.get("/api/runs", limit=3, cursor=cursor)
        seen += [run["id"] for run in page["items"]]
        cursor = page["next"]
        caller.post("/api/runs", START)
    assert seen == wanted


def test_runs_of_one_moment_are_all_shown(caller: Caller) -> None:
    """The cursor names a row, not only its time."""
    row = {"flow": "noop", "params": {}, "state": "done", "woken_at": NOW, "created_at": NOW, "wake": 0}
    caller.write(lambda c: c.execute(insert(runs), [{**row, "id": f"noop-{n}"} for n in "abcde"]))
    first = caller.get("/api/runs", limit=2)
    second = caller.get("/api/runs", limit=2, cursor=first["next"])
    third = caller.get("/api/runs", limit=2, cursor=second["next"])
    assert [run["id"][-1] for page in (first, second, third) for run in page["items"]] == list("abcde")
    assert third["next"] is None


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_events_are_paged_from_either_end_and_by_name(caller: Caller, order: str) -> None:
    for n in range(5):
        caller.write(lambda c, n=n: record_event(c, "tried", NOW, run_id=f"r{n % 2}", n=n))  # type: ignore[misc]
    seen, cursor = [], ""
    while cursor is not None:
        page = caller.get("/api/events", name="tried", order=order, limit=2, cursor=cursor)
        seen += [event["data"]["n"] for event in page["items"]]
        cursor = page["next"]
    assert seen == (list(range(5)) if order == "oldest" else [4, 3, 2, 1, 0])
    assert len(caller.get("/api/events", run="r0", name="tried")["items"]) == 3


def test_a_cursor_that_is_not_of_the_list_is_refused(caller: Caller) -> None:
    for cursor in (
        "x",
        "!!!",
        "bnVsbA",
        "W10",
        "WyJydW5zIiwxLDJd",
        "WyJ0b2tlbnMiLCJ4Il0",
        "WyJydW5zIiwieCIsInkiXQ",
        "é",
    ):
        answer = caller.client.get("/api/runs", params={"cursor": cursor})
        assert answer.status_code == 422, (cursor, answer.text)
        assert "next" in answer.json()["detail"]


def test_every_list_has_one_shape(caller: Caller) -> None:
    run_id = caller.post("/api/runs", START).json()["id"]
    caller.post("/api/runs", START)
    for path in LISTS:
        page = caller.get(f"/api/{path.replace('RUN', run_id)}", limit=1)
        assert page.keys() == {"items", "next"}, path
        assert len(page["items"]) <= 1, path
        if page["next"] is not None:
            assert caller.get(f"/api/{path.replace('RUN', run_id)}", cursor=page["next"])["items"], path


def test_nothing_that_a_run_or_the_fleet_tells_is_left_out_of_its_record(caller: Caller) -> None:
    run_id = caller.write(lambda c: start_run(c, "noop", {"steps": 1}, now=NOW))
    shown = caller.read(lambda c: show_run(c, run_id))
    listed = caller.read(list_runs)
    status = caller.read(lambda c: show_status(c, caller.settings, "b", NOW))
    assert shown.keys() == answers.RunShown.model_fields.keys()
    assert listed[0].keys() == answers.RunLine.model_fields.keys()
    assert status.keys() == answers.Status.model_fields.keys()
    assert caller.read(lambda c: list_attempts(c, run_id)) == []
    assert listed[0]["state"] == RunState.RUNNING


def test_the_description_is_whole(caller: Caller) -> None:
    document = caller.get("/api/openapi.json")
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = Counter(operation["operationId"] for operation in operations)
    assert names.most_common(1)[0][1] == 1, names.most_common(1)
    known = {tag["name"] for tag in document["tags"]}
    for operation in operations:
        assert operation["summary"]
        assert set(operation["tags"]) & known, operation
        for status in ("401", "404", "409", "422", "500", "503"):
            assert operation["responses"][status]["content"].keys() == {"application/problem+json"}
        good = next(answer for status, answer in operation["responses"].items() if status[0] == "2")
        schema = next(iter(good.get("content", {"": {"schema": {"type": "none"}}}).values()))["schema"]
        assert schema not in ({}, {"type": "object"}), (
            f"{operation['operationId']} does not say what it answers"
        )
    assert set(document["components"]["securitySchemes"]) == {"token", "session"}


def test_the_reader_takes_everything_from_here(caller: Caller) -> None:
    page = caller.client.get("/api/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in page.headers["content-security-policy"]
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 4
    for link in links:
        assert link.startswith("/api/")
        assert caller.client.get(link).status_code == 200, link
    assert not re.findall(r"<script(?![^>]*src=)| style=| on\w+=", page.text), "nothing inline"


def test_the_readers_files_are_those_of_the_package() -> None:
    folder = Path(reader_file).parent / "vendor"
    noted = re.findall(r"^([0-9a-f]{64})  (\S+)$", (folder / "SOURCE").read_text(), re.MULTILINE)
    assert {name for _, name in noted} == {path.name for path in folder.iterdir()} - {"SOURCE"}
    for digest, name in noted:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


def test_a_page_of_approvals_goes_on_where_the_last_one_ended(caller: Caller) -> None:
    from master.approvals import Policy, Question, create_approval
    from master.store.tables import steps

    def ask(connection: Any) -> None:
        run_id = start_run(connection, "noop", {"steps": 1}, now=NOW)
        for n in range(4):
            at = NOW + timedelta(seconds=n // 2)
            row = {"run_id": run_id, "key": f"q{n}", "kind": "approval", "task": "", "state": "waiting"}
            step = connection.execute(
                insert(steps).values(**row, created_at=at).returning(steps.c.id)
            ).scalar_one()
            question = Question(type="PAYMENT", title=f"q{n}", reason="because")
            create_approval(
                connection, question, run_id=run_id, step_id=step, step_key=f"q{n}", policy=Policy(), now=at
            )

    caller.write(ask)
    for state in ({}, {"state": "pending"}):
        first = caller.get("/api/approvals", limit=3, **state)
        rest = caller.get("/api/approvals", limit=3, cursor=first["next"], **state)
        titles = [one["title"] for page in (first, rest) for one in page["items"]]
        assert sorted(titles) == ["q0", "q1", "q2", "q3"]
        assert titles[0] in (("q0", "q1") if state else ("q2", "q3"))
