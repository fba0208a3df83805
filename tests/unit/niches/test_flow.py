"""The whole study over fakes: what is asked of the fleet, of the human, and what comes out."""

from __future__ import annotations

import hashlib
import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from sqlalchemy import select

from master.approvals.records import ApprovalState, ApprovalType
from master.niches.flow import Params, study
from master.niches.report import MarketStudy
from master.niches.tables import niches
from tasks.errors import InvalidInput, NotFound
from tests.unit.niches.fakes import FakeFlow

EXPORT = (
    "keyword,volume,cpc,competition\n"
    + "".join(
        f"pan {word},{900 + len(word) * 100},1.20,0.2\n" for word in ("sin gluten", "casero", "de masa")
    )
    + "".join(f"vino {word},1K - 10K,0.30,0.9\n" for word in ("tinto", "blanco", "a|b <i>"))
).encode()


def start(answer: ApprovalState = ApprovalState.APPROVED, **params: Any) -> tuple[FakeFlow, dict[str, Any]]:
    flow = FakeFlow({"k.csv": EXPORT}, answer)
    exports = [{"name": "k.csv", "digest": hashlib.sha256(EXPORT).hexdigest()}]
    checked = Params.model_validate({"exports": exports, "domain_from_score": 10, **params})
    return flow, flow.run(study, checked)


def states(flow: FakeFlow) -> list[str]:
    return [str(row.state) for row in flow.connection.execute(select(niches).order_by(niches.c.rank))]


@pytest.mark.parametrize("state", [ApprovalState.APPROVED, ApprovalState.REJECTED, ApprovalState.EXPIRED])
def test_the_study_is_complete_whatever_the_human_says(state: ApprovalState) -> None:
    flow, result = start(state)
    assert [one["label"] for one in result["markets"]["spain"]["niches"]] != []
    assert result["domain"]["state"] == state.value
    assert result["domain"]["bought"] is False
    assert states(flow) == [f"domain_{state.value}", "ranked"]


def test_the_human_is_asked_for_a_payment_with_numbers_and_after_everything_is_written() -> None:
    flow, result = start()
    question = flow.questions[-1]
    assert question.type is ApprovalType.PAYMENT
    assert question.cost_minor > 0
    assert "searches a month" in question.reason
    assert "nothing is bought" in question.tried
    assert {"niches.md", "niches.json", "map-spain.svg"} <= flow.names_when_asked
    assert question.evidence["report"] == result["artifacts"]["niches.md"]
    assert "best:" in flow.shown[-1][1]


def test_a_niche_below_the_threshold_asks_nothing() -> None:
    flow, result = start(domain_from_score=99)
    assert flow.questions == []
    assert result["domain"]["state"] == "not asked"
    assert "below 99" in result["domain"]["reason"]
    assert states(flow) == ["ranked", "ranked"]


def test_every_pass_asks_the_same_and_groups_are_judged_once_for_all_markets() -> None:
    flow, result = start(markets=("spain", "mexico"))
    assert set(flow.requests) == {"embed:spain:0", "group:spain", "analyse:spain:g0", "analyse:spain:g1"}
    assert set(result["markets"]) == {"spain", "mexico"}
    assert result["markets"]["mexico"]["measured_in"] == "spain"


def test_each_market_uses_its_own_export_when_it_has_one() -> None:
    other = EXPORT.replace(b"pan", b"maiz")
    flow = FakeFlow({"k.csv": EXPORT, "m.csv": other}, ApprovalState.REJECTED)
    exports = [
        {"name": "k.csv", "digest": hashlib.sha256(EXPORT).hexdigest()},
        {"name": "m.csv", "digest": hashlib.sha256(other).hexdigest(), "market": "mexico"},
    ]
    params = Params.model_validate({"exports": exports, "markets": ("spain", "mexico")})
    result = flow.run(study, params)
    assert result["markets"]["mexico"]["measured_in"] == "mexico"
    assert any(one["label"].startswith("maiz") for one in result["markets"]["mexico"]["niches"])
    assert "group:mexico" in flow.requests


def test_reports_are_readable_and_hostile_keywords_stay_text() -> None:
    flow, result = start()
    report = flow.artifacts[result["artifacts"]["niches.md"]].decode()
    assert "# Niche study niche-test" in report
    assert "<i>" not in report.replace("\\<i\\>", "")
    ET.fromstring(flow.artifacts[result["artifacts"]["map-spain.svg"]])
    data = json.loads(flow.artifacts[result["artifacts"]["niches.json"]])
    assert MarketStudy.model_validate(data["markets"][0]).ranked[0].rank == 1


def test_ranges_in_the_export_widen_the_interval() -> None:
    _, result = start()
    wide = {one["label"].split()[0]: one["high"] - one["low"] for one in result["markets"]["spain"]["niches"]}
    assert wide["vino"] > wide["pan"]


def test_keywords_beyond_the_limit_are_left_out_and_said() -> None:
    flow, result = start(max_keywords=4)
    assert result["markets"]["spain"]["keywords"] == 4
    assert (
        "2 least searched keywords were left out" in flow.artifacts[result["artifacts"]["niches.md"]].decode()
    )


def test_an_unknown_market_and_a_broken_export_fail_the_study_clearly() -> None:
    with pytest.raises(NotFound, match="Did you mean 'spain'"):
        start(markets=("spian",))
    flow = FakeFlow({"k.csv": b"nothing"}, ApprovalState.APPROVED)
    digest = hashlib.sha256(b"nothing").hexdigest()
    with pytest.raises(InvalidInput, match=r"k\.csv:1: no header"):
        flow.run(study, Params.model_validate({"exports": [{"name": "k.csv", "digest": digest}]}))
