"""The list of runs and the page of one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, insert, select

from master.approvals import ApprovalState, get_approval
from master.store.artifacts import ArtifactFolder, record_artifact
from master.store.tables import events, steps
from tests.integration.web.stage import Stage

CHART = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


def test_run_shows_its_parts_and_its_pictures(stage: Stage) -> None:
    folder = ArtifactFolder(stage.home / "artifacts")
    digest = folder.write(CHART)
    now = datetime.now(UTC)

    def put(connection: Connection) -> None:
        stage.put_run(
            connection,
            "r-1",
            "done",
            note="better: 0.86",
            finished_at=now,
            result={"best_score": 0.86, "report": digest},
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
