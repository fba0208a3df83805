"""Darwin's pages over a real evolution's rows."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from master.clock import utc_now
from master.darwin.promote import put_in_use
from master.darwin.promotion import promotions_of
from master.darwin.records import find_stop
from master.darwin.tables import candidates
from master.flows.runs import get_run
from master.store.tables import runs
from tests.integration.web.evolving import RUN, put_evolution
from tests.integration.web.stage import HOSTILE, Stage

GOOD = "text,label\n" + "".join(
    f"message number {at} about it,{('hours', 'refund', 'price')[at % 3]}\n" for at in range(60)
)
RESULT = {
    "name": "mail",
    "verdict": {"better": True, "text": "Better: it is."},
    "held_out": {
        "examples": 63, "test": "mcnemar", "p_value": 0.01, "gain": 0.1, "gain_low": 0.02, "gain_high": 0.2,
        "only_best": 9, "only_seed": 2,
        "seed": {"score": 0.5, "low": 0.4, "high": 0.6, "interval": "wilson"},
        "best": {"score": 0.6, "low": 0.5, "high": 0.7, "interval": "wilson"},
    },
    "best": {"id": "c7", "prompt": HOSTILE, "score": 0.6},
    "cost": {"tokens": 1234, "micros": 2_500_000},
    "artifacts": {"agent.json": "a" * 64},
}  # fmt: skip


def test_an_evolution_is_shown_with_its_course_its_race_and_its_family(stage: Stage) -> None:
    best = put_evolution(stage)
    stage.login()
    text = stage.browser.get(f"/darwin/{RUN}").text
    assert "120<small> / 240</small>" in text
    assert text.count('<circle class="dot') == 120
    assert f"Where c{best} comes from" in text
    assert re.search(r"candidates raced over 3 blocks of examples", text)
    assert "1.20 €" in text
    assert "style=" not in text


def test_a_chosen_ancestor_is_compared_with_its_own_parents(stage: Stage) -> None:
    put_evolution(stage)
    stage.login()
    query = select(candidates.c.number, candidates.c.parents).where(candidates.c.parents != "[]")
    child, parents = stage.read(lambda c: c.execute(query.order_by(candidates.c.number)).all())[0]
    text = stage.browser.get(f"/darwin/{RUN}?of=c{child}&at=c{child}").text
    assert f"What c{child} changed" in text
    for parent in re.findall(r"\d+", parents):
        assert f"compared with c{parent}" in text
    assert "<ins>" in text
    assert stage.browser.get(f"/darwin/{RUN}?of=c99999").status_code == 404
    assert stage.browser.get(f"/darwin/{RUN}?of=x").status_code == 422


def test_a_long_evolution_is_drawn_from_a_bounded_sample(stage: Stage) -> None:
    put_evolution(stage, 700)
    stage.login()
    text = stage.browser.get(f"/darwin/{RUN}").text
    assert 350 < text.count('<circle class="dot') <= 400
    assert len(text) < 120_000


def test_the_reader_chooses_which_two_values_are_compared(stage: Stage) -> None:
    put_evolution(stage)
    stage.login()
    chosen = stage.browser.get(f"/darwin/{RUN}?x=tokens&y=score").text.split('id="front"')[1]
    assert "tokens per example, less is better →" in chosen
    assert stage.browser.get(f"/darwin/{RUN}?x=nonsense&y=score").status_code == 200


def test_the_held_out_result_is_said_with_its_interval_and_markup_in_it_is_inert(stage: Stage) -> None:
    put_evolution(stage, state="done")
    stage.write(lambda c: c.execute(runs.update().where(runs.c.id == RUN).values(result=RESULT)))
    stage.login()
    text = stage.browser.get(f"/darwin/{RUN}").text
    assert "Better: it is." in text
    assert "50.0 % – 70.0 %" in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text
    listed = stage.browser.get("/darwin").text
    assert "60.0 %" in listed
    assert "2.50 €" in listed


def test_stop_is_recorded_once_and_by_whom(stage: Stage) -> None:
    put_evolution(stage)
    stage.login()
    for _ in range(2):
        answer = stage.browser.post(f"/darwin/{RUN}/stop", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/darwin/{RUN}")
    assert stage.read(lambda c: find_stop(c, RUN)) == "dashboard"
    stage.write(lambda c: stage.put_run(c, "client-xyz", "running"))
    assert stage.browser.post("/darwin/client-xyz/stop").status_code == 404
    assert stage.browser.post(f"/darwin/{RUN}/dance").status_code == 404


def test_an_evolution_that_ended_goes_on_as_a_new_run_and_one_that_runs_does_not(stage: Stage) -> None:
    put_evolution(stage, state="running")
    stage.login()
    assert stage.browser.post(f"/darwin/{RUN}/resume").status_code == 409
    stage.write(
        lambda c: c.execute(runs.update().where(runs.c.id == RUN).values(state="done", result=RESULT))
    )
    answer = stage.browser.post(f"/darwin/{RUN}/resume", data={"evals": "500"}, follow_redirects=False)
    again = stage.read(lambda c: get_run(c, answer.headers["location"].rpartition("/")[2]))
    assert again.params["resumes"] == RUN
    assert again.params["budget"]["evals"] == 500
    assert stage.browser.post(f"/darwin/{RUN}/resume", data={"evals": "many"}).status_code == 422


def test_putting_the_best_in_use_asks_first_and_only_once_at_a_time(stage: Stage) -> None:
    put_evolution(stage, state="done")
    stage.write(lambda c: c.execute(runs.update().where(runs.c.id == RUN).values(result=RESULT)))
    stage.login()
    assert "Put its best in use" in stage.browser.get(f"/darwin/{RUN}").text
    first = stage.browser.post(f"/darwin/{RUN}/promote", data={"name": "mail-sorter"}, follow_redirects=False)
    assert first.status_code == 303
    (asked,) = stage.read(lambda c: promotions_of(c, RUN))
    assert (asked["name"], asked["state"]) == ("mail-sorter", "running")
    assert stage.browser.post(f"/darwin/{RUN}/promote", data={"name": "other"}).status_code == 409
    assert stage.browser.post(f"/darwin/{RUN}/promote", data={"name": "Not A Name"}).status_code in (409, 422)
    assert "Put its best in use" not in stage.browser.get(f"/darwin/{RUN}").text


def test_agents_in_use_are_listed_with_where_they_come_from(stage: Stage) -> None:
    now = utc_now()
    for run_id, score in ((RUN, 0.5), ("darwin-second", 0.75)):
        with stage.database.write() as connection:
            put_in_use(
                connection,
                name="mail-sorter",
                run_id=run_id,
                artifact="b" * 64,
                score=score,
                by="ana",
                now=now,
            )
    stage.login()
    text = stage.browser.get("/darwin").text
    assert text.index("version 2") < text.index("version 1")
    assert "75.0 %" in text
    assert "/darwin/darwin-second" in text


def check(stage: Stage, name: str, data: bytes, task: str = "classify") -> str:
    answer = stage.browser.post(
        "/darwin/check", files={"file": (name, data)}, data={"task": task}, follow_redirects=False
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_a_file_is_looked_at_before_anything_starts_and_then_starts_one_run(stage: Stage) -> None:
    stage.login()
    address = check(stage, "../../mail.csv", GOOD.encode())
    assert parse_qs(urlsplit(address).query)["name"] == ["mail.csv"]
    text = stage.browser.get(address).text
    assert "message number 0 about it" in text
    assert stage.read(lambda c: c.execute(select(runs)).all()) == []

    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))
    form |= {
        "evals": "40",
        "eur": "1,50",
        "population": "6",
        "metric": "accuracy",
        "until": "2099-01-01T07:00",
    }
    answers = [stage.browser.post("/darwin/start", data=form, follow_redirects=False) for _ in range(2)]
    assert answers[0].headers["location"] == answers[1].headers["location"], "sent twice, started once"
    (run,) = stage.read(lambda c: c.execute(select(runs)).all())
    assert run.params["budget"]["evals"] == 40
    assert run.params["budget"]["micros"] == 1_500_000
    assert run.params["filename"] == "mail.csv"
    assert run.params["budget"]["until"].startswith("2099-01-01")


def test_wrong_lines_are_told_by_number_and_nothing_can_be_started(stage: Stage) -> None:
    stage.login()
    lines = GOOD.splitlines()
    lines[4] = ",hours"
    lines[9] = f"{HOSTILE},"
    text = stage.browser.get(check(stage, "mail.csv", "\n".join(lines).encode())).text
    assert "mail.csv:5:" in text
    assert "mail.csv:10:" in text
    assert "/darwin/start" not in text
    assert "<script>alert" not in text


def test_a_program_is_shown_and_started_in_its_own_way(stage: Stage) -> None:
    stage.login()
    program = b'GENOME = {"kind": "vector", "size": 4, "low": -1, "high": 1}\nGOALS = ["min"]\n'
    text = stage.browser.get(check(stage, "s.py", program + b"def evaluate(genome):\n    return 1\n")).text
    assert "4 numbers from -1 to 1" in text
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))
    answer = stage.browser.post("/darwin/start", data={**form, "trusted": "yes"}, follow_redirects=False)
    run = stage.read(lambda c: get_run(c, answer.headers["location"].rpartition("/")[2]))
    assert (run.flow, run.params["trusted"], run.params["repeatable"]) == ("darwin-environment", True, False)


@pytest.mark.parametrize(
    "fields", [{"evals": "-1"}, {"eur": "lots"}, {"until": "soon"}, {"engine": "cma"}, {"population": "1"}]
)
def test_a_form_that_makes_no_sense_starts_nothing(stage: Stage, fields: dict[str, str]) -> None:
    stage.login()
    text = stage.browser.get(check(stage, "mail.csv", GOOD.encode())).text
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))
    assert stage.browser.post("/darwin/start", data={**form, **fields}).status_code == 422
    assert stage.read(lambda c: c.execute(select(runs)).all()) == []


def test_a_file_that_is_too_large_is_refused_before_it_is_read(stage: Stage) -> None:
    stage.login()
    data = b"text,label\n" + b"x" * (21 * 2**20)
    answer = stage.browser.post("/darwin/check", files={"file": ("big.csv", data)})
    assert answer.status_code == 422
    assert "larger than 20 MiB" in answer.text
    assert stage.browser.post("/darwin/check", data={"task": "classify"}, files={}).status_code == 422
    assert stage.browser.get("/darwin/new?file=" + "0" * 64 + "&name=a.csv").status_code == 404


def test_pages_speak_spanish(stage: Stage) -> None:
    put_evolution(stage)
    stage.login()
    stage.browser.headers["accept-language"] = "es"
    assert "De dónde viene" not in stage.browser.get("/darwin").text
    assert "De dónde viene" in stage.browser.get(f"/darwin/{RUN}").text
    assert "Empezar una evolución" in stage.browser.get("/darwin").text
