"""The clients' pages: the board, a project, its brief; and a site that is shown and never trusted."""

from __future__ import annotations

import io
import json
import re
import stat
import zipfile

import pytest
from sqlalchemy import insert, select, update

from master.approvals import ApprovalType, Policy, Question, create_approval, get_approval
from master.clients.states import ClientState
from master.clients.store import get_client, list_clients, move_client
from master.clients.tables import clients
from master.clock import utc_now
from master.store.tables import runs, steps
from tasks.files import ROOT
from tests.integration.web.evolving import put_artifact
from tests.integration.web.stage import HOSTILE, Stage

BRIEF = (ROOT / "examples" / "brief.yaml").read_text(encoding="utf-8")
EVIL = b"<!doctype html><script>fetch('/api/runs')</script><link rel=stylesheet href=style.css><h1>Pan</h1>"
REVIEW = {"checks": [{"name": "facts.numbers", "passed": False, "detail": HOSTILE}]}


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            # As a worker packs it: a regular file.
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, data)
    return out.getvalue()


def add(stage: Stage, text: str = BRIEF, **fields: str) -> str:
    answer = stage.browser.post(
        "/clients/add", data={"brief": text, **fields}, files={"x": ("", b"")}, follow_redirects=False
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].rpartition("/")[2]


def put_step(stage: Stage, run_id: str, key: str, result: object, state: str = "done") -> int:
    now = utc_now()
    values = {"run_id": run_id, "key": key, "kind": "task", "task": "client.build", "state": state}
    row = {**values, "result": json.dumps(result), "created_at": now, "claimed_at": now, "finished_at": now}
    return stage.write(lambda c: c.execute(insert(steps).values(**row).returning(steps.c.id)).scalar_one())


def put_site(stage: Stage, client_id: str, number: int, files: dict[str, bytes]) -> str:
    """A built and reviewed version; returns the site's digest."""
    run_id = stage.read(lambda c: get_client(c, client_id)).run_id
    digest = put_artifact(stage, zipped(files), f"site-{number}.zip", run_id, "application/zip")
    built = {
        "site_sha256": digest,
        "files": [{"path": name, "bytes": len(data)} for name, data in files.items()],
    }
    put_step(stage, run_id, f"build:developer:site:b{number}", built)
    put_step(stage, run_id, f"quality:reviewer:review:b{number}", REVIEW)
    return digest


def ask(stage: Stage, client_id: str, site: str) -> str:
    run_id = stage.read(lambda c: get_client(c, client_id)).run_id
    step_id = put_step(stage, run_id, "approval:1", None, "waiting")
    question = Question(
        type=ApprovalType.CONTENT_APPROVAL,
        title="Publish it?",
        reason="It is ready.",
        evidence={"site": site},
    )
    return stage.write(
        lambda c: create_approval(
            c, question, run_id=run_id, step_id=step_id, step_key="approval:1", policy=Policy(), now=utc_now()
        )
    )


def test_a_brief_is_looked_at_before_a_project_starts(stage: Stage) -> None:
    stage.login()
    answer = stage.browser.post("/clients/check", files={"file": ("brief.yaml", BRIEF.encode())})
    assert answer.status_code == 200
    assert "Hogaza de masa madre" in answer.text
    assert "4.80 EUR" in answer.text
    assert stage.read(list_clients) == []
    client = stage.read(lambda c: get_client(c, add(stage)))
    assert (client.name, client.state) == ("Panadería La Espiga", ClientState.IN_PROGRESS)
    assert add(stage) == client.id, "the same brief is one project"
    assert add(stage, again="yes") != client.id


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"name: Taller\ncity: 7\n", "sector: is missing"),
        (b"name: [", "this is not YAML"),
        (b"\xff\xfe\x00", "UTF-16"),
        (b"name: \xe9\n", "is not UTF-8"),
        (b"", "is empty"),
        (BRIEF.replace("Panadería La Espiga", json.dumps(HOSTILE), 1).encode(), "looks like markup"),
    ],
)
def test_a_brief_that_is_wrong_is_told_with_its_line_and_stays_to_be_corrected(
    stage: Stage, data: bytes, told: str
) -> None:
    stage.login()
    answer = stage.browser.post("/clients/check", files={"file": ("mine.yaml", data)})
    assert answer.status_code == 422
    assert told in answer.text
    assert "<script>alert" not in answer.text
    assert "/clients/add" not in answer.text
    assert stage.read(list_clients) == []


def test_the_board_has_each_project_in_its_column_and_marks_what_waits(stage: Stage) -> None:
    stage.login()
    ids = [add(stage, BRIEF.replace("Panadería La Espiga", f"Taller {name}")) for name in "ABCD"]
    run_id = stage.read(lambda c: get_client(c, ids[0])).run_id
    put_step(stage, run_id, "design:designer:look:v1", None, "running")
    ask(stage, ids[1], put_site(stage, ids[1], 1, {"index.html": b"x"}))
    with stage.database.write() as connection:
        move_client(connection, ids[2], ClientState.COMPLETED, utc_now(), note="approved", folder="/out")
        move_client(connection, ids[3], ClientState.FAILED, utc_now(), note=HOSTILE)
    text = stage.browser.get("/clients").text
    columns = dict(re.findall(r'<h2 id="stage-(\w+)">(.*?)</section>', text, re.S))
    placed = {stage_: re.findall(r"Taller [A-D]", html) for stage_, html in columns.items()}
    assert {stage_: found for stage_, found in placed.items() if found} == {
        "design": ["Taller A"],
        "decision": ["Taller B"],
        "delivered": ["Taller C"],
        "failed": ["Taller D"],
    }
    assert "waits for you" in columns["decision"]
    assert "<script>alert" not in text


def test_a_project_shows_its_versions_its_brief_and_the_question_that_it_waits_for(stage: Stage) -> None:
    stage.login()
    client_id = add(stage)
    put_site(stage, client_id, 1, {"index.html": b"first"})
    approval_id = ask(stage, client_id, put_site(stage, client_id, 2, {"index.html": b"second"}))
    text = stage.browser.get(f"/clients/{client_id}").text
    assert "The site, version 2" in text
    assert "Version 1" in text
    assert "0 of 1 checks passed" in text
    assert "<script>alert" not in text
    assert "The site, version 1" in stage.browser.get(f"/clients/{client_id}?version=1").text
    assert stage.browser.get(f"/clients/{client_id}?version=7").status_code == 404
    form = stage.decision(approval_id, decision="reject", note="darker", back=f"client:{client_id}")
    answer = stage.browser.post(f"/approvals/{approval_id}/decision", data=form, follow_redirects=False)
    assert answer.headers["location"] == f"/clients/{client_id}"
    assert stage.read(lambda c: get_approval(c, approval_id)).note == "darker"


def frame_of(stage: Stage, client_id: str) -> tuple[str, str]:
    """The frame's tag, and its address without the page."""
    text = stage.browser.get(f"/clients/{client_id}").text
    tag = re.findall(r"<iframe[^>]*>", text)[0]
    return tag, re.findall(r'src="([^"]*)/index.html"', tag)[0]


def test_a_site_is_shown_in_a_frame_that_has_no_rights(stage: Stage) -> None:
    stage.login()
    client_id = add(stage)
    put_site(
        stage,
        client_id,
        1,
        {"index.html": EVIL, "style.css": b"h1{}", "img/logo.svg": b"<svg/>", "x.bin": b"?"},
    )
    tag, address = frame_of(stage, client_id)
    assert " sandbox " in tag
    assert "allow-" not in tag
    # A sandboxed page is a stranger: the browser sends no cookie for what it loads.
    stage.browser.cookies.clear()
    types = {}
    for path in ("index.html", "style.css", "img/logo.svg", "x.bin"):
        answer = stage.browser.get(f"{address}/{path}")
        assert answer.status_code == 200
        types[path] = answer.headers["content-type"].partition(";")[0]
        policy = [part.strip() for part in answer.headers["content-security-policy"].split(";")]
        assert "sandbox" in policy, "without any allow-..."
        assert "default-src 'none'" in policy
        assert "form-action 'none'" in policy
        assert "frame-ancestors 'self'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in answer.headers
    assert types == {
        "index.html": "text/html",
        "style.css": "text/css",
        "img/logo.svg": "image/svg+xml",
        "x.bin": "application/octet-stream",
    }
    assert stage.browser.get(f"{address}/index.html").content == EVIL


@pytest.mark.parametrize(
    "path",
    [
        "../../../d8.sqlite3",
        "..%2f..%2fd8.sqlite3",
        "/etc/passwd",
        "%2e%2e/secrets/owner.token",
        "index.html/",
        ".",
    ],
)
def test_no_path_leads_out_of_a_site(stage: Stage, path: str) -> None:
    stage.login()
    client_id = add(stage)
    put_site(stage, client_id, 1, {"index.html": EVIL})
    _, address = frame_of(stage, client_id)
    stage.browser.cookies.clear()
    answer = stage.browser.get(f"{address}/{path}", follow_redirects=False)
    assert answer.status_code in (303, 307, 404)
    assert b"SQLite" not in answer.content
    assert b"root:" not in answer.content


def test_a_ticket_opens_one_site_and_no_other(stage: Stage) -> None:
    stage.login()
    client_id = add(stage)
    put_site(stage, client_id, 1, {"index.html": b"one"})
    other = put_artifact(stage, zipped({"index.html": b"other"}), "other.zip")
    _, address = frame_of(stage, client_id)
    ends, site, mac = address.rpartition("/")[2].split("-")
    stage.browser.cookies.clear()
    for ticket in (
        f"{ends}-{other}-{mac}",
        f"{ends}0-{site}-{mac}",
        f"{ends}-{site}-{mac[:-1]}x",
        f"{ends}-{site}-",
        f"{ends}-{site}",
        "x",
        f"zz-{site}-{mac}",
    ):
        assert stage.browser.get(f"/sites/{ticket}/index.html").status_code == 404, ticket
    assert stage.browser.get(f"{address}/index.html").text == "one"


def test_a_site_that_is_no_plain_zip_is_refused_in_words(stage: Stage) -> None:
    stage.login()
    client_id = add(stage)
    put_site(stage, client_id, 1, {"../evil.html": EVIL, "index.html": EVIL})
    _, address = frame_of(stage, client_id)
    answer = stage.browser.get(f"{address}/index.html")
    assert answer.status_code == 404
    assert "not a plain relative path" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_version_is_downloaded_by_its_owner_alone(stage: Stage) -> None:
    stage.login()
    client_id = add(stage)
    put_site(stage, client_id, 1, {"index.html": b"one"})
    answer = stage.browser.get(f"/clients/{client_id}/site-1.zip")
    assert zipfile.ZipFile(io.BytesIO(answer.content)).read("index.html") == b"one"
    assert answer.headers["content-disposition"] == f'attachment; filename="{client_id}-1.zip"'
    assert stage.browser.get(f"/clients/{client_id}/site-2.zip").status_code == 404
    stage.browser.cookies.clear()
    assert stage.browser.get(f"/clients/{client_id}/site-1.zip", follow_redirects=False).status_code == 303


def test_delivering_again_makes_a_new_project_of_the_same_brief(stage: Stage) -> None:
    stage.login()
    client_id = add(stage)
    stage.write(lambda c: move_client(c, client_id, ClientState.FAILED, utc_now(), note="no"))
    answer = stage.browser.post(f"/clients/{client_id}/again", follow_redirects=False)
    again = stage.read(lambda c: get_client(c, answer.headers["location"].rpartition("/")[2]))
    assert (again.name, again.ordinal, again.state) == ("Panadería La Espiga", 2, ClientState.IN_PROGRESS)
    assert stage.read(lambda c: c.execute(select(runs.c.flow)).scalars().all()) == ["client", "client"]


def test_papers_of_a_project_are_shown_as_text(stage: Stage) -> None:
    stage.login()
    client_id = add(stage)
    folder = stage.home / "output" / client_id
    folder.mkdir(parents=True)
    (folder / "executive-summary.md").write_text(f"# Summary {HOSTILE}")
    text = stage.browser.get(f"/clients/{client_id}").text
    assert "# Summary &lt;script&gt;" in text
    assert "<script>alert" not in text
    stage.write(lambda c: c.execute(update(clients).values(name=HOSTILE)))
    assert "<script>alert" not in stage.browser.get("/clients").text
    assert stage.browser.get("/clients/nobody").status_code == 404
