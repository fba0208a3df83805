"""A niche study that is taken up again further back stores what it finds then, and nothing twice."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, select

from master.niches.markets import get_market
from master.niches.ranking import Niche, Ranked, rank_niches
from master.niches.scoring import score
from master.niches.tables import niches, store_niches
from master.store.tables import runs
from tests.integration.core.conftest import Bench
from tests.unit.niches.fakes import analysis, row


def ranked(*labels: str) -> tuple[Ranked, ...]:
    spain = get_market("spain")
    return tuple(
        rank_niches(
            [
                Niche(
                    key=label,
                    market="spain",
                    label=label,
                    keywords=(label,),
                    cohesion=1.0,
                    score=score([row(label)], analysis([label]), spain, spain, "es"),
                )
                for label in labels
            ]
        )
    )


def test_niches_take_the_place_of_those_of_the_same_run(bench: Bench) -> None:
    def put(c: Connection) -> Any:
        for run_id in ("niche-a", "niche-b"):
            values = {"flow": "niche", "params": {}, "state": "running"}
            c.execute(insert(runs).values(id=run_id, woken_at=bench.now, created_at=bench.now, **values))
            store_niches(c, run_id, ranked("old", "older"))
        return store_niches(c, "niche-a", ranked("new"))

    with bench.database.write() as connection:
        assert put(connection) == 1
    found = bench.read(lambda c: c.execute(select(niches.c.run_id, niches.c.label)).all())
    assert sorted(map(tuple, found)) == [("niche-a", "new"), ("niche-b", "old"), ("niche-b", "older")]
