"""The study for people (Markdown) and for programs (JSON). Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from master.niches.ranking import Ranked
from tasks.record import Record

#: So many niches of a market are told part by part.
DETAILED = 5


class MarketStudy(Record):
    """One market of a study, ranked."""

    market: str
    #: Market in which its keywords were measured.
    measured_in: str
    ranked: tuple[Ranked, ...]
    keywords: int
    merged: int
    #: Keywords that are near to no group.
    left_over: tuple[str, ...]
    #: Keywords beyond the limit of the study, the least searched ones.
    dropped: int = 0


def brief(one: Ranked) -> dict[str, Any]:
    """A niche in a few fields, for lists and run results."""
    score = one.niche.score
    return {
        "rank": one.rank,
        "rank_text": one.rank_text,
        "market": one.niche.market,
        "label": one.niche.label,
        "score": score.total.middle,
        "low": score.total.low,
        "high": score.total.high,
        "demand": round(score.demand.middle),
        "keywords": len(one.niche.keywords),
        "reasons": {part.name: part.reason for part in score.parts},
    }


def as_json(studies: Sequence[MarketStudy], run_id: str) -> bytes:
    """Everything, with all parts and all keywords."""
    content = [study.model_dump(mode="json") for study in studies]
    return json.dumps({"run": run_id, "markets": content}, ensure_ascii=False, indent=1).encode()


def as_markdown(studies: Sequence[MarketStudy], run_id: str) -> bytes:
    """The report, one chapter a market."""
    lines = [f"# Niche study {run_id}", ""]
    for study in studies:
        lines += _market(study)
    lines += [
        "A score is the sum of seven parts, 0 to 100. Its interval is what the score could be, given the",
        "ranges in the export, the two bids, and where rules and model differ. A rank with a range, such as",
        "3 (1-5), is one that the intervals leave open.",
        "",
    ]
    return "\n".join(lines).encode()


def _market(study: MarketStudy) -> list[str]:
    name = study.market.title()
    lines = [f"## {name}", ""]
    about = f"{study.keywords} keywords in {len(study.ranked)} niches."
    if study.merged:
        about += f" {study.merged} repeated rows were merged."
    if study.dropped:
        about += f" The {study.dropped} least searched keywords were left out."
    if study.measured_in != study.market:
        about += (
            f" Searches were measured in {study.measured_in.title()} and carried over: take them as a hint."
        )
    lines += [
        about,
        "",
        "| rank | niche | score | interval | searches a month | keywords |",
        "|" + " --- |" * 6,
    ]
    for one in study.ranked:
        score = one.niche.score
        lines.append(
            f"| {one.rank_text} | {_cell(one.niche.label)} | {score.total.middle:.0f} | "
            f"{score.total.low:.0f}-"
            f"{score.total.high:.0f} | {score.demand.middle:,.0f} | {len(one.niche.keywords)} |"
        )
    lines.append("")
    for one in study.ranked[:DETAILED]:
        lines += _niche(one)
    if study.left_over:
        lines += ["### Near to no niche", "", ", ".join(_cell(text) for text in study.left_over), ""]
    return lines


def _niche(one: Ranked) -> list[str]:
    lines = [f"### {one.rank_text}. {_cell(one.niche.label)}", ""]
    for part in one.niche.score.parts:
        lines.append(f"- {part.name}: {part.points.middle:.1f} of {part.of}: {part.reason}")
    return [*lines, "", "Keywords: " + ", ".join(_cell(text) for text in one.niche.keywords[:20]), ""]


def _cell(text: str) -> str:
    """Text that cannot become markup or a new column."""
    escaped = text.replace("\\", "\\\\")
    for character in "|*_`[]<>#":
        escaped = escaped.replace(character, "\\" + character)
    return escaped
