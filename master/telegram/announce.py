"""Whom to tell of which request, and when: one by one, in the day's digest, again, and somebody else.

The decisions are in ``master/approvals/timing.py``; what was told is known from the rows of messages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from master.approvals import (
    Approval,
    ApprovalState,
    Policy,
    Urgency,
    Voter,
    list_approvals,
    list_to_do,
    may_decide,
)
from master.approvals.timing import (
    day_begins,
    is_escalated,
    is_quiet,
    plan,
    reminders_due,
    to_do_reminders_due,
)
from master.locale import translations_for
from master.telegram.callbacks import Verb
from master.telegram.cards import Heading
from master.telegram.contact import outage_over
from master.telegram.content import make_button
from master.telegram.messages import (
    Button,
    MessageKind,
    announced_since,
    is_reserved,
    language_of,
    told_about,
)
from master.telegram.texts import MOST_LISTED, Texts
from tasks.record import Record


class Telling(Record):
    """A message to reserve."""

    key: str
    kind: MessageKind
    chat_id: int
    approval_id: str = ""
    revision: int = 0
    text: str = ""
    buttons: tuple[Button, ...] = ()


def announcement_key(approval: Approval, user_id: int) -> str:
    return f"announce:{approval.id}:{approval.revision}:{user_id}"


def find_tellings(
    connection: Connection, users: frozenset[int], policy: Policy, key: bytes, now: datetime
) -> list[Telling]:
    """What is to be reserved now; nothing twice."""
    pending = list_approvals(connection, ApprovalState.PENDING)
    open_ones = [each for each in pending if each.expires_at > now] + list_to_do(connection)
    if not open_ones:
        return []
    told = told_about(connection, [approval.id for approval in open_ones])
    news = _News(connection=connection, policy=policy, now=now, key=key, told=told)
    told_to = {each.id: recipients(each, users, policy, now) for each in open_ones}
    tellings: list[Telling] = []
    for user_id in sorted(users):
        mine = [each for each in open_ones if user_id in told_to[each.id]]
        tellings += news.announcements(user_id, mine)
        tellings += news.reminders(user_id, mine)
    return tellings


def recipients(approval: Approval, users: frozenset[int], policy: Policy, now: datetime) -> set[int]:
    """Who may decide it, and whoever it was escalated to; everybody when nobody here may."""
    deciders = {user for user in users if may_decide(approval, _voter(user), policy)} or set(users)
    rule = policy.rule(approval.type)
    waits = approval.state is ApprovalState.PENDING
    return deciders | (
        users & set(rule.escalate_to) if waits and is_escalated(rule, approval, now) else set()
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _News:
    connection: Connection
    policy: Policy
    now: datetime
    #: Signs what buttons carry.
    key: bytes
    #: What was told of the open requests, and when.
    told: dict[str, datetime]

    def announcements(self, user_id: int, approvals: Sequence[Approval]) -> Iterable[Telling]:
        untold = [each for each in approvals if announcement_key(each, user_id) not in self.told]
        if not untold:
            return
        digest_key = f"digest:{self.policy.local(self.now):%Y-%m-%d}:{user_id}"
        planned = plan(
            untold,
            told_today=announced_since(self.connection, user_id, day_begins(self.policy, self.now)),
            digest_told_today=is_reserved(self.connection, digest_key),
            policy=self.policy,
            now=self.now,
        )
        by_id = {approval.id: approval for approval in untold}
        for approval_id in planned.each:
            approval = by_id[approval_id]
            heading = self._announced_as(approval)
            yield self._card(
                announcement_key(approval, user_id), MessageKind.ANNOUNCEMENT, user_id, approval, heading
            )
        if planned.digest:
            listed = [by_id[approval_id] for approval_id in planned.digest]
            yield self._digest(digest_key, user_id, listed)

    def reminders(self, user_id: int, approvals: Sequence[Approval]) -> Iterable[Telling]:
        """Only the newest that is due: what was missed during an outage is not made up for."""
        over = outage_over(self.connection)
        for approval in approvals:
            announced_at = self.told.get(announcement_key(approval, user_id))
            if announced_at is None:
                continue
            if is_quiet(self.policy, self.now) and approval.urgency is not Urgency.HIGH:
                continue
            for key, heading in self._due(approval, user_id, announced_at, over):
                if key not in self.told:
                    yield self._card(key, MessageKind.REMINDER, user_id, approval, heading)

    def _due(
        self, approval: Approval, user_id: int, announced_at: datetime, over: datetime | None
    ) -> Iterable[tuple[str, Heading]]:
        rule = self.policy.rule(approval.type)
        about = f"{approval.id}:{approval.revision}"
        if over is not None and announced_at < over:
            yield f"again:{about}:{over:%Y%m%dT%H%M%S}:{user_id}", Heading.AGAIN
            announced_at = over  # reminders that were due before are made up for by this one
        if approval.awaits_execution:
            due = to_do_reminders_due(rule, approval, self.now)
            if due > to_do_reminders_due(rule, approval, announced_at):
                yield f"todo:{about}:{due}:{user_id}", Heading.TO_DO
        else:
            due = reminders_due(rule, approval, self.now)
            if due > reminders_due(rule, approval, announced_at):
                yield f"remind:{about}:{due}:{user_id}", Heading.REMIND

    def _announced_as(self, approval: Approval) -> Heading:
        if approval.awaits_execution:
            return Heading.TO_DO
        escalated = is_escalated(self.policy.rule(approval.type), approval, self.now)
        return Heading.ESCALATED if escalated else Heading.NONE

    def _card(
        self, key: str, kind: MessageKind, user_id: int, approval: Approval, heading: Heading
    ) -> Telling:
        return Telling(
            key=key,
            kind=kind,
            chat_id=user_id,
            approval_id=approval.id,
            revision=approval.revision,
            text=heading,
        )

    def _digest(self, key: str, user_id: int, approvals: Sequence[Approval]) -> Telling:
        texts = Texts(translations_for(language_of(self.connection, user_id)))
        buttons = tuple(
            make_button(f"{texts.details_label()} {approval.id}", Verb.DETAILS, approval, self.key)
            for approval in approvals[:MOST_LISTED]
        )
        return Telling(
            key=key, kind=MessageKind.NOTE, chat_id=user_id, text=texts.digest(approvals), buttons=buttons
        )


def _voter(user_id: int) -> Voter:
    return Voter(identity=f"telegram:{user_id}", name=str(user_id), door="telegram")
