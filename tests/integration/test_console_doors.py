"""Tokens for programs, what they may read, and whether the master is alive and ready."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from master.api import metrics_routes
from master.cli import announce as announcing
from master.cli.doctor.examine import CHECKS
from master.cli.doctor.ground import ground_here
from master.settings import load_settings
from master.tokens import LOCAL_OWNER, Scope, create_token
from tests.integration.web.conftest import stage
from tests.integration.web.stage import Stage
from tests.support import ROOT, Valkey

__all__ = ["stage"]


def owner(stage: Stage) -> dict[str, str]:
    return bearer((stage.home / "secrets" / "owner.token").read_text().strip())


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def make(stage: Stage, **body: str) -> Any:
    return stage.browser.post("/api/tokens", json=body, headers=owner(stage))


def test_scrapers_token_reads_the_numbers_and_nothing_else(stage: Stage) -> None:
    token = make(stage, name="prometheus").json()["token"]
    scraper = bearer(token)
    for path in ("/metrics", "/metrics/models"):
        assert stage.browser.get(path).status_code == 401
        answer = stage.browser.get(path, headers=scraper)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        worker = stage.write(lambda c: create_token(c, Scope.WORKER, "w", now=datetime.now(UTC)))
        assert stage.browser.get(path, headers=bearer(worker)).status_code == 409
    assert 'd8_steps{state="ready"} 0.0' in stage.browser.get("/metrics", headers=scraper).text
    for path in ("/api/status", "/api/tokens", "/api/ledger/balance", "/api/workers"):
        assert stage.browser.get(path, headers=scraper).status_code == 409, path
    assert stage.browser.post("/api/tokens", json={"name": "x"}, headers=scraper).status_code == 409
    stage.browser.cookies.set("d8_session", token)
    assert stage.browser.get("/", follow_redirects=False).status_code != 200


def test_token_is_shown_once_listed_without_itself_and_worth_nothing_once_revoked(stage: Stage) -> None:
    token = make(stage, name="grafana").json()["token"]
    listed = stage.browser.get("/api/tokens", headers=owner(stage))
    assert token not in listed.text
    assert [(known["name"], known["scope"]) for known in listed.json()["items"]] == [
        (LOCAL_OWNER, "owner"), ("grafana", "metrics")
    ]  # fmt: skip
    assert stage.browser.get("/metrics", headers=bearer(token)).status_code == 200
    gone = stage.browser.delete("/api/tokens/grafana", headers=owner(stage))
    assert gone.json() == {"name": "grafana", "revoked": 1}
    assert stage.browser.get("/metrics", headers=bearer(token)).status_code == 401
    assert stage.browser.delete("/api/tokens/grafana", headers=owner(stage)).status_code == 404


@pytest.mark.parametrize("name", ["dashboard", LOCAL_OWNER, "taken"])
def test_name_that_is_taken_or_the_masters_own_makes_no_token(stage: Stage, name: str) -> None:
    make(stage, name="taken")
    assert make(stage, name=name).status_code == 409


def test_own_token_of_the_machine_is_not_revoked_by_mistake(stage: Stage) -> None:
    answer = stage.browser.delete(f"/api/tokens/{LOCAL_OWNER}", headers=owner(stage))
    assert answer.status_code == 409
    assert "d8 admin reset" in answer.json()["detail"]


@pytest.mark.parametrize("body", [{"name": "x", "scope": "worker"}, {"name": "No Good"}, {}])
def test_token_that_cannot_be_is_refused_as_input(stage: Stage, body: dict[str, str]) -> None:
    assert make(stage, **body).status_code == 422


def d8(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "master.cli", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_reset_ends_every_owner_token_and_session_but_no_workers(stage: Stage) -> None:
    stage.login()
    before = owner(stage)
    worker = (stage.home / "secrets" / "worker.token").read_text().strip()
    scraper = make(stage, name="prometheus").json()["token"]
    make(stage, name="script", scope="owner")
    assert d8("admin", "reset").returncode == 2, "nobody can be asked"
    done = d8("admin", "reset", "--yes")
    assert done.returncode == 0, done.stderr
    after = owner(stage)
    assert after != before
    assert ((stage.home / "secrets" / "owner.token").stat().st_mode & 0o777) == 0o600
    stage.browser.app.state.gatekeeper.forget()  # type: ignore[attr-defined]
    assert stage.browser.get("/", follow_redirects=False).headers["location"] == "/login"
    stage.browser.cookies.clear()
    assert stage.browser.get("/api/status", headers=before).status_code == 401
    listed = stage.browser.get("/api/tokens", headers=after).json()["items"]
    assert [known["name"] for known in listed] == ["prometheus", LOCAL_OWNER]
    assert stage.browser.get("/metrics", headers=bearer(scraper)).status_code == 200
    assert stage.browser.get("/api/status", headers=bearer(worker)).status_code == 409, "known still"


def test_reset_without_a_master_changes_nothing(d8_home: Path) -> None:
    done = d8("admin", "reset", "--yes")
    assert done.returncode == 5
    assert not (d8_home / "secrets").exists()


def test_alive_without_a_broker_ready_with_one(
    stage: Stage, own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_routes, "_BROKER_REMEMBERED_S", 0.0)
    client: TestClient = stage.browser
    assert client.get("/livez").json()["alive"] is True
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["broker"]) == (503, False)
    address = stage.home / "run" / "broker.url"
    address.write_text(own_valkey.url)
    assert client.get("/readyz").json()["ready"] is True
    address.write_text(own_valkey.url.replace(own_valkey.password, "wrong"))
    assert client.get("/readyz").status_code == 503, "it answers, but not to us"
    address.write_text(own_valkey.url)
    own_valkey.kill()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (503, True)
    assert own_valkey.password not in answer.text
    assert client.get("/livez").status_code == 200
    assert json.loads(client.get("/livez").text).keys() == {"alive", "build"}


def test_doctor_finds_a_broker_that_forgets_or_does_not_answer(d8_home: Path, own_valkey: Valkey) -> None:
    settings = load_settings()
    ground = ground_here(settings)

    def levels() -> list[str | None]:
        found = [CHECKS[name](ground) for name in ("broker", "broker settings")]
        assert all(own_valkey.password not in one.found for one in found if one)
        return [one.level if one else None for one in found]

    assert levels() == ["warning", None]
    settings.run_folder.mkdir()
    (settings.run_folder / "broker.url").write_text(own_valkey.url)
    assert levels() == ["ok", "ok"]
    (settings.run_folder / "broker.url").write_text(own_valkey.url.replace(own_valkey.password, "wrong"))
    assert levels() == ["missing", None]
    (settings.run_folder / "broker.url").write_text(own_valkey.url)
    with own_valkey.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    assert levels() == ["ok", "warning"]
    own_valkey.kill()
    assert levels() == ["missing", None]


def test_doctor_as_a_command_is_quick_and_says_all_of_it(d8_home: Path) -> None:
    began = time.monotonic()
    done = d8("doctor", "--json")
    assert time.monotonic() - began < 15, "5 s on a quiet machine"
    assert done.returncode == 3
    assert len(json.loads(done.stdout)) >= 15
    assert set(json.loads(done.stdout)[0]) == {"check", "level", "found", "remedy"}


def test_the_name_dashboard_ends_every_session(stage: Stage) -> None:
    stage.login()
    gone = stage.browser.delete("/api/tokens/dashboard", headers=owner(stage))
    assert gone.json() == {"name": "dashboard", "revoked": 1}
    assert stage.browser.get("/", follow_redirects=False).status_code == 303


def test_a_new_fleet_is_announced_with_the_link_to_become_its_owner(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Called:
        """The API as the command line calls it, answered by the application here."""

        url = "http://master:7500"

        def items(self, path: str, *, most: int | None = None) -> Any:
            return stage.browser.get(path, params={"limit": most or 100}, headers=owner(stage)).json()[
                "items"
            ]

        def post(self, path: str) -> Any:
            return stage.browser.post(path, headers=owner(stage)).json()

    monkeypatch.setattr(announcing, "connect", Called)
    announcing.announce(flower=False)
    said = "".join(capsys.readouterr().err.split("\n"))
    link = re.search(r"http://master:7500(/welcome\?code=[0-9A-Z-]{23})", said)
    assert link, said
    assert "no owner yet" in said
    assert link[1].partition("=")[2] in stage.browser.get(link[1]).text
    form = {"code": link[1].partition("=")[2], "name": "ana", "password": "four words are good"}
    origin = {"origin": "http://testserver"}
    stage.browser.post("/welcome", data={**form, "again": form["password"]}, headers=origin)
    announcing.announce(flower=False)
    said = capsys.readouterr().err
    assert "welcome" not in said
    assert "d8 dashboard" in said
