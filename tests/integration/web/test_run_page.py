"""One run in the browser: its pictures, its log, its steps, what it made; and taken up again from a step."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select

from master.events import record_event
from master.store.artifacts import ArtifactFolder, record_artifact
from master.store.tables import attempts, outcomes, runs, steps
from tests.integration.web.stage import HOSTILE, Stage

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def put_step(c: Connection, run_id: str, key: str, asked: float, ended: float | None, **more: Any) -> int:
    state = more.pop("state", "done" if ended is not None else "running")
    values = {"run_id": run_id, "key": key, "kind": "task", "task": "fleet.noop", "state": state, **more}
    times = {
        "created_at": at(asked),
        "claimed_at": at(asked),
        "finished_at": None if ended is None else at(ended),
    }
    step_id: int = c.execute(insert(steps).values(**values, **times).returning(steps.c.id)).scalar_one()
    c.execute(
        insert(attempts).values(
            step_id=step_id, attempt=1, worker="garage", session="s", build="b", claimed_at=at(asked),
            ended_at=times["finished_at"], outcome=state if ended is not None else "",
        )
    )  # fmt: skip
    return step_id


def put_failed(c: Connection) -> None:
    """A run of four steps, one after another, of which the last failed."""
    Stage.put_run(c, "noop-f", "failed", error="step 'd' failed: no")
    for number, key in enumerate("abc"):
        put_step(c, "noop-f", key, 10 * number, 10 * number + 8, result='{"echo": "hello"}', worker="garage")
    step_id = put_step(c, "noop-f", "d", 30, 38, state="failed", error="no", worker="garage")
    record_event(c, "step_failed", at(38), run_id="noop-f", step_id=step_id, worker="garage", error="no")


def test_a_run_shows_its_steps_as_a_graph_and_in_time_and_as_a_table(stage: Stage) -> None:
    stage.write(put_failed)
    stage.login()
    text = stage.browser.get("/runs/noop-f").text
    graph = re.search(r'<svg class="graph".*?</svg>\s*</a>\s*</svg>', text, re.DOTALL)
    assert graph is not None
    assert len(re.findall(r'class="box to-done"', graph[0])) == 3
    assert len(re.findall(r'class="box to-failed"', graph[0])) == 1
    assert len(re.findall(r'class="line"', graph[0])) == 3
    assert 'href="/runs/noop-f/step?key=d"' in graph[0]
    timeline = re.search(r'<svg class="timeline".*?</svg>', text, re.DOTALL)
    assert timeline is not None
    assert timeline[0].count("<rect") == 4
    assert "garage" in timeline[0]
    assert "3 of 4 steps" in text
    assert "1 failed" in text
    assert "style=" not in text, "the policy of the page forbids it"


def test_a_run_of_ten_thousand_steps_is_shown_by_groups_and_fast(stage: Stage) -> None:
    def put(c: Connection) -> None:
        stage.put_run(c, "noop-big", "running")
        c.execute(
            insert(steps),
            [
                {
                    "run_id": "noop-big", "key": f"{'evaluate' if number % 10 else 'wish'}:{number}", "kind": "task",
                    "task": "fleet.noop", "state": "failed" if number == 5 else "done", "created_at": at(number),
                    "claimed_at": at(number), "finished_at": at(number + 5), "result": "{}" * 200,
                }
                for number in range(10_000)
            ],
        )  # fmt: skip
        step_id = c.execute(select(steps.c.id).where(steps.c.state == "failed")).scalar_one()
        c.execute(
            insert(outcomes).values(step_id=step_id, run_id="noop-big", attempt=1, state="failed", at=NOW)
        )

    stage.write(put)
    stage.login()
    stage.browser.get("/runs/noop-big")
    took, text = [], ""
    for _ in range(3):
        began = time.perf_counter()
        text = stage.browser.get("/runs/noop-big").text
        took.append(time.perf_counter() - began)
    assert min(took) < 1, "bounded, whatever else this machine does"
    assert 'class="graph"' not in text
    assert ">evaluate</a>" in text
    assert "8,999 done, 1 failed" in text or "1 failed, 8,999 done" in text
    assert "120 of 10000, failed and open ones first" in text
    assert text.index("evaluate:5<") < text.index("evaluate:9999<")
    assert "wish:9990" in stage.browser.get("/runs/noop-big?steps=wish").text


def test_the_log_is_paged_from_the_newest_to_the_oldest(stage: Stage) -> None:
    def put(c: Connection) -> None:
        stage.put_run(c, "noop-l", "running")
        for number in range(250):
            record_event(c, "steps_created", at(number), run_id="noop-l", count=number + 1000, first="x")

    stage.write(put)
    stage.login()
    first = stage.browser.get("/runs/noop-l/log").text
    assert "1249 steps planned" in first
    older = re.search(r'href="(/runs/noop-l/log\?before=\d+)"', first)
    assert older is not None
    rest = stage.browser.get(older[1]).text
    numbers = [int(each) for text in (first, rest) for each in re.findall(r"(\d+) steps planned", text)]
    assert numbers == list(range(1249, 999, -1))
    assert stage.browser.get("/runs/noop-l/log?before=x").status_code == 422
    assert stage.browser.get("/runs/none/log").status_code == 404


def test_a_step_says_what_would_be_done_anew_and_does_it_once_confirmed(stage: Stage) -> None:
    stage.write(put_failed)
    stage.login()
    text = stage.browser.get("/runs/noop-f/step", params={"key": "b"}).text
    assert "3 steps, are done anew" in text
    assert "hello" in text, "its result"
    answer = stage.browser.post("/runs/noop-f/retry", data={"step": "b"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs/noop-f")
    keys = stage.read(lambda c: list(c.execute(select(steps.c.key)).scalars()))
    assert sum("#aside-" in key for key in keys) == 3
    text = stage.browser.get("/runs/noop-f").text
    assert "3 set aside" in text
    assert "Run taken up again from <em>b</em> by dashboard" in text
    assert stage.read(lambda c: c.execute(select(runs.c.state)).scalar()) == "running"


def test_a_step_says_why_its_run_cannot_be_taken_up_from_it(stage: Stage) -> None:
    def put(c: Connection) -> None:
        stage.put_run(c, "noop-d", "done")
        put_step(c, "noop-d", HOSTILE, 0, 5)

    stage.write(put)
    stage.login()
    text = stage.browser.get("/runs/noop-d/step", params={"key": HOSTILE}).text
    assert "run noop-d is done and cannot become running" in text
    assert "<script>alert" not in text
    assert 'name="step"' not in text
    answer = stage.browser.post("/runs/noop-d/retry", data={"step": HOSTILE})
    assert answer.status_code == 409
    assert stage.browser.get("/runs/noop-d/step", params={"key": "none"}).status_code == 404


def test_what_a_run_made_is_previewed_as_text_or_picture_and_never_as_a_page(stage: Stage) -> None:
    folder = ArtifactFolder(stage.home / "artifacts")
    page = f"<!doctype html><h1>{HOSTILE}</h1>".encode() + b"x" * 70_000
    made = {
        "index.html": ("text/html", page),
        "map.svg": ("image/svg+xml", b"<svg/>"),
        "site.zip": ("application/zip", b"PK"),
    }
    digests = {name: folder.write(data) for name, (_, data) in made.items()}

    def put(c: Connection) -> None:
        stage.put_run(c, "noop-a", "done")
        for name, (media_type, data) in made.items():
            record_artifact(
                c, digests[name], name=name, media_type=media_type, size=len(data), run_id="noop-a", now=NOW
            )

    stage.write(put)
    stage.login()
    text = stage.browser.get("/runs/noop-a").text
    assert f'href="/runs/noop-a/artifacts/{digests["index.html"]}"' in text
    assert f'href="/runs/noop-a/artifacts/{digests["site.zip"]}"' not in text
    assert text.count('download="site.zip"') == 1
    shown = stage.browser.get(f"/runs/noop-a/artifacts/{digests['index.html']}").text
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert" not in shown
    assert "The first 64.0 KiB." in shown
    assert len(shown) < 80_000
    assert "<img" in stage.browser.get(f"/runs/noop-a/artifacts/{digests['map.svg']}").text
    assert stage.browser.get(f"/runs/other/artifacts/{digests['map.svg']}").status_code == 404
    assert stage.browser.get("/runs/noop-a/artifacts/..%2f..%2fsecret").status_code == 404


def test_pages_of_runs_speak_spanish(stage: Stage) -> None:
    stage.write(put_failed)
    stage.login()
    stage.browser.headers["accept-language"] = "es"
    assert "Los pasos, en un grafo" in stage.browser.get("/runs/noop-f").text
    assert "Retomar la ejecución desde aquí" in stage.browser.get("/runs/noop-f/step?key=b").text
    assert "Buscar una ejecución" in stage.browser.get("/runs").text
    assert "Nada te espera." in stage.browser.get("/approvals").text
    assert "Presupuestos" in stage.browser.get("/ledger").text
