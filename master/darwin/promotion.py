"""The flow ``darwin-promotion``: the owner is asked whether a finished evolution's best is to be used."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, select

from master.darwin.promote import promote
from master.dispatch.states import RunState
from master.flows import FlowContext, flow
from master.flows.runs import get_run, start_run
from master.store.tables import runs
from tasks.errors import InvalidInput, Refused
from tasks.record import Record

FLOW = "darwin-promotion"


class Params(Record):
    """What is to be used, and under which name."""

    #: The evolution's run.
    run: str = Field(min_length=1, max_length=100)
    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,62}$")


@flow(FLOW, params=Params)
def ask_owner(ctx: FlowContext, params: Params) -> dict[str, Any]:
    """Ask, and do as they say."""
    found = ctx.read(partial(_result, run_id=params.run))
    return promote(ctx, params.name, found, found["artifacts"]["agent.json"], run_id=params.run)


def ask_for_promotion(connection: Connection, run_id: str, name: str, *, by: str, now: datetime) -> str:
    """Start the question; returns its run. ``Refused`` while one about this evolution is open."""
    _result(connection, run_id=run_id)
    asked = promotions_of(connection, run_id)
    if still_open := [one for one in asked if one["state"] in (RunState.RUNNING, RunState.WAITING)]:
        raise Refused(
            f"you are asked already whether the best of {run_id} is to be used: answer that first, it is run "
            f"{still_open[0]['id']}"
        )
    if not name:
        raise InvalidInput("an agent in use has a name, such as mail-sorter: write one")
    key = _key(run_id, len(asked) + 1)
    return start_run(connection, FLOW, {"run": run_id, "name": name}, now=now, by=by, idempotency_key=key)


def promotions_of(connection: Connection, run_id: str) -> list[dict[str, Any]]:
    """The runs that asked about this evolution, the first one first."""
    found: list[dict[str, Any]] = []
    while True:
        query = select(runs.c.id, runs.c.state, runs.c.params).where(
            runs.c.idempotency_key == _key(run_id, len(found) + 1)
        )
        row = connection.execute(query).first()
        if row is None:
            return found
        found.append({"id": row.id, "state": row.state, "name": row.params["name"]})


def _key(run_id: str, number: int) -> str:
    return f"promotion:{run_id}:{number}"


def _result(connection: Connection, *, run_id: str) -> dict[str, Any]:
    """The evolution's result. ``Refused`` unless it has an agent to use."""
    run = get_run(connection, run_id)
    result: dict[str, Any] = run.result or {}
    if run.state != RunState.DONE or "held_out" not in result:
        raise Refused(
            f"run {run_id} is {run.state} and has no agent to use: an evolution on examples has one when it is done"
        )
    return result
