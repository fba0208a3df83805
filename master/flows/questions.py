"""What a pass asks of the human is written down: new questions, and open ones that changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from master.approvals.ask import create_approval, revise_approval
from master.approvals.policy import Policy
from master.dispatch.states import StepKind, StepState
from master.flows.context import FlowContext
from master.flows.rows import insert_step
from master.store import news_of


def save_questions(
    connection: Connection, run_id: str, context: FlowContext, policy: Callable[[], Policy], now: datetime
) -> None:
    """In the transaction that ends the pass. ``policy`` is read only if something is asked."""
    for key, question in context.new_questions.items():
        step_id = insert_step(
            connection,
            run_id,
            key,
            StepKind.APPROVAL,
            StepState.WAITING,
            now,
            request=question.model_dump_json(),
            request_digest=question.digest(),
            awaited=key in context.awaited,
        )
        create_approval(
            connection,
            question,
            run_id=run_id,
            step_id=step_id,
            step_key=key,
            policy=policy(),
            now=now,
        )
        news_of(connection).dispatch = True
    for key, question in context.changed_questions.items():
        revise_approval(connection, question, step_id=context.recorded[key].id, policy=policy(), now=now)
