"""What the steps of a run cost: electricity by time and machine, tokens by price. Posted once a run has ended.

For every run the exact total so far is kept beside what is posted of it, and only the difference is posted:
killing this anywhere, or doing it twice, doubles nothing. A run that is taken up again is counted again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from master.ledger.entries import ENERGY, TOKENS, USAGE, Entry, Kind, Posting, move
from master.ledger.journal import append_entry
from master.ledger.money import micros_to_minor
from master.ledger.prices import Prices
from master.ledger.tables import ledger_run_costs
from master.store.tables import attempts, runs, steps
from tasks.record import Record

#: Runs costed in one transaction.
_MOST = 100


class RunCosts(Record):
    """Totals of one run."""

    currency: str
    #: Millionths of the currency's major unit, energy and tokens together.
    micros: int = 0
    #: Of those, the tokens'.
    api_micros: int = 0
    #: What of them is posted, in minor units: each of the two parts rounded half up.
    posted_minor: int = 0
    #: Seconds that models computed.
    gpu_s: float = 0.0
    prompt_tokens: int = 0
    generated_tokens: int = 0

    @property
    def energy_minor(self) -> int:
        return micros_to_minor(self.micros - self.api_micros, self.currency)

    @property
    def tokens_minor(self) -> int:
        return micros_to_minor(self.api_micros, self.currency)


def post_costs(connection: Connection, prices: Prices, now: datetime) -> int:
    """Cost the runs that have ended and are not costed yet; returns how many. Without prices, none."""
    if not prices.set:
        return 0
    waiting = (
        select(runs.c.id)
        .where(~runs.c.costed, runs.c.finished_at.is_not(None))
        .order_by(runs.c.finished_at)
        .limit(_MOST)
    )
    # The runs' rows first and the ledger after them, in the order in which the end of a run locks them.
    taken = connection.execute(
        update(runs)
        .where(runs.c.id.in_(waiting), ~runs.c.costed, runs.c.finished_at.is_not(None))
        .values(costed=True)
        .returning(runs.c.id, runs.c.flow, runs.c.params, runs.c.finished_at)
    ).all()
    for run in taken:
        _post_run(connection, run, prices, now)
    return len(taken)


def project_of(flow: str, params: Mapping[str, Any]) -> str:
    """To whom the run's costs go: its client, its project, else its flow."""
    if client := params.get("client_id"):
        return f"client:{client}"
    return str(params.get("project") or flow)


def _post_run(connection: Connection, run: Row[Any], prices: Prices, now: datetime) -> None:
    costs = _count(connection, run, prices)
    before = connection.execute(select(ledger_run_costs).where(ledger_run_costs.c.run_id == run.id)).first()
    posted = RunCosts.model_validate(
        {name: value for name, value in before._asdict().items() if name in RunCosts.model_fields}
        if before is not None
        else {"currency": prices.currency}
    )
    if costs == posted:
        return
    project = project_of(run.flow, run.params)
    values = {"project": project, **costs.model_dump()}
    if before is None:
        connection.execute(insert(ledger_run_costs).values(run_id=run.id, **values))
    else:
        table = ledger_run_costs
        connection.execute(update(table).where(table.c.run_id == run.id).values(**values))
    append_entry(
        connection,
        Entry(
            kind=Kind.USAGE,
            at=now,
            month=f"{run.finished_at.astimezone(UTC):%Y-%m}",
            run_id=run.id,
            project=project,
            note="energy and tokens",
            by="d8",
            details=json.dumps(costs.model_dump(), sort_keys=True, separators=(",", ":")),
            postings=_difference(posted, costs),
        ),
    )


def _difference(posted: RunCosts, costs: RunCosts) -> tuple[Posting, ...]:
    """From what is posted to what it costs; where the prices' currency was changed, out of the old one."""
    if posted.currency == costs.currency:
        energy, tokens = costs.energy_minor - posted.energy_minor, costs.tokens_minor - posted.tokens_minor
        return move(ENERGY, USAGE, energy, costs.currency) + move(TOKENS, USAGE, tokens, costs.currency)
    return (
        move(ENERGY, USAGE, -posted.energy_minor, posted.currency)
        + move(TOKENS, USAGE, -posted.tokens_minor, posted.currency)
        + move(ENERGY, USAGE, costs.energy_minor, costs.currency)
        + move(TOKENS, USAGE, costs.tokens_minor, costs.currency)
    )


def _count(connection: Connection, run: Row[Any], prices: Prices) -> RunCosts:
    energy = tokens = prompt = generated = 0
    gpu_s = 0.0
    tries = select(attempts.c.worker, attempts.c.claimed_at, attempts.c.ended_at).where(
        attempts.c.step_id.in_(select(steps.c.id).where(steps.c.run_id == run.id))
    )
    for attempt in connection.execute(tries):
        # One that nobody ended worked for the run no longer than the run lasted.
        seconds = ((attempt.ended_at or run.finished_at) - attempt.claimed_at).total_seconds()
        energy += prices.energy_micros(attempt.worker, seconds)
    used = select(steps.c.usage).where(steps.c.run_id == run.id, steps.c.usage != "{}")
    for text in connection.execute(used).scalars():
        usage = json.loads(text)
        asked, made = int(usage.get("prompt_tokens", 0)), int(usage.get("generated_tokens", 0))
        models = [str(model.get("model", "")) for model in usage.get("models", ())]
        prompt, generated, gpu_s = prompt + asked, generated + made, gpu_s + float(usage.get("seconds", 0.0))
        # What an endpoint charged is known better than by a price of ours.
        tokens += int(usage.get("cost_micros", 0)) or prices.token_micros(models, asked, made)
    costs = RunCosts(
        currency=prices.currency,
        micros=energy + tokens,
        api_micros=tokens,
        gpu_s=round(gpu_s, 3),
        prompt_tokens=prompt,
        generated_tokens=generated,
    )
    return costs.model_copy(update={"posted_minor": costs.energy_minor + costs.tokens_minor})
