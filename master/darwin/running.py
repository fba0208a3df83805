"""One pass of an evolution: the engine as it stood, what has ended since, and what is asked next."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, func, select

from master.darwin.campaign import Campaign
from master.darwin.engines.protocol import Engine, Variation
from master.darwin.judging import Judge, Proposer
from master.darwin.params import Evolving
from master.darwin.records import find_stop
from master.darwin.tally import Limits, Tally
from master.flows import FlowContext
from master.flows.carried import load_carried
from master.store.tables import workers
from tasks.errors import NotFound, Unhealthy

G = TypeVar("G")

_SLOTS = select(func.coalesce(func.sum(workers.c.slots), 0)).where(workers.c.state == "active")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup(Generic[G]):
    """What an evolution is made of."""

    variation: Variation[G]
    judge: Judge[G]
    #: A new engine, or the one that made this snapshot.
    make_engine: Callable[[Mapping[str, Any] | None], Engine[G]]
    proposers: Mapping[str, Proposer] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evolved(Generic[G]):
    """An evolution that has come to its end."""

    engine: Engine[G]
    tally: Tally


def evolve(ctx: FlowContext, params: Evolving, setup: Setup[G], extra: Mapping[str, Any]) -> Evolved[G]:
    """The evolution, once all is told; until then this ends the pass. ``extra`` is carried beside it."""
    state = ctx.carried.get("campaign")
    if state is None and params.resumes:
        state = ctx.read(partial(_inherited, run_id=params.resumes))
    state = state or {}
    engine = setup.make_engine(state.get("engine"))
    if state.get("over"):
        return Evolved(engine=engine, tally=Tally.load(state["tally"]))
    limits = ctx.read(partial(_limits, run_id=ctx.run_id, params=params, now=ctx.now))
    campaign = Campaign(ctx, engine, setup.variation, setup.judge, setup.proposers, limits, state)
    over = campaign.advance()
    _require_some(engine, params, campaign.tally)
    ctx.keep(
        {**extra, "campaign": {**campaign.state(), "over": over}}, folded=campaign.folded, also=campaign.save
    )
    if not over:
        ctx.progress(*_standing(engine, campaign.tally, params))
        ctx.await_steps(campaign.in_flight, "any")
    return Evolved(engine=engine, tally=campaign.tally)


def _limits(connection: Connection, *, run_id: str, params: Evolving, now: datetime) -> Limits:
    slots = int(connection.execute(_SLOTS).scalar_one())
    return Limits(
        # A quarter more than there are slots, so that none waits for the master between two steps.
        parallel=params.parallel or max(2, slots + (slots + 3) // 4),
        slots=slots,
        now=now,
        budget_micros=params.budget.micros or None,
        until=params.budget.until,
        stopped_by=find_stop(connection, run_id),
    )


def _inherited(connection: Connection, *, run_id: str) -> dict[str, Any]:
    """The state in which another run's evolution ended, open again."""
    state = load_carried(connection, run_id).get("campaign")
    if not state:
        raise NotFound(f"run {run_id} has no evolution to go on with: 'd8 run list' names the runs")
    return {**state, "over": False, "tally": {**state["tally"], "why_closed": ""}}


def _require_some(engine: Engine[Any], params: Evolving, tally: Tally) -> None:
    """``Unhealthy`` when nothing can be evaluated at all: going on would only burn the budget."""
    if engine.successes == 0 and tally.failed >= min(params.population, 8):
        error = next(iter(engine.failures.values()), "no reason was given")
        raise Unhealthy(
            f"not one of the first {tally.failed} genomes could be evaluated. The last failure: {error}. Put that "
            "right (do the workers reach the model? does the program run?) and take the run up again with "
            "'d8 darwin resume'"
        )


def _standing(engine: Engine[Any], tally: Tally, params: Evolving) -> tuple[float, str]:
    total = max(1, params.budget.evals, engine.spent)
    best = engine.leader()
    leader = f"; best {best[1]:.4g} (c{best[0]})" if best else ""
    failed = f", {tally.failed} failed" if tally.failed else ""
    return 0.95 * tally.told / total, f"{tally.told} of {total} evaluations{failed}{leader}"
