"""What a person wants done about one request: the calls of ``master.approvals``, and what to say of them.

Each call runs in a savepoint of the update's transaction: refused, it leaves nothing behind, and the
refusal is told and counted in that same transaction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from master.approvals import (
    Approval,
    ApprovalState,
    NotADecider,
    Policy,
    Superseded,
    Voter,
    abandon,
    decide,
    execute,
    get_approval,
    record_refusal,
)
from master.ledger import BudgetExceeded
from master.telegram.amounts import read_doing
from master.telegram.refusals import Reason, count_refusal
from master.telegram.texts import Texts
from master.telegram.updates import Sender
from tasks.errors import D8Error, InvalidInput, Refused, Unhealthy
from tasks.record import Record

DOOR = "telegram"


class Outcome(Record):
    """What came of it."""

    #: HTML: what holds now, or why not.
    text: str
    accepted: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Acting:
    """Acts for one person, in one transaction."""

    connection: Connection
    sender: Sender
    #: The owner's rules, read when they are needed. ``InvalidInput`` when the file is wrong.
    policy: Callable[[], Policy]
    texts: Texts
    now: datetime

    def decide(self, approval: Approval, *, approve: bool, note: str) -> Outcome:
        """Say yes or no."""
        if approval.state is not ApprovalState.PENDING:
            self.count(Reason.REPLAYED, approval.id)
            return Outcome(text=self.texts.decided(approval), accepted=False)
        if approval.expires_at <= self.now:
            self.count(Reason.REPLAYED, approval.id)
            return Outcome(text=self.texts.too_late(approval), accepted=False)

        def act() -> Approval:
            return decide(
                self.connection,
                approval.id,
                approve=approve,
                voter=self.voter,
                policy=self.policy(),
                note=note,
                now=self.now,
                digest=approval.digest,
            )

        return self._attempt(approval, act)

    def execute(self, approval: Approval, text: str) -> Outcome:
        """It was done: ``text`` is what follows ``/hecho ID``."""
        if not approval.awaits_execution:
            self.count(Reason.REPLAYED, approval.id)
            return Outcome(text=self.texts.decided(approval), accepted=False)
        try:
            doing = read_doing(text, cost_minor=approval.cost_minor, currency=approval.currency)
        except InvalidInput as error:
            self.count(Reason.INCOMPLETE, text)
            return Outcome(text=self.texts.cost_unclear(approval, str(error)), accepted=False)

        def act() -> Approval:
            return execute(
                self.connection,
                approval.id,
                actual=doing.actual,
                voter=self.voter,
                reference=doing.reference[:200],
                note="",
                now=self.now,
            )

        return self._attempt(approval, act)

    def execute_exactly(self, approval: Approval) -> Outcome:
        """It was done, for exactly what was approved."""
        if not approval.awaits_execution:
            self.count(Reason.REPLAYED, approval.id)
            return Outcome(text=self.texts.decided(approval), accepted=False)
        return self._attempt(
            approval,
            lambda: execute(
                self.connection,
                approval.id,
                actual=None,
                voter=self.voter,
                reference="",
                note="",
                now=self.now,
            ),
        )

    def abandon(self, approval: Approval, reason: str) -> Outcome:
        """It will not be done."""
        if not approval.awaits_execution:
            self.count(Reason.REPLAYED, approval.id)
            return Outcome(text=self.texts.decided(approval), accepted=False)
        return self._attempt(
            approval,
            lambda: abandon(self.connection, approval.id, voter=self.voter, reason=reason, now=self.now),
        )

    def count(self, reason: Reason, sample: str) -> bool:
        """Note that this person asked for something that is not accepted; True when it is news."""
        return count_refusal(self.connection, self.sender.user_id, reason, self.now, sample=sample)

    @property
    def voter(self) -> Voter:
        """The sender as approvals know who answers."""
        identity = f"telegram:{self.sender.user_id}"
        return Voter(identity=identity, name=name_of(self.sender), door=DOOR)

    def _attempt(self, approval: Approval, act: Callable[[], Approval]) -> Outcome:
        try:
            with self.connection.begin_nested():
                return Outcome(text=self.texts.decided(act()), accepted=True)
        except Unhealthy:
            raise
        except D8Error as error:
            return self._refused(approval, error)

    def _refused(self, approval: Approval, error: D8Error) -> Outcome:
        why = str(error)
        if self.count(_reason_of(error), approval.id):
            record_refusal(self.connection, approval.id, self.voter, why, now=self.now)
        if isinstance(error, NotADecider):
            text = self.texts.not_a_decider(why)
        elif isinstance(error, BudgetExceeded):
            text = self.texts.no_budget(why)
        elif isinstance(error, Superseded):
            text = self.texts.superseded_answer()
        else:
            # Somebody else may have been faster since this request was looked at.
            held = get_approval(self.connection, approval.id)
            same = held.state is approval.state
            text = self.texts.refused(why) if same else self.texts.decided(held)
        return Outcome(text=text, accepted=False)


def name_of(sender: Sender) -> str:
    """Who decided, as the record and the other doors show it: ``Ana (4711)``."""
    return f"{sender.name} ({sender.user_id})" if sender.name else str(sender.user_id)


def _reason_of(error: D8Error) -> Reason:
    if isinstance(error, NotADecider):
        return Reason.NOT_A_DECIDER
    if isinstance(error, BudgetExceeded):
        return Reason.NO_BUDGET
    if isinstance(error, Superseded):
        return Reason.STALE
    return Reason.REFUSED if isinstance(error, Refused) else Reason.INCOMPLETE
