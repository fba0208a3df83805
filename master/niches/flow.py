"""The flow of a niche study: read exports, group keywords by meaning, judge each group in each market,
score and rank, and ask about a domain for the best.
"""

from __future__ import annotations

import array
import sys
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from master.flows import FlowContext, Handle, flow
from master.niches.chart import opportunity_map
from master.niches.keywords import KeywordRow, KeywordTable, merge_tables, parse_export
from master.niches.markets import Market, get_market
from master.niches.payment import ask_for_domain
from master.niches.ranking import Niche, Ranked, rank_niches
from master.niches.report import MarketStudy, as_json, as_markdown, brief
from master.niches.scoring import middle_volume, score
from master.niches.tables import store_niches
from tasks import niche_analyse, niche_group, text_embed
from tasks.errors import InvalidInput
from tasks.record import Record

#: Keywords in one ``text.embed`` step: enough to fill batches, few enough to spread over a fleet.
SHARD = 64

REPORT_NAME, DATA_NAME = "niches.md", "niches.json"


class Export(Record):
    """A keyword export that was uploaded."""

    name: str = Field(min_length=1, max_length=255)
    #: sha256 of the artifact.
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    #: Market where it was measured; "" means the first market of the study.
    market: str = ""


class Params(Record):
    exports: tuple[Export, ...] = Field(min_length=1, max_length=50)
    markets: tuple[str, ...] = Field(default=("spain",), min_length=1, max_length=11)
    #: The most searched keywords of each export's market are studied, the rest is left out and counted.
    max_keywords: int = Field(default=1500, ge=1, le=niche_group.MAX_KEYWORDS)
    #: The best niche's domain is asked for from this score on; above 100 means never.
    domain_from_score: float = Field(default=70.0, ge=0)
    #: How long the question about the domain stays open.
    expires_s: int = Field(default=7 * 86400, ge=60, le=366 * 86400)
    #: Keywords of each niche that the model judges.
    judged_by_model: int = Field(default=6, ge=0, le=200)
    #: Model references; "" means the master's settings.
    model: str = ""
    embedding_model: str = ""


class Source(Record):
    """The keywords measured in one market, cut to the size of the study."""

    home: Market
    table: KeywordTable
    dropped: int


@flow("niche", params=Params)
def study(ctx: FlowContext, params: Params) -> dict[str, Any]:
    """Ranked niches of each market; complete whatever is answered about the domain."""
    markets = _markets(params.markets)
    sources = _read_sources(ctx, params, markets)
    ctx.progress(0.05, f"embedding {sum(len(s.table.rows) for s in sources.values())} keywords")
    groups = _group(ctx, params, sources)
    ctx.progress(0.4, f"judging {sum(len(found.groups) for found in groups.values())} groups")
    studies = _study_markets(ctx, params, markets, sources, groups)
    found = _publish(ctx, studies)
    best = max(
        (study.ranked[0] for study in studies if study.ranked),
        key=lambda one: one.niche.score.total.middle,
        default=None,
    )
    found["domain"] = {"state": "not asked", "reason": "no niche"} if best is None else None
    if best is not None:
        top = f"best: {best.niche.label} in {best.niche.market}, {best.niche.score.total.middle:.0f} of 100"
        ctx.progress(0.95, top)
        found["domain"] = ask_for_domain(
            ctx, best, params.domain_from_score, params.expires_s, found["artifacts"]
        )
    return found


def _markets(names: Sequence[str]) -> list[Market]:
    return list({market.key: market for market in map(get_market, names)}.values())


def _read_sources(ctx: FlowContext, params: Params, markets: Sequence[Market]) -> dict[str, Source]:
    """The exports by the market they were measured in, which each is parsed for."""
    tables: dict[str, list[KeywordTable]] = {}
    for export in params.exports:
        home = get_market(export.market) if export.market else markets[0]
        data = ctx.read_artifact(export.digest)
        tables.setdefault(home.key, []).append(parse_export(data, export.name, home.currency))
    sources = {}
    for key, parts in tables.items():
        table = merge_tables(parts)
        ranked = sorted(table.rows, key=lambda row: (-middle_volume(row), row.text))
        kept = table.model_copy(update={"rows": tuple(ranked[: params.max_keywords])})
        sources[key] = Source(home=get_market(key), table=kept, dropped=len(ranked) - len(kept.rows))
    return sources


def _group(ctx: FlowContext, params: Params, sources: dict[str, Source]) -> dict[str, niche_group.Result]:
    """All shards of all sources are embedded in parallel, then each source is grouped."""
    model = params.embedding_model or ctx.settings.embedding_model
    embedded: dict[str, list[Handle[text_embed.Result]]] = {}
    for key, source in sources.items():
        texts = tuple(row.text for row in source.table.rows)
        embedded[key] = [
            ctx.start(
                f"embed:{key}:{start // SHARD}",
                text_embed.TASK,
                text_embed.Request(texts=texts[start : start + SHARD], model=model),
            )
            for start in range(0, len(texts), SHARD)
        ]
    ctx.settle([handle for handles in embedded.values() for handle in handles])
    ctx.progress(0.3, "grouping keywords by meaning")
    started = [_start_group(ctx, key, sources[key], ctx.gather(handles)) for key, handles in embedded.items()]
    return dict(zip(embedded, ctx.gather(started), strict=True))


def _start_group(
    ctx: FlowContext, key: str, source: Source, shards: Sequence[text_embed.Result]
) -> Handle[niche_group.Result]:
    vectors = [vector for shard in shards for vector in shard.vectors]
    rows = source.table.rows
    return ctx.start(
        f"group:{key}",
        niche_group.TASK,
        niche_group.Request(
            texts=tuple(row.text for row in rows),
            weights=tuple(round(middle_volume(row)) for row in rows),
            vectors=ctx.write_artifact(f"vectors-{key}.f32", pack(vectors), "application/octet-stream"),
            dimensions=len(vectors[0]),
        ),
    )


def pack(vectors: Sequence[Sequence[float]]) -> bytes:
    """Little-endian float32, row after row."""
    numbers = array.array("f", (number for vector in vectors for number in vector))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _source_of(market: Market, sources: dict[str, Source]) -> Source:
    """The market's own export, or the one of the first market, carried over."""
    return sources.get(market.key) or next(iter(sources.values()))


def _study_markets(
    ctx: FlowContext,
    params: Params,
    markets: Sequence[Market],
    sources: dict[str, Source],
    groups: dict[str, niche_group.Result],
) -> list[MarketStudy]:
    """Every group of every measured market is judged in parallel; then each market is ranked."""
    started = {
        key: [
            ctx.start(
                f"analyse:{key}:g{number}",
                niche_analyse.TASK,
                _analyse_request(ctx, params, sources[key], group.members),
            )
            for number, group in enumerate(grouping.groups)
        ]
        for key, grouping in groups.items()
    }
    ctx.gather([handle for handles in started.values() for handle in handles])
    studies = []
    for market in markets:
        source = _source_of(market, sources)
        analyses = [handle.result() for handle in started[source.home.key]]
        studies.append(_rank_market(market, source, groups[source.home.key], analyses))
    return studies


def _analyse_request(
    ctx: FlowContext, params: Params, source: Source, members: Sequence[int]
) -> niche_analyse.Request:
    rows = [source.table.rows[index] for index in members]
    return niche_analyse.Request(
        keywords=tuple(
            niche_analyse.Keyword(
                text=row.text,
                volume=round(middle_volume(row)),
                monthly=row.monthly,
                yearly_change=row.yearly_change,
            )
            for row in rows
        ),
        months=source.table.months,
        model=params.model or ctx.settings.model,
        judged_by_model=params.judged_by_model,
    )


def _rank_market(
    market: Market,
    source: Source,
    grouping: niche_group.Result,
    analyses: Sequence[niche_analyse.Result],
) -> MarketStudy:
    rows = source.table.rows
    niches = []
    for number, (group, analysis) in enumerate(zip(grouping.groups, analyses, strict=True)):
        own: list[KeywordRow] = [rows[index] for index in group.members]
        niches.append(
            Niche(
                key=f"g{number}",
                market=market.key,
                label=rows[group.label].text,
                keywords=tuple(row.text for row in own),
                cohesion=group.cohesion,
                score=score(own, analysis, market, source.home, source.home.language),
            )
        )
    if not niches:
        raise InvalidInput(
            f"the {len(rows)} keywords for {market.name} form no group of at least three: give an export "
            f"with "
            "more keywords about each subject"
        )
    return MarketStudy(
        market=market.key,
        measured_in=source.home.key,
        ranked=rank_niches(niches),
        keywords=len(rows),
        merged=source.table.merged,
        left_over=tuple(rows[index].text for index in grouping.left_over),
        dropped=source.dropped,
    )


def _publish(ctx: FlowContext, studies: Sequence[MarketStudy]) -> dict[str, Any]:
    """Report, data and maps are written, and the table filled, before anybody is asked anything."""
    artifacts = {
        REPORT_NAME: ctx.write_artifact(REPORT_NAME, as_markdown(studies, ctx.run_id), "text/markdown"),
        DATA_NAME: ctx.write_artifact(DATA_NAME, as_json(studies, ctx.run_id), "application/json"),
    }
    ranked: list[Ranked] = []
    for one in studies:
        name = f"map-{one.market}.svg"
        title = f"Niches in {get_market(one.market).name} ({ctx.run_id})"
        artifacts[name] = ctx.write_artifact(name, opportunity_map(title, one.ranked), "image/svg+xml")
        ranked += one.ranked
    ctx.act("store", lambda connection: store_niches(connection, ctx.run_id, ranked))
    return {
        "markets": {
            one.market: {
                "measured_in": one.measured_in,
                "keywords": one.keywords,
                "left_over": len(one.left_over),
                "niches": [brief(niche) for niche in one.ranked],
            }
            for one in studies
        },
        "artifacts": artifacts,
    }
