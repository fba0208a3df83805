"""The niches' pages over studies that the real scoring has ranked."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select, update

from master.flows.runs import get_run
from master.niches.bounds import Interval
from master.niches.ranking import Niche, Ranked, rank_niches
from master.niches.report import MarketStudy, as_json, as_markdown
from master.niches.scoring import POINTS, Part, Score
from master.niches.tables import set_domain_state, store_niches
from master.store.tables import runs
from tasks.files import ROOT
from tests.integration.web.evolving import put_artifact
from tests.integration.web.stage import HOSTILE, Stage

RANGES = (ROOT / "examples" / "keywords-spain-ranges.csv").read_bytes()
RUN = "niche-bcdfgh"


def ranked(market: str, *niches: tuple[str, float, float]) -> tuple[Ranked, ...]:
    """(name, least and greatest score)."""
    made = []
    for at, (label, low, high) in enumerate(niches):
        parts = tuple(
            Part(
                name=name, of=of, points=Interval(low=0, middle=of / 2, high=of), reason=f"because of {name}"
            )
            for name, of in POINTS.items()
        )
        score = Score(
            total=Interval(low=low, middle=(low + high) / 2, high=high),
            parts=parts,
            demand=Interval(low=100, middle=1000.0 * (at + 1), high=100_000),
            competition=Interval(low=0.2, middle=0.4, high=0.6),
        )
        made.append(
            Niche(
                key=f"g{at}",
                market=market,
                label=label,
                keywords=(label, f"{label} x"),
                cohesion=0.5,
                score=score,
            )
        )
    return rank_niches(made)


def put_study(
    stage: Stage, found: dict[str, tuple[Ranked, ...]], run_id: str = RUN, *, age_days: int = 0
) -> None:
    studies = [
        MarketStudy(market=market, measured_in="spain", ranked=niches, keywords=40, merged=2, left_over=())
        for market, niches in found.items()
    ]
    export = put_artifact(stage, RANGES, "ranges.csv")
    params = {
        "exports": [{"name": "ranges.csv", "market": "", "digest": export}], "markets": list(found),
        "domain_from_score": 70.0, "max_keywords": 1500, "expires_s": 604_800, "judged_by_model": 6, "model": "",
        "embedding_model": "",
    }  # fmt: skip
    stage.write(lambda c: stage.put_run(c, run_id, "done", flow="niche", params=params))
    put_artifact(stage, as_json(studies, run_id), "niches.json", run_id)
    put_artifact(stage, as_markdown(studies, run_id), "niches.md", run_id)
    with stage.database.write() as connection:
        for niches in found.values():
            store_niches(connection, run_id, niches)
        then = datetime.now(UTC) - timedelta(days=age_days)
        connection.execute(update(runs).where(runs.c.id == run_id).values(created_at=then))


def test_a_study_is_shown_with_its_map_its_ranking_and_its_evidence(stage: Stage) -> None:
    put_study(stage, {"spain": ranked("spain", ("bread", 60, 80), ("cheese", 20, 40), ("yoga", 30, 90))})
    stage.login()
    text = stage.browser.get(f"/niches/{RUN}").text
    assert text.count('<a class="bubble') == 3
    assert text.count('class="whisker"') == 3
    assert 'aria-label="1 (1-2). bread: score 70 (60 – 80)"' in text
    assert "because of openness" in text
    assert "ranges.csv" in text
    assert "There was none of this market." in text
    assert "# Niche study" in text
    assert "style=" not in text
    second = stage.browser.get(f"/niches/{RUN}?niche=g1&x=openness&y=score").text
    assert re.search(r'<h2 id="niche">3( \([0-9-]+\))?\. cheese', second)
    assert stage.browser.get(f"/niches/{RUN}?niche=g9").status_code == 404


def test_each_market_has_a_map_of_its_own(stage: Stage) -> None:
    put_study(
        stage,
        {"spain": ranked("spain", ("bread", 60, 80)), "mexico": ranked("mexico", ("pan dulce", 70, 90))},
    )
    stage.login()
    assert "pan dulce" in stage.browser.get(f"/niches/{RUN}").text, "the best market comes first"
    text = stage.browser.get(f"/niches/{RUN}?market=spain").text
    assert "bread" in text
    assert "pan dulce" not in text.split('id="map"')[1].split('id="report"')[0]
    assert stage.browser.get(f"/niches/{RUN}?market=france").status_code == 404


def test_what_changed_is_told_against_the_last_study_of_the_same_market(stage: Stage) -> None:
    old = ranked("spain", ("bread", 10, 20), ("cheese", 20, 40), ("lamps", 20, 40))
    put_study(stage, {"spain": old}, "niche-older", age_days=9)
    put_study(stage, {"mexico": ranked("mexico", ("tacos", 1, 2))}, "niche-other", age_days=3)
    put_study(stage, {"spain": ranked("spain", ("bread", 60, 80), ("cheese", 30, 50), ("yoga", 30, 90))})
    stage.login()
    text = stage.browser.get(f"/niches/{RUN}").text.split('id="changed"')[1]
    assert "niche-older" in text
    assert "1 niche is as before" in text
    told = [
        re.sub(r"<[^>]+>|\s+", " ", each).split()
        for each in re.findall(r"<li>(.*?)</li>", text.split("</ul>")[0], re.S)
    ]
    assert told == [["better", "bread,", "15", "→", "70"], ["new", "yoga,", "60"], ["gone", "lamps,", "30"]]


def test_the_list_has_the_best_of_each_market_as_its_newest_study_has_it(stage: Stage) -> None:
    put_study(stage, {"spain": ranked("spain", ("bread", 80, 90))}, "niche-older", age_days=9)
    put_study(stage, {"spain": ranked("spain", ("bread", 10, 20), ("cheese", 20, 40))})
    stage.write(lambda c: set_domain_state(c, RUN, "spain", 1, state="domain_asked", domain="cheese.es"))
    stage.login()
    text = stage.browser.get("/niches").text
    best = text.split('id="studies"')[0]
    assert best.count("<article") == 2
    assert best.index("cheese") < best.index("bread")
    assert "cheese.es: waits for you" in best
    assert "niche-older" in text


def test_a_study_that_is_under_way_or_failed_says_so(stage: Stage) -> None:
    params = {"exports": [{"name": HOSTILE, "digest": "a" * 64, "market": ""}], "markets": ["spain"]}
    stage.write(
        lambda c: stage.put_run(c, "niche-open", "running", flow="niche", params=params, note=HOSTILE)
    )
    stage.write(lambda c: stage.put_run(c, "fleet.canary-x", "done"))
    stage.login()
    for path in ("/niches", "/niches/niche-open"):
        text = stage.browser.get(path).text
        assert "&lt;script&gt;alert(1)" in text
        assert "<script>alert" not in text
    assert stage.browser.get("/niches/fleet.canary-x").status_code == 404


def test_studying_again_takes_the_same_exports_and_the_score_that_was_given(stage: Stage) -> None:
    put_study(stage, {"spain": ranked("spain", ("bread", 60, 80))})
    stage.login()
    form = {"from": "65", "once": "abc"}
    answers = [
        stage.browser.post(f"/niches/{RUN}/again", data=form, follow_redirects=False) for _ in range(2)
    ]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    again = stage.read(lambda c: get_run(c, answers[0].headers["location"].rpartition("/")[2]))
    before = stage.read(lambda c: get_run(c, RUN))
    assert again.params == {**before.params, "domain_from_score": 65.0}


def test_exports_are_looked_at_before_a_study_starts(stage: Stage) -> None:
    stage.login()
    answer = stage.browser.post(
        "/niches/check",
        files=[
            ("files", ("ranges.csv", RANGES)),
            ("files", ("more.csv", b"keyword,volume\nbread,100\nrolls,50\n")),
        ],
        data={"market": ["spain", "mexico"]},
        follow_redirects=False,
    )
    address = answer.headers["location"]
    assert parse_qs(urlsplit(address).query)["market"] == ["spain", "mexico"]
    text = stage.browser.get(address).text
    assert "40 keywords" in text
    assert "2 keywords" in text
    assert "volumes are ranges of a factor of ten" in text
    assert stage.read(lambda c: c.execute(select(runs)).all()) == []

    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text.split('id="start"')[1]))
    answer = stage.browser.post("/niches/start", data={**form, "from": "55"}, follow_redirects=False)
    run = stage.read(lambda c: get_run(c, answer.headers["location"].rpartition("/")[2]))
    assert [export["name"] for export in run.params["exports"]] == ["ranges.csv", "more.csv"]
    assert (run.params["markets"], run.params["domain_from_score"]) == (["spain", "mexico"], 55.0)


@pytest.mark.parametrize(
    ("data", "told"),
    [(b"alpha,beta\n1,2\n", "no header"), (b"", "empty"), (b"keyword,volume\nx,lots\n", "x.csv:2")],
)
def test_an_export_that_cannot_be_read_is_told_with_its_line(stage: Stage, data: bytes, told: str) -> None:
    stage.login()
    sent = stage.browser.post("/niches/check", files={"files": ("x.csv", data)})
    assert told in sent.text
    assert "/niches/start" not in sent.text


def test_an_address_that_was_made_up_is_refused(stage: Stage) -> None:
    stage.login()
    assert stage.browser.get("/niches/new?file=nonsense").status_code == 422
    assert stage.browser.get(f"/niches/new?file={'0' * 64}||x.csv").status_code == 404
    assert stage.browser.get(f"/niches/new?file={'0' * 64}|atlantis|x.csv").status_code == 404
    assert stage.browser.post("/niches/start", data={"markets": "spain"}).status_code == 422
