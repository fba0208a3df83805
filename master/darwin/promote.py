"""An evolved agent comes into use when its owner says so, and other workloads find it by name."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from master.darwin.tables import agents
from master.flows import ApprovalType, FlowContext, Question
from tasks.errors import NotFound
from tasks.record import Record


class InUse(Record):
    """The version of an agent that is in use."""

    name: str
    version: int
    #: sha256 of its file among the artifacts (``master.darwin.agent.Agent``).
    artifact: str
    #: On held-out examples.
    score: float
    run: str


def promote(
    ctx: FlowContext, name: str, found: dict[str, Any], artifact: str, *, run_id: str = ""
) -> dict[str, Any]:
    """Ask the owner, and do as they say. ``run_id``: the evolution, if it is not the run that asks."""
    evolution = run_id or ctx.run_id
    held_out = found["held_out"]["best"]
    decision = ctx.ask(
        f"promote:{name}",
        Question(
            type=ApprovalType.STRATEGIC_DECISION,
            title=f"Use the evolved agent {name}?",
            reason=f"{found['verdict']['text']} Run {evolution}; its report says more.",
        ),
    )
    if not decision.approved:
        return {"name": name, "approved": False, "note": decision.note}
    version = ctx.act(
        f"promoted:{name}",
        partial(
            put_in_use,
            name=name,
            run_id=evolution,
            artifact=artifact,
            score=held_out["score"],
            by=decision.by,
            now=ctx.now,
        ),
    )
    return {"name": name, "approved": True, "version": version}


def put_in_use(
    connection: Connection, *, name: str, run_id: str, artifact: str, score: float, by: str, now: datetime
) -> int:
    """The next version of this name, in use instead of the one before; returns its number."""
    last = connection.execute(select(func.max(agents.c.version)).where(agents.c.name == name)).scalar() or 0
    connection.execute(update(agents).where(agents.c.name == name, agents.c.in_use).values(in_use=False))
    connection.execute(
        insert(agents).values(
            name=name,
            version=last + 1,
            run_id=run_id,
            artifact=artifact,
            score=score,
            in_use=True,
            approved_by=by,
            at=now,
        )
    )
    return int(last) + 1


def get_agent(connection: Connection, name: str) -> InUse:
    """The agent in use under this name; ``NotFound`` names those that there are."""
    row = connection.execute(select(agents).where(agents.c.name == name, agents.c.in_use)).first()
    if row is None:
        names = sorted(connection.execute(select(agents.c.name).where(agents.c.in_use)).scalars())
        raise NotFound(
            f"no agent is in use under the name {name!r}: there are {', '.join(names) or 'none yet'}; "
            "'d8 darwin start DATASET --promote NAME' evolves one and asks you"
        )
    return InUse(name=row.name, version=row.version, artifact=row.artifact, score=row.score, run=row.run_id)
