"""The table of ranked niches."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Column, Connection, Float, ForeignKey, Integer, Table, Text, delete, insert, update

from master.niches.ranking import Ranked
from master.store.metadata import metadata

niches = Table(
    "niches",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("market", Text, primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("label", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("low", Float, nullable=False),
    Column("high", Float, nullable=False),
    # Searches a month, the middle of their range.
    Column("demand", Float, nullable=False),
    Column("keywords", Integer, nullable=False),
    # ranked, or what became of its domain: domain_asked, domain_approved, domain_rejected, ...
    Column("state", Text, nullable=False, default="ranked"),
    # The domain that was asked for; "" when none was.
    Column("domain", Text, nullable=False, default=""),
)


def store_niches(connection: Connection, run_id: str, ranked: Sequence[Ranked]) -> int:
    """Write the run's ranked niches, in the place of those that it wrote before it was taken up again; returns how
    many."""
    connection.execute(delete(niches).where(niches.c.run_id == run_id))
    rows = [
        {
            "run_id": run_id,
            "market": one.niche.market,
            "rank": one.rank,
            "label": one.niche.label,
            "score": one.niche.score.total.middle,
            "low": one.niche.score.total.low,
            "high": one.niche.score.total.high,
            "demand": one.niche.score.demand.middle,
            "keywords": len(one.niche.keywords),
        }
        for one in ranked
    ]
    if rows:
        connection.execute(insert(niches), rows)
    return len(rows)


def set_domain_state(
    connection: Connection, run_id: str, market: str, rank: int, *, state: str, domain: str
) -> str:
    """Record what became of a niche's domain; returns the state."""
    connection.execute(
        update(niches)
        .where(niches.c.run_id == run_id, niches.c.market == market, niches.c.rank == rank)
        .values(state=state, domain=domain)
    )
    return state
