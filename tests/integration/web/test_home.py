"""The first page: what waits, the workers, their model servers; and the same numbers for Prometheus."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, insert

from master.clock import utc_now
from master.events import record_event
from master.fleet.notices import close_notice, open_notice
from master.store.tables import workers
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


def test_home_shows_each_workers_model_server(stage: Stage) -> None:
    stats = ModelServerStats(
        models=("embedded:smollm2", HOSTILE), rows=8, max_rows=32, waiting=1203, occupancy=5.25,
        prefix_hit_rate=0.876, tokens_per_s=12_345.6, latency_p50_s=0.0371, latency_p95_s=2.4, memory_mib=1536.0,
        done=40, failed=2,
    )  # fmt: skip
    put_worker(stage, "garage", stats)
    put_worker(stage, "attic", None)
    stage.login()
    text = stage.browser.get("/").text
    for expected in (
        "<code>embedded:smollm2</code>", "8 of 32 rows", "1,203 in the queue", "12,346 tokens/s", "87 %",
        "5.2 rows a pass", "37 ms / 2.4 s", "1.5 GiB", "40 done, 2 failed", '<progress max="100" value="25"',
        'aria-label="Rows in use at the model server of garage"',
    ):  # fmt: skip
        assert expected in text, expected
    assert "model server of attic" not in text
    assert "GPU memory" not in text, "it has none"
    assert "<script>alert" not in text


def test_prometheus_reads_the_fleets_model_servers_with_the_owners_token(stage: Stage) -> None:
    put_worker(stage, "garage", ModelServerStats(rows=8, done=40))
    put_worker(stage, "attic", None)
    assert stage.browser.get("/metrics/models").status_code == 401
    for scope, status in ((Scope.WORKER, 409), (Scope.OWNER, 200)):
        token = stage.code(scope=scope)
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
