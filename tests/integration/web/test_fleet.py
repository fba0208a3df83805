"""The fleet's pages: every machine with its state and why, what can be done with it, its log."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from master.clock import utc_now
from master.events import record_event
from master.fleet.logs import ask_log, find_log, take_log
from master.fleet.roster import show_worker
from master.fleet.workers import hear_worker
from master.store.tables import attempts, paces, steps, tokens, workers
from master.tokens import Scope, create_token
from tasks.protocol import Gpu, Hardware, Heartbeat, ModelServerStats, WorkerLog
from tests.integration.web.stage import HOSTILE, Stage, put_worker

SESSION = "s" * 8
CARD = Gpu(name="NVIDIA RTX 3090", memory_mib=24_576, memory_used_mib=6_144, use_pct=80, temperature_c=61)


def put(stage: Stage, name: str = "garage", *, stats: ModelServerStats | None = None, **values: Any) -> None:
    """A worker of the fleet's build, unless the values say otherwise."""
    put_worker(stage, name, stats)
    build = stage.browser.get("/api/status", headers=owner(stage)).json()["build"]
    stage.write(
        lambda c: c.execute(
            update(workers)
            .where(workers.c.name == name)
            .values(**{"build": build, "can_update": True, **values})
        )
    )


def owner(stage: Stage) -> dict[str, str]:
    token = stage.write(lambda c: create_token(c, Scope.OWNER, "test", now=utc_now()))
    return {"authorization": f"Bearer {token}"}


def state(stage: Stage, name: str = "garage") -> str:
    return str(stage.read(lambda c: show_worker(c, name))["state"])


def beat(stage: Stage, *, minutes_ago: float, name: str = "garage") -> Any:
    hardware = Hardware(machine="x86_64", cpus=8, memory_mib=4096, disk_free_mib=9, cpu_pct=30, gpus=(CARD,))
    heartbeat = Heartbeat(worker=name, session=SESSION, hardware=hardware)
    at = utc_now() - timedelta(minutes=minutes_ago)
    return stage.write(lambda c: hear_worker(c, heartbeat, now=at, heartbeat_s=30))


def test_first_machine_is_explained_where_there_is_none(stage: Stage) -> None:
    stage.login()
    page = stage.browser.get("/fleet").text
    assert "Add the first machine" in page
    assert "d8 worker start" in page
    assert 'action="/invites"' in page


def test_each_worker_stands_with_its_state_and_why(stage: Stage) -> None:
    stage.login()
    put(stage)
    put(stage, "attic", state="wrong_build", build="old", reason="it runs build old")
    put(stage, "cellar", state="quarantined", reason="3 steps of darwin.evaluate failed here")
    put(stage, "shed", state="wrong_build", build="older", can_update=False)
    page = stage.browser.get("/fleet").text
    for expected in ("garage", "wrong build", "It runs build <code>old</code>", "3 steps of darwin.evaluate failed",
                     "started bare", "0 of 2 slots busy"):  # fmt: skip
        assert expected in page, expected
    # Whoever needs somebody stands first, and only what would be accepted is offered.
    order = re.findall(r'<h3 id="w-(\w+)">', page)
    assert order == ["cellar", "attic", "shed", "garage"]
    assert 'action="/fleet/attic/update"' in page
    assert 'action="/fleet/shed/update"' not in page
    assert 'action="/fleet/garage/drain"' in page
    assert 'action="/fleet/cellar/resume"' in page
    assert not re.search(r"<script(?! src=\"/static/)|<style|\sstyle=|\son\w+=", page)


def test_numbers_over_time_are_drawn_without_a_script(stage: Stage) -> None:
    stage.login()
    put(stage)
    for minutes_ago in (4, 3, 2, 1, 0):
        beat(stage, minutes_ago=minutes_ago)
    page = stage.browser.get("/fleet/garage").text
    for expected in ("GPU use: now 80 %, at most 80 %", "GPU memory: now 6.0 GiB", "GPU temperature: now 61 °C",
                     "24.0 GiB", "processors: now 30 %"):  # fmt: skip
        assert expected in page, expected
    assert len(re.findall(r'<path class="line" d="M[\d. Lh]+"/>', page)) == 5
    assert "80 %" in stage.browser.get("/fleet").text
    month = stage.browser.get("/fleet/garage", params={"range": "30d"}).text
    assert "No numbers of this time" in month
    assert stage.browser.get("/fleet/garage", params={"range": HOSTILE}).status_code == 200


def test_drained_worker_can_be_given_work_again_at_once(stage: Stage) -> None:
    stage.login()
    put(stage)
    told = stage.browser.post("/fleet/garage/drain", data={"back": "fleet"})
    assert told.url.path == "/fleet"
    assert "gets nothing new from now on" in told.text
    assert state(stage) == "draining"
    back = stage.browser.post("/fleet/garage/resume", data={"back": "worker"})
    assert back.url.path == "/fleet/garage"
    assert "gets work again" in back.text
    assert state(stage) == "active"
    # What is told is not told any more when it is not so.
    assert "gets nothing new" not in stage.browser.get("/fleet?told=draining:garage").text


def test_update_is_asked_for_and_what_cannot_be_is_refused_in_words(stage: Stage) -> None:
    stage.login()
    put(stage, state="wrong_build", build="old")
    page = stage.browser.post("/fleet/garage/update", data={"back": "worker"})
    assert "It has been asked to update" in page.text
    assert 'action="/fleet/garage/update"' not in page.text
    put(stage, "attic")
    refused = stage.browser.post("/fleet/attic/update", data={})
    assert refused.status_code == 409
    assert "already" in refused.text
    assert stage.browser.post("/fleet/nobody/drain", data={}).status_code == 404
    assert stage.browser.post("/fleet/garage/explode", data={}).status_code == 404


def test_removed_workers_token_is_worth_nothing_and_its_history_stays(stage: Stage) -> None:
    stage.login()
    put(stage)
    token = stage.write(lambda c: create_token(c, Scope.WORKER, "worker", now=utc_now(), worker="garage"))
    headers = {"authorization": f"Bearer {token}"}
    body = Heartbeat(
        worker="garage",
        session=SESSION,
        hardware=Hardware(machine="m", cpus=1, memory_mib=1, disk_free_mib=1),
    ).model_dump_json()
    assert stage.browser.post("/worker/heartbeat", content=body, headers=headers).status_code == 200
    page = stage.browser.get("/fleet/garage").text
    assert page.index('<details class="danger"') < page.index('action="/fleet/garage/remove"'), (
        "confirmed first"
    )
    after = stage.browser.post("/fleet/garage/remove", data={})
    assert after.url.path == "/fleet"
    assert "was taken out" in after.text
    assert stage.browser.post("/worker/heartbeat", content=body, headers=headers).status_code == 401
    gone = stage.browser.get("/fleet/garage")
    assert gone.status_code == 200
    assert "Invite it back" in gone.text
    assert "Take it out" not in gone.text


def test_invite_shows_its_command_once_and_can_be_taken_back(stage: Stage) -> None:
    stage.login()
    made = stage.browser.post("/invites", data={"worker": "Garage-PC", "hours": "24"}, follow_redirects=False)
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    code = re.search(r"/join/([\w-]+\.[0-9a-f]+)", made.text)
    assert code is not None
    assert "d8-join.sh" in made.text
    assert "own machine only" in made.text, "this master listens on its own"
    page = stage.browser.get("/fleet").text
    assert "garage-pc" in page
    assert code[1] not in page
    assert stage.browser.get("/invites").status_code == 404, "a live page does not replace the command"
    assert stage.browser.get(f"/join/{code[1]}").status_code == 200
    revoke = re.search(r'action="(/invites/[0-9a-f]+/revoke)"', page)
    assert revoke is not None
    stage.browser.post(revoke[1], data={})
    assert "garage-pc" not in stage.browser.get("/fleet").text.replace('placeholder="garage-pc"', "")
    assert stage.browser.get(f"/join/{code[1]}").status_code == 401
    assert stage.browser.post(revoke[1], data={}).status_code == 404


@pytest.mark.parametrize("form", [{"worker": "no spaces"}, {"hours": "0"}, {"hours": "9999"}, {"hours": "x"}])
def test_invite_that_is_wrong_is_refused_in_words(stage: Stage, form: dict[str, str]) -> None:
    stage.login()
    assert stage.browser.post("/invites", data=form).status_code == 422
    assert stage.read(lambda c: c.execute(select(tokens).where(tokens.c.scope == Scope.INVITE)).all()) == []


def test_log_is_fetched_and_shown_with_its_age(stage: Stage) -> None:
    stage.login()
    put(stage)
    assert "Fetch it" in stage.browser.get("/fleet/garage").text
    asked = stage.browser.post("/fleet/garage/log", data={})
    assert asked.url.path == "/fleet/garage"
    assert "comes with the next heartbeat" in asked.text
    assert beat(stage, minutes_ago=0).log_wanted
    text = f"2026-11-21T12:00:00 W d8.agent master_away why='{HOSTILE}'\n"
    stage.write(lambda c: take_log(c, WorkerLog(worker="garage", session=SESSION, text=text), now=utc_now()))
    page = stage.browser.get("/fleet/garage").text
    assert 'class="is-warning">2026-11-21T12:00:00 W d8.agent master_away' in page
    assert "As it was" in page
    assert "<script>alert" not in page
    stage.write(lambda c: c.execute(update(workers).values(state="offline")))
    assert stage.browser.post("/fleet/garage/log", data={}).status_code == 409


def test_worker_sends_its_log_through_its_own_door(stage: Stage) -> None:
    put(stage)
    token = stage.write(lambda c: create_token(c, Scope.WORKER, "worker", now=utc_now(), worker="garage"))
    headers = {"authorization": f"Bearer {token}"}
    sent = WorkerLog(worker="garage", session=SESSION, text="line\n")
    unasked = stage.browser.post("/worker/log", content=sent.model_dump_json(), headers=headers)
    assert unasked.status_code == 409
    stage.write(lambda c: ask_log(c, "garage", by="owner", now=utc_now()))
    assert (
        stage.browser.post("/worker/log", content=sent.model_dump_json(), headers=headers).status_code == 200
    )
    assert stage.read(lambda c: find_log(c, "garage")).text == "line\n"
    other = sent.model_copy(update={"worker": "attic"})
    assert (
        stage.browser.post("/worker/log", content=other.model_dump_json(), headers=headers).status_code == 409
    )
    long = sent.model_dump_json().replace("line", "x" * 70_000)
    assert stage.browser.post("/worker/log", content=long, headers=headers).status_code == 422


def test_page_of_a_worker_tells_what_it_did_and_how_fast_it_is(stage: Stage) -> None:
    stage.login()
    put(stage)
    now = utc_now()

    def fill(connection: Connection) -> None:
        stage.put_run(connection, "niche-x", "running")
        step = {"run_id": "niche-x", "key": HOSTILE, "kind": "task", "task": "niche.analyse", "state": "done"}
        attempt = {"attempt": 1, "worker": "garage", "session": "s", "build": "b", "outcome": "crashed"}
        attempt["error"] = "killed by the kernel"
        step_id = connection.execute(
            insert(steps).values(**step, worker="attic", created_at=now).returning(steps.c.id)
        ).scalar_one()
        connection.execute(
            insert(attempts).values(
                **attempt, step_id=step_id, claimed_at=now, ended_at=now + timedelta(seconds=12)
            )
        )
        connection.execute(insert(paces).values(task="niche.analyse", worker="garage", seconds=61.0, steps=7))
        connection.execute(insert(paces).values(task="niche.analyse", worker="attic", seconds=5.0, steps=7))
        record_event(connection, "worker_joined", now, worker="garage", state="active")
        # Of a kind that no sentence is written for.
        record_event(connection, "worker_clock_is_off", now, worker="garage", ahead_s=31.0)

    stage.write(fill)
    page = stage.browser.get("/fleet/garage").text
    for expected in (
        "crashed",
        "killed by the kernel",
        "12 s",
        "1 min 1 s",
        "5.0 s",
        "1 of 3",
        "joined (active)",
    ):
        assert expected in page, expected
    assert "<script>alert" not in page


def test_page_of_a_worker_shows_its_model_server(stage: Stage) -> None:
    stats = ModelServerStats(
        models=("embedded:smollm2", HOSTILE), rows=8, max_rows=32, waiting=1203, occupancy=5.25,
        prefix_hit_rate=0.876, tokens_per_s=12_345.6, latency_p50_s=0.0371, latency_p95_s=2.4, memory_mib=1536.0,
        done=40, failed=2,
    )  # fmt: skip
    stage.login()
    put(stage, stats=stats)
    put(stage, "attic")
    page = stage.browser.get("/fleet/garage").text
    for expected in (
        "<code>embedded:smollm2</code>", "8 / 32", "1,203", "12,346", "87 %", "5.2", "37 ms / 2.4 s", "1.5 GiB",
        "(2 failed)", 'value="8" aria-label="Rows in use at the model server of garage"',
    ):  # fmt: skip
        assert expected in page, expected
    assert "<script>alert" not in page
    assert "Model server" not in stage.browser.get("/fleet/attic").text


def test_fleet_speaks_spanish(stage: Stage) -> None:
    stage.login()
    put(stage, state="draining")
    spanish = {"accept-language": "es"}
    assert "vaciándose" in stage.browser.get("/fleet", headers=spanish).text
    page = stage.browser.get("/fleet/garage", headers=spanish).text
    for expected in ("Su registro", "Últimos intentos", "Acaba lo que hace"):
        assert expected in page, expected


def test_owners_door_to_one_machine(stage: Stage) -> None:
    put(stage)
    headers = owner(stage)
    for minutes_ago in (3, 2, 1):
        beat(stage, minutes_ago=minutes_ago)
    shown = stage.browser.get("/api/workers/garage", headers=headers).json()
    assert (shown["name"], shown["attempts"], shown["paces"]) == ("garage", [], [])
    found = stage.browser.get("/api/workers/garage/samples", params={"hours": 1}, headers=headers).json()
    assert found["span_s"] == 60
    assert found["samples"][0]["reading"]["gpus"][0]["use_pct"] == 80
    assert stage.browser.get("/api/workers/nobody/samples", headers=headers).status_code == 404
    assert stage.browser.post("/api/workers/garage/log", headers=headers).status_code == 202
    assert stage.browser.get("/api/workers/garage/log", headers=headers).json()["asked_at"]
    stage.browser.post("/api/workers/invites", json={"worker": "attic"}, headers=headers)
    (invite,) = stage.browser.get("/api/invites", headers=headers).json()["items"]
    assert invite["worker"] == "attic"
    assert stage.browser.delete(f"/api/invites/{invite['id']}", headers=headers).status_code == 204
    assert stage.browser.get("/api/invites", headers=headers).json()["items"] == []
