"""The first page: what waits, the workers, their model servers; and the same numbers for Prometheus."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, insert, update

from master.approvals import Policy
from master.clock import utc_now
from master.events import record_event
from master.fleet.notices import close_notice, open_notice
from master.ledger.tables import ledger_budget_use
from master.store.tables import outcomes, runs, steps, workers
from master.tokens import Scope
from tasks.protocol import ModelServerStats
from tests.integration.web.stage import HOSTILE, Stage, put_worker


def test_page_says_everything_without_a_script(stage: Stage) -> None:
    stage.ask()
    now = datetime.now(UTC)

    def put(connection: Connection) -> None:
        connection.execute(
            insert(workers).values(
                name="garage-pc",
                session="s" * 8,
                state="wrong_build",
                reason="it runs build old",
                build="old",
                lanes=["gpu", "cpu"],
                slots=2,
                host="garage",
                hardware={"machine": "x86_64", "cpus": 8, "memory_mib": 4096, "disk_free_mib": 9, "gpus": []},
                joined_at=now,
                seen_at=now,
            )
        )
        reason = {"worker": "garage-pc", "reason": "it runs build old"}
        open_notice(connection, "worker:garage-pc", "worker_wrong_build", now, **reason)
        record_event(connection, "worker_joined", now, worker="garage-pc", state="wrong_build", build="old")

    stage.write(put)
    stage.login()
    text = stage.browser.get("/").text
    for expected in (
        "Register example.com", "12.10 EUR", "garage-pc", "wrong build", "it runs build old", "0 of 2 slots",
        "0 of 1 steps", "joined (wrong build)",
    ):  # fmt: skip
        assert expected in text, expected
    # Nothing inline, and nothing from elsewhere.
    assert not re.search(r"<script(?! src=\"/static/)|<style|\sstyle=|\son\w+=|(?:src|href)=\"(?!/|#)", text)


def test_prometheus_reads_the_fleets_model_servers_with_the_owners_token(stage: Stage) -> None:
    put_worker(stage, "garage", ModelServerStats(rows=8, done=40))
    put_worker(stage, "attic", None)
    assert stage.browser.get("/metrics/models").status_code == 401
    for scope, status in ((Scope.WORKER, 409), (Scope.OWNER, 200)):
        token = (stage.home / "secrets" / f"{scope}.token").read_text().strip()
        answer = stage.browser.get("/metrics/models", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == status
        if scope is Scope.OWNER:
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            families = {family.name: family for family in text_string_to_metric_families(answer.text)}
            up = {sample.labels["worker"]: sample.value for sample in families["d8_model_server_up"].samples}
            assert up == {"attic": 0, "garage": 1}
            assert [sample.value for sample in families["d8_model_rows"].samples] == [8]
            listed = stage.browser.get("/api/workers", headers={"authorization": f"Bearer {token}"}).json()[
                "items"
            ]
            assert [worker["model_server"] is None for worker in listed] == [True, False]
            assert listed[1]["model_server"]["done"] == 40


def test_home_shows_what_needs_the_owner_until_it_is_over(stage: Stage) -> None:
    stage.login()
    about = {"worker": "garage", "reason": f"silent {HOSTILE}"}
    stage.write(lambda c: open_notice(c, "worker:garage", "worker_offline", utc_now(), **about))
    page = stage.browser.get("/").text
    assert "garage" in page
    assert "silent &lt;script&gt;" in page
    stage.write(lambda c: close_notice(c, "worker:garage", utc_now()))
    assert "silent" not in stage.browser.get("/").text


def test_new_fleet_is_told_its_first_three_steps_until_it_works(stage: Stage) -> None:
    stage.login()
    page = stage.browser.get("/").text
    assert "Three steps" in page
    assert "d8 demo" in page
    put_worker(stage, "garage", None)
    page = stage.browser.get("/").text
    assert "Three steps" in page
    assert re.search(r'<li class="done"><strong>Add a machine', page)
    # The master's own runs are no work of the owner's.
    stage.write(lambda c: stage.put_run(c, "canary-x", "done", flow="canary"))
    assert "Three steps" in stage.browser.get("/").text
    stage.write(lambda c: stage.put_run(c, "niche-x", "running", flow="niche"))
    assert "Three steps" not in stage.browser.get("/").text


def test_notice_says_what_to_do_and_leads_to_the_worker(stage: Stage) -> None:
    stage.login()
    put_worker(stage, "garage", None)
    about = {"worker": "garage", "reason": "silent"}
    stage.write(lambda c: open_notice(c, "worker:garage", "worker_offline", utc_now(), **about))
    page = stage.browser.get("/").text
    assert "Start it on its machine" in page
    assert 'href="/fleet/garage"' in page
    spanish = stage.browser.get("/", headers={"accept-language": "es"}).text
    assert "Arráncalo en su máquina" in spanish


def test_money_of_the_month_stands_beside_its_limits(stage: Stage) -> None:
    stage.login()
    assert "no limit is set" in stage.browser.get("/").text
    (stage.home / "policy.toml").write_text('[[budgets]]\ncategory = "hosting"\nmonth = "50.00 EUR"\n')
    month = Policy().month(utc_now())
    values = {
        "category": "hosting",
        "month": month,
        "currency": "EUR",
        "spent_minor": 1190,
        "held_minor": 990,
    }
    stage.write(lambda c: c.execute(insert(ledger_budget_use).values(**values)))
    page = stage.browser.get("/").text
    for expected in ("11.90 EUR", "50.00 EUR", "9.90 EUR reserved", 'width="238"', 'x="238" width="198"'):
        assert expected in page, expected
    assert "over the limit" not in page


def test_rules_that_cannot_be_read_do_not_close_the_first_page(stage: Stage) -> None:
    stage.login()
    (stage.home / "policy.toml").write_text("this is no toml")
    answer = stage.browser.get("/")
    assert answer.status_code == 200
    assert "cannot be read" in answer.text


def test_time_left_is_told_of_an_evolution_whose_pace_is_known(stage: Stage) -> None:
    stage.login()
    now = utc_now()

    def put(connection: Connection) -> None:
        stage.put_run(connection, "darwin-x", "running", flow="darwin", progress=0.5)
        for number in range(20):
            at = now - timedelta(minutes=20 - number)
            step = {"run_id": "darwin-x", "key": f"c{number}", "kind": "task", "task": "darwin.evaluate"}
            step_id = connection.execute(
                insert(steps).values(**step, state="done", created_at=now).returning(steps.c.id)
            ).scalar_one()
            connection.execute(
                insert(outcomes).values(step_id=step_id, run_id="darwin-x", attempt=1, state="done", at=at)
            )

    stage.write(put)
    assert "about 20 min left" in stage.browser.get("/").text
    stage.write(lambda c: c.execute(update(runs).values(progress=0.0)))
    assert " left<" not in stage.browser.get("/").text


def test_found_lately_shows_what_runs_found_and_no_canaries(stage: Stage) -> None:
    stage.login()

    def put(connection: Connection) -> None:
        for run_id, flow in (("niche-x", "niche"), ("canary-x", "canary")):
            stage.put_run(
                connection, run_id, "done", flow=flow, note=f"note of {run_id}", finished_at=utc_now()
            )

    stage.write(put)
    page = stage.browser.get("/").text
    assert "note of niche-x" in page
    assert "note of canary-x" not in page
    assert "niche study" in page
