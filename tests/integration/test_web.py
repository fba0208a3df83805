"""The dashboard over a real master application and a real SQLite database."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, func, insert, select
from starlette.testclient import TestClient

from master.api.app import create_api
from master.api.auth import COOKIE
from master.api.services import Services
from master.approvals import ApprovalState, ApprovalType, Policy, Question, create_approval, get_approval
from master.clock import utc_now
from master.events import record_event
from master.fleet.notices import close_notice, open_notice
from master.fleet.releases import Releases
from master.settings import load_settings
from master.store import Database, Writer
from master.store.artifacts import ArtifactFolder, record_artifact
from master.store.tables import events, outcomes, runs, steps, tokens, workers
from master.tokens import Scope, create_token, find_principal
from master.web.live import stream_news
from tasks.files import ROOT
from tasks.protocol import ModelServerStats

ORIGIN = "http://testserver"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
CHART = b'<svg xmlns="http://www.w3.org/2000/svg"/>'

T = TypeVar("T")


@dataclasses.dataclass
class Stage:
    """A master's application, a browser, and the same database beside them."""

    browser: TestClient
    database: Database
    home: Path

    def write(self, function: Callable[[Connection], T]) -> T:
        with self.database.write() as connection:
            return function(connection)

    def read(self, function: Callable[[Connection], T]) -> T:
        with self.database.read() as connection:
            return function(connection)

    def code(self, *, scope: Scope = Scope.OWNER, minutes: int = 15) -> str:
        now = datetime.now(UTC)
        until = now + timedelta(minutes=minutes)
        return self.write(lambda c: create_token(c, scope, "dashboard", now=now, expires_at=until))

    def login(self) -> None:
        assert self.browser.get("/login", params={"code": self.code()}).status_code == 200
        self.browser.headers["origin"] = ORIGIN

    def ask(self, title: str = "Register example.com", cost_minor: int = 1210) -> str:
        """A run that waits for the answer to one question; returns the request's id."""
        now = datetime.now(UTC)
        question = Question(
            type=ApprovalType.PAYMENT,
            title=title,
            reason=f"because {title}",
            cost_minor=cost_minor,
            evidence={title: title},
        )

        def put(connection: Connection) -> str:
            run_id = f"fleet.canary-{hashlib.sha256(title.encode()).hexdigest()[:6]}"
            self.put_run(connection, run_id, "waiting", note=title, params={title: title})
            step = {"run_id": run_id, "key": title, "kind": "approval", "task": "", "state": "waiting"}
            step_id = connection.execute(
                insert(steps).values(**step, created_at=now).returning(steps.c.id)
            ).scalar_one()
            return create_approval(
                connection, question, run_id=run_id, step_id=step_id, step_key=title, policy=Policy(), now=now
            )

        return self.write(put)

    @staticmethod
    def put_run(connection: Connection, run_id: str, state: str, **values: object) -> None:
        now = datetime.now(UTC)
        connection.execute(
            insert(runs).values(
                **{"id": run_id, "flow": "fleet.canary", "params": {}, "state": state, **values},
                woken_at=now,
                created_at=now,
                # Far from due: no conductor takes it up during the test.
                wake=0,
                seen=0,
            )
        )

    def decision(self, approval_id: str, **fields: str) -> dict[str, str]:
        digest = self.read(lambda c: get_approval(c, approval_id)).digest
        return {"digest": digest, "back": "home", **fields}


@pytest.fixture
def stage(d8_home: Path) -> Iterator[Stage]:
    settings = load_settings(home=d8_home)
    api = create_api(settings)
    database = Database(settings.sqlalchemy_url)
    with TestClient(api, base_url=ORIGIN) as browser:
        yield Stage(browser, database, d8_home)
    database.close()


def test_page_without_login_leads_to_how_to_log_in(stage: Stage) -> None:
    for path in ("/", "/runs", "/runs/x", "/approvals"):
        answer = stage.browser.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login"), path
    assert "d8 dashboard" in stage.browser.get("/").text


def test_code_logs_in_once(stage: Stage) -> None:
    code = stage.code()
    first = stage.browser.get("/login", params={"code": code}, follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "path=/"} <= set(cookie.split("; "))
    assert code not in cookie
    assert stage.browser.get("/", follow_redirects=False).status_code == 200

    stage.browser.cookies.clear()
    second = stage.browser.get("/login", params={"code": code}, follow_redirects=False)
    assert second.status_code == 401
    assert "set-cookie" not in second.headers
    assert "d8 dashboard" in second.text


def test_code_that_is_wrong_expired_or_of_a_worker_is_refused(stage: Stage) -> None:
    for code in ("wrong", stage.code(minutes=-1), stage.code(scope=Scope.WORKER)):
        answer = stage.browser.get("/login", params={"code": code}, follow_redirects=False)
        assert answer.status_code == 401
        assert COOKIE not in stage.browser.cookies


def test_owners_own_token_in_a_login_link_is_neither_taken_nor_used_up(stage: Stage) -> None:
    token = (stage.home / "secrets" / "owner.token").read_text().strip()
    assert stage.browser.get("/login", params={"code": token}).status_code == 401
    assert stage.read(lambda c: find_principal(c, token, now=datetime.now(UTC))) is not None


def test_preview_of_the_link_does_not_use_the_code_up(stage: Stage) -> None:
    code = stage.code()
    assert stage.browser.head("/login", params={"code": code}).status_code == 200
    assert stage.browser.get("/login", params={"code": code}, follow_redirects=False).status_code == 303


def test_logout_makes_the_cookie_worthless(stage: Stage) -> None:
    stage.login()
    token = stage.browser.cookies[COOKIE]
    answer = stage.browser.post("/logout", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert COOKIE not in stage.browser.cookies
    assert stage.read(lambda c: find_principal(c, token, now=datetime.now(UTC))) is None


def test_form_from_another_site_changes_nothing(stage: Stage) -> None:
    approval_id = stage.ask()
    stage.login()
    before = stage.read(lambda c: c.execute(select(func.count()).select_from(tokens)).scalar_one())
    form = stage.decision(approval_id, decision="approve")
    for origin in ("", "https://evil.example", "null"):
        stage.browser.headers["origin"] = origin
        for path in (f"/approvals/{approval_id}/decision", "/runs/x/cancel", "/logout"):
            answer = stage.browser.post(path, data=form, follow_redirects=False)
            assert answer.status_code == 409, (origin, path)
    assert stage.read(lambda c: get_approval(c, approval_id)).state is ApprovalState.PENDING
    assert before == stage.read(lambda c: c.execute(select(func.count()).select_from(tokens)).scalar_one())


def test_approval_through_the_form_decides_once(stage: Stage) -> None:
    approval_id = stage.ask()
    stage.login()
    form = stage.decision(approval_id, decision="approve")
    page = stage.browser.get("/")
    assert form["digest"] in page.text
    assert "Approve 12.10 EUR" in page.text
    for _ in range(2):
        answer = stage.browser.post(f"/approvals/{approval_id}/decision", data=form, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
    approval = stage.read(lambda c: get_approval(c, approval_id))
    assert (approval.state, approval.decided_by, approval.door) == ("approved", "dashboard", "dashboard")
    assert stage.read(lambda c: c.execute(select(func.count()).select_from(outcomes)).scalar_one()) == 1

    form = stage.decision(approval_id, decision="reject", note="too late")
    answer = stage.browser.post(f"/approvals/{approval_id}/decision", data=form)
    assert answer.status_code == 409
    assert "already approved" in answer.text


def test_rejection_takes_a_reason_and_keeps_it(stage: Stage) -> None:
    approval_id = stage.ask()
    stage.login()
    path = f"/approvals/{approval_id}/decision"
    answer = stage.browser.post(path, data=stage.decision(approval_id, decision="reject", note=" "))
    assert answer.status_code == 422
    assert "needs a reason" in answer.text
    form = stage.decision(approval_id, decision="reject", note="Demasiado caro, ¿no?", back="approvals")
    answer = stage.browser.post(path, data=form)
    assert answer.url.path == "/approvals"
    assert "Demasiado caro, ¿no?" in answer.text
    assert stage.read(lambda c: get_approval(c, approval_id)).state is ApprovalState.REJECTED


def test_decision_about_something_else_than_what_was_shown_is_refused(stage: Stage) -> None:
    approval_id = stage.ask()
    stage.login()
    for digest in ("", "0" * 64):
        form = {"decision": "approve", "digest": digest}
        answer = stage.browser.post(f"/approvals/{approval_id}/decision", data=form)
        assert answer.status_code == 409
    assert stage.read(lambda c: get_approval(c, approval_id)).state is ApprovalState.PENDING


def test_form_that_is_too_large_or_not_a_form_is_refused(stage: Stage) -> None:
    approval_id = stage.ask()
    stage.login()
    path = f"/approvals/{approval_id}/decision"
    assert stage.browser.post(path, content=b"note=" + b"x" * 40_000).status_code == 422
    assert stage.browser.post(path, content=b"note=%ff").status_code == 422
    assert stage.browser.post(path, content=b"\xff\xfe").status_code == 422
    assert stage.browser.post(path, data=stage.decision(approval_id, decision="maybe")).status_code == 422


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "run:/../../evil", "run://x"])
def test_form_never_leads_to_another_site(stage: Stage, back: str) -> None:
    approval_id = stage.ask()
    stage.login()
    form = stage.decision(approval_id, decision="approve", back=back)
    answer = stage.browser.post(f"/approvals/{approval_id}/decision", data=form, follow_redirects=False)
    assert re.fullmatch(r"/(runs/[^/]+)?", answer.headers["location"])


def test_markup_in_what_flows_write_is_shown_and_never_obeyed(stage: Stage) -> None:
    approval_id = stage.ask(HOSTILE)
    stage.login()
    run_id = stage.read(lambda c: get_approval(c, approval_id)).run_id
    for path in ("/", "/runs", "/approvals", f"/runs/{run_id}"):
        text = stage.browser.get(path).text
        assert "&lt;script&gt;alert(1)" in text, path
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path


def test_every_answer_carries_the_security_headers(stage: Stage) -> None:
    answers = [stage.browser.get(path, follow_redirects=False) for path in ("/", "/login", "/login?code=x")]
    stage.login()
    paths = ("/", "/runs", "/approvals", "/runs/none", "/static/d8.css", "/runs?before=x")
    answers += [stage.browser.get(path) for path in paths]
    answers.append(stage.browser.post("/runs/none/cancel"))
    answers.append(stage.browser.post("/logout", follow_redirects=False))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy == "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        if "/static/" not in str(answer.url):
            assert answer.headers["cache-control"] == "no-store"


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


def test_run_shows_its_parts_and_its_pictures(stage: Stage) -> None:
    folder = ArtifactFolder(stage.home / "artifacts")
    digest = folder.write(CHART)
    now = datetime.now(UTC)

    def put(connection: Connection) -> None:
        stage.put_run(
            connection, "r-1", "done", note="better: 0.86", result={"best_score": 0.86, "report": digest}
        )
        connection.execute(
            insert(steps).values(
                run_id="r-1",
                key="g0/evaluate",
                kind="task",
                task="darwin.evaluate",
                state="done",
                worker="garage-pc",
                build="abc",
                attempt=2,
                usage='{"prompt_tokens": 1200, "kept": 3, "models": [{"model": "fake:", "sha256": "'
                + "7" * 64
                + '", "dtype": "none", "device": "none"}]}',
                created_at=now,
                claimed_at=now,
                finished_at=now + timedelta(seconds=184),
            )
        )
        record_artifact(
            connection,
            digest,
            name="fitness.svg",
            media_type="image/svg+xml",
            size=len(CHART),
            run_id="r-1",
            now=now,
        )

    stage.write(put)
    stage.login()
    text = stage.browser.get("/runs/r-1").text
    for expected in (
        "g0/evaluate", "garage-pc", "3 min 4 s", "best score", "0.86", "fitness.svg",
        "fake: (none, none, 777777777777), 1,200 tokens, 0 ms, 3 kept answers",
    ):  # fmt: skip
        assert expected in text, expected
    source = re.search(r'<img src="(/api/artifacts/[0-9a-f]{64})"', text)
    assert source is not None
    picture = stage.browser.get(source[1])
    assert picture.content == CHART
    assert picture.headers["content-security-policy"] == "sandbox"
    assert source[1] in stage.browser.get("/").text


def put_worker(stage: Stage, name: str, stats: ModelServerStats | None) -> None:
    now = utc_now()
    values = {
        "name": name, "session": "s" * 8, "state": "active", "build": "b", "lanes": ["cpu"], "slots": 2, "host": "h",
        "hardware": {"machine": "x86_64", "cpus": 8, "memory_mib": 4096, "disk_free_mib": 9, "gpus": []},
        "model_server": None if stats is None else stats.model_dump(mode="json"), "joined_at": now, "seen_at": now,
    }  # fmt: skip
    stage.write(lambda c: c.execute(insert(workers).values(**values)))


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


def test_run_can_be_cancelled_once(stage: Stage) -> None:
    approval_id = stage.ask()
    run_id = stage.read(lambda c: get_approval(c, approval_id)).run_id
    stage.login()
    assert "Cancel this run" in stage.browser.get(f"/runs/{run_id}").text
    answer = stage.browser.post(f"/runs/{run_id}/cancel")
    assert answer.url.path == f"/runs/{run_id}"
    assert "cancelled by dashboard" in answer.text
    assert stage.read(lambda c: get_approval(c, approval_id)).state is ApprovalState.CANCELLED
    assert stage.browser.post(f"/runs/{run_id}/cancel").status_code == 409
    assert stage.browser.post(f"/runs/{run_id}/explode").status_code == 404


def test_failed_run_can_be_tried_again(stage: Stage) -> None:
    stage.write(lambda c: stage.put_run(c, "r-2", "failed", error="no luck"))
    stage.login()
    assert "Try what failed again" in stage.browser.get("/runs/r-2").text
    stage.browser.post("/runs/r-2/retry")
    names = stage.read(
        lambda c: c.execute(select(events.c.name).where(events.c.run_id == "r-2")).scalars().all()
    )
    assert "run_retried" in names


def test_runs_are_filtered_and_paged(stage: Stage) -> None:
    def put(connection: Connection) -> None:
        for number in range(60):
            stage.put_run(connection, f"r-{number:02}", "done" if number % 2 else "failed")

    stage.write(put)
    stage.login()
    first = stage.browser.get("/runs")
    older = re.search(r'href="(/runs\?[^"]+)">Older', first.text)
    assert older is not None
    second = stage.browser.get(older[1].replace("&amp;", "&"))
    seen = [set(re.findall(r'href="/runs/(r-\d\d)"', page.text)) for page in (first, second)]
    assert [len(found) for found in seen] == [50, 10]
    assert not seen[0] & seen[1]
    assert "r-02" not in stage.browser.get("/runs", params={"state": "done"}).text


def test_workers_token_opens_no_page(stage: Stage) -> None:
    token = stage.code(scope=Scope.WORKER)
    answer = stage.browser.get("/", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 409
    assert "takes an owner token" in answer.text


def test_stream_is_refused_without_login(stage: Stage) -> None:
    assert stage.browser.get("/events").status_code == 401


def test_home_shows_what_needs_the_owner_until_it_is_over(stage: Stage) -> None:
    stage.login()
    about = {"worker": "garage", "reason": f"silent {HOSTILE}"}
    stage.write(lambda c: open_notice(c, "worker:garage", "worker_offline", utc_now(), **about))
    page = stage.browser.get("/").text
    assert "garage" in page
    assert "silent &lt;script&gt;" in page
    stage.write(lambda c: close_notice(c, "worker:garage", utc_now()))
    assert "silent" not in stage.browser.get("/").text


def test_open_stream_tells_of_what_happens_and_ends_with_the_server(stage: Stage) -> None:
    settings = load_settings(home=stage.home)
    services = Services(
        settings=settings,
        database=stage.database,
        writer=Writer(stage.database),
        folder=ArtifactFolder(settings.artifact_folder),
        clock=utc_now,
        build="b",
        releases=Releases(ROOT, "b", stage.home / "release.key"),
        policy=Policy,
    )
    stage.write(lambda c: record_event(c, "run_started", utc_now(), run_id="r-1"))
    waits: list[float] = []

    async def happens(wait_s: float) -> None:
        waits.append(wait_s)
        if len(waits) == 2:
            stage.write(lambda c: record_event(c, "run_done", utc_now(), run_id="r-1"))
            stage.write(lambda c: record_event(c, "run_started", utc_now(), run_id="r-2"))

    async def listen(seq: int | None) -> list[str]:
        waits.clear()
        return [text async for text in stream_news(services, seq, lambda: len(waits) >= 4, happens)]

    news = [text for text in asyncio.run(listen(None)) if text.startswith("id: ")]
    assert len(news) == 1, "what was there before the page is no news, and two events at once are one message"
    assert '"runs": ["r-1", "r-2"]' in news[0]
    again = [text for text in asyncio.run(listen(0)) if text.startswith("id: ")]
    assert again[0].startswith("id: "), "a browser that comes back is told what it missed"
    services.writer.close()
