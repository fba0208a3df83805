"""The flow, pass after pass, with the real handlers and models that are played."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from master.approvals.records import ApprovalState, ApprovalType
from master.clients.flow import Params, deliver
from master.clients.states import ClientState
from master.clients.store import Client, add_client, get_client
from master.clients.watch import take_pending
from master.flows import StepFailed
from master.store import Database
from tasks import client_build, client_review, client_write
from tasks.client_brief import Brief
from tasks.client_review import Check, CheckName
from tasks.record import Record
from tests.unit.clients.fakes import FakeFleet, FakeModels, decided

APPROVED, REJECTED = ApprovalState.APPROVED, ApprovalState.REJECTED


class Office:
    """One client in progress, ready for its flow."""

    def __init__(self, database: Database, brief: Brief, now: datetime.datetime, output: Path) -> None:
        self.database, self.output = database, output
        with database.write() as connection:
            self.id = add_client(connection, brief, now).client.id
            take_pending(connection, lambda *_, **__: "run-1", now=now)

    def fleet(self, *decisions: Any, **more: Any) -> FakeFleet:
        return FakeFleet(self.database, self.output, decisions=decisions, **more)

    def run(self, fleet: FakeFleet) -> dict[str, Any] | None:
        return fleet.run(deliver, Params(client_id=self.id))

    @property
    def client(self) -> Client:
        with self.database.read() as connection:
            return get_client(connection, self.id)

    @property
    def files(self) -> set[str]:
        root = self.output / self.id
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}

    def text(self, path: str) -> str:
        return (self.output / self.id / path).read_text(encoding="utf-8")


@pytest.fixture
def office(database: Database, any_brief: Brief, now: datetime.datetime, tmp_path: Path) -> Office:
    return Office(database, any_brief, now, tmp_path / "output")


def failing_review(times: int, name: CheckName) -> Callable[[str, Record], Any]:
    """The first reviews fail in this check; later ones are the real reviewer's."""
    left = [times]

    def broken(key: str, _request: Record) -> Any:
        if key.startswith("quality:reviewer") and left[0]:
            left[0] -= 1
            return client_review.Result(
                checks=(Check(name=name, passed=False, detail="index.html is wrong"),)
            )
        return None

    return broken


def test_ten_tasks_in_five_phases_by_eight_roles_make_a_draft_that_waits(office: Office) -> None:
    fleet = office.fleet()
    assert office.run(fleet) is None
    assert len(fleet.tasks) == 10
    phases = [key.split(":")[0] for key in fleet.tasks]
    assert {phase: phases.count(phase) for phase in phases} == {
        "discovery": 2, "strategy": 2, "design": 2, "build": 2, "quality": 2,
    }  # fmt: skip
    assert len({key.split(":")[1] for key in fleet.tasks}) == 8
    (question,) = fleet.questions.values()
    assert question.type is ApprovalType.CONTENT_APPROVAL
    assert question.evidence["folder"] == str(office.output / office.id)
    assert office.client.state is ClientState.IN_PROGRESS
    assert office.client.note == "draft 1 waits for your approval"
    assert {"draft/index.html", "executive-summary.md", "quality-report.md", "log.md"} <= office.files
    assert not any(path.startswith("site/") for path in office.files)


def test_independent_steps_are_asked_for_together(office: Office) -> None:
    asked: list[set[str]] = []

    class Watched(FakeFleet):
        def _work(self, one_pass: Any) -> bool:
            asked.append({key.split(":")[1] for key in one_pass.wanted})
            return super()._work(one_pass)

    office.run(Watched(office.database, office.output))
    for together in ({"analyst", "researcher"}, {"strategist", "architect"}, {"designer", "copywriter"},
                     {"reviewer", "strategist"}):  # fmt: skip
        assert together in asked


def test_approval_publishes_the_site_and_completes_the_project(office: Office) -> None:
    fleet = office.fleet(decided(APPROVED))
    assert office.run(fleet) == {
        "client": office.id, "state": "completed", "folder": str(office.output / office.id),
    }  # fmt: skip
    assert office.client.state is ClientState.COMPLETED
    assert office.client.folder == str(office.output / office.id)
    assert {"site/index.html", "site/style.css", "site/img/logo.svg", "site/404.html"} <= office.files
    assert not any(path.startswith("draft/") for path in office.files)
    assert json.loads(office.text("quality-report.json"))["passed"] is True
    assert "approved by ana" in office.text("log.md")
    # Run again from the top, as after a crash: nothing is done twice and nothing changes.
    before = {path: office.text(path) for path in office.files}
    assert office.run(fleet) is not None
    assert before == {path: office.text(path) for path in office.files}
    assert set(fleet.acts.values()) == {1}


def test_a_rejected_draft_is_made_again_once_and_differently(office: Office) -> None:
    fleet = office.fleet(decided(REJECTED, "The colors are too dull"), decided(APPROVED))
    result = office.run(fleet)
    assert result is not None
    assert result["state"] == "completed"
    looks = [request for key, request in fleet.requests.items() if key.startswith("build:developer")]
    assert len(looks) == 2
    first, second = (look for look in looks if isinstance(look, client_build.Request))
    assert first.look.palette != second.look.palette
    assert first.texts == second.texts
    assert "too dull" in fleet.questions["approval:2"].tried
    assert "The colors are too dull" in "".join(fleet.models.prompts)
    assert "design:copywriter:words:v2" not in fleet.tasks
    assert "The colors are too dull" in office.text("log.md")


def test_a_reason_about_the_words_changes_the_words_and_keeps_the_look(office: Office) -> None:
    fleet = office.fleet(decided(REJECTED, "No me gustan los textos"), decided(APPROVED))
    office.run(fleet)
    requests = [r for r in fleet.requests.values() if isinstance(r, client_build.Request)]
    assert requests[0].look == requests[1].look
    changed = [name for name in requests[0].texts if requests[0].texts[name] != requests[1].texts[name]]
    assert len(changed) >= 6


def test_a_reason_about_the_order_brings_a_new_plan_and_words_that_fit_it(office: Office) -> None:
    fleet = office.fleet(decided(REJECTED, "Cambia el orden de las secciones"), decided(APPROVED))
    office.run(fleet)
    requests = [r for r in fleet.requests.values() if isinstance(r, client_build.Request)]
    assert requests[0].sections != requests[1].sections
    assert "design:copywriter:words:v2" in fleet.tasks
    assert requests[0].look == requests[1].look


def test_a_second_rejection_fails_the_project_with_the_reason(office: Office) -> None:
    fleet = office.fleet(decided(REJECTED, "dull"), decided(REJECTED, "still dull"))
    result = office.run(fleet)
    assert result is not None
    assert (result["state"], result["reason"]) == ("failed", "rejected 2 times; the last reason: still dull")
    assert office.client.state is ClientState.FAILED
    assert "still dull" in office.client.note
    assert not any(path.startswith("site/") for path in office.files)


def test_silence_never_publishes(office: Office) -> None:
    result = office.run(office.fleet(decided(ApprovalState.EXPIRED)))
    assert result is not None
    assert result["reason"] == "the request to approve draft 1 expired"
    assert office.client.state is ClientState.FAILED
    assert not any(path.startswith("site/") for path in office.files)


def test_a_failed_review_is_sent_back_once_by_itself_with_safe_words(office: Office) -> None:
    fleet = office.fleet(decided(APPROVED), broken=failing_review(1, CheckName.NUMBERS))
    result = office.run(fleet)
    assert result is not None
    assert result["state"] == "completed"
    again = fleet.requests["design:copywriter:words:v2"]
    assert isinstance(again, client_write.Request)
    assert again.samples == 0
    assert "facts.numbers" in office.text("quality-report.md")


def test_a_review_that_fails_twice_fails_the_project_without_asking(office: Office) -> None:
    fleet = office.fleet(decided(APPROVED), broken=failing_review(2, CheckName.CONTRAST))
    result = office.run(fleet)
    assert result is not None
    assert "accessibility.contrast: index.html is wrong" in result["reason"]
    assert not fleet.questions
    assert office.client.state is ClientState.FAILED
    # What was made stays, for whoever wants to know why.
    assert "draft/index.html" in office.files


def test_a_step_that_fails_for_good_fails_the_client_and_the_run(office: Office) -> None:
    def broken(key: str, _request: Record) -> Any:
        return StepFailed(key, "no worker could") if key.startswith("build:developer") else None

    with pytest.raises(StepFailed, match="no worker could"):
        office.run(office.fleet(broken=broken))
    assert office.client.state is ClientState.FAILED
    assert "no worker could" in office.client.note


def test_a_hostile_site_artifact_is_refused_and_nothing_is_written(office: Office) -> None:
    fleet = office.fleet(decided(APPROVED))

    def swap(key: str, _request: Record) -> Any:
        if key.startswith("quality:reviewer"):
            for digest, data in fleet.artifacts.items():
                if data.startswith(b"PK"):
                    fleet.artifacts[digest] = b"PK not a zip"
            return client_review.Result(checks=())
        return None

    fleet._broken = swap
    with pytest.raises(Exception, match="nothing was written"):
        office.run(fleet)
    assert office.files == set()
    assert office.client.state is ClientState.FAILED


def test_what_a_model_writes_is_used_when_it_passes_the_fact_check_and_logged_when_not(
    database: Database, brief: Brief, now: datetime.datetime, tmp_path: Path
) -> None:
    office = Office(database, brief, now, tmp_path / "output")
    good = "En La Espiga amasamos a mano con harinas de trigo y centeno."
    models = FakeModels(prefer=-1, writes=[good, "Somos la mejor panadería de Madrid desde 1871."])
    result = office.run(office.fleet(decided(APPROVED), models=models))
    assert result is not None
    assert result["state"] == "completed"
    assert good in office.text("site/index.html")
    assert "1871" not in "".join(office.text(path) for path in office.files if path.startswith("site/"))
    assert "written by the model and past the fact check: hero.lead" in office.text("log.md")
    assert "1871" in office.text("log.md")
