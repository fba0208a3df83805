"""What a run carries from pass to pass, so that a long one need not look at all of its steps again."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from master.dispatch.states import ENDED_STEPS
from master.flows.context import FlowContext
from master.store.tables import carried, steps
from tasks.errors import D8Error

_LOAD = select(carried.c.state).where(carried.c.run_id == bindparam("b_run"))
_REPLACE = update(carried).where(carried.c.run_id == bindparam("b_run")).values(state=bindparam("b_state"))
_FIRST = insert(carried).values(run_id=bindparam("b_run"), state=bindparam("b_state"))
_FOLD = update(steps).where(steps.c.id == bindparam("b_step")).values(folded=True, awaited=False)


def load_carried(connection: Connection, run_id: str) -> dict[str, Any]:
    """What the run's last pass has kept; empty if none has."""
    packed = connection.execute(_LOAD, {"b_run": run_id}).scalar()
    if packed is None:
        return {}
    state: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return state


def save_kept(connection: Connection, run_id: str, context: FlowContext) -> None:
    """Write what this pass keeps. The caller has taken the run, so no other pass writes it meanwhile."""
    kept = context.kept
    if kept is None:
        return
    state = json.dumps(kept.state, separators=(",", ":"), ensure_ascii=False)
    # Texts shrink to a fifth at the fastest level, and a small disk has that much less to write.
    packed = base64.b64encode(zlib.compress(state.encode(), 1)).decode()
    values = {"b_run": run_id, "b_state": packed}
    if not connection.execute(_REPLACE, values).rowcount:
        connection.execute(_FIRST, values)
    _fold(connection, run_id, context, kept.folded)
    if kept.also is not None:
        kept.also(connection)


def _fold(connection: Connection, run_id: str, context: FlowContext, keys: tuple[str, ...]) -> None:
    for key in keys:
        step = context.recorded.get(key)
        if step is None or step.state not in ENDED_STEPS:
            raise D8Error(
                f"flow of run {run_id} folds step {key!r}, which {'has not ended' if step else 'it never had'}: "
                "fold what has ended, once"
            )
    if keys:
        connection.execute(_FOLD, [{"b_step": context.recorded[key].id} for key in keys])
