"""What one update leads to: a call of ``master.approvals``, and messages reserved for sending.

Everything happens on the connection of the transaction that takes the update from the inbox.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import Connection

from master.approvals import (
    Approval,
    ApprovalState,
    Policy,
    Voter,
    decide,
    get_approval,
    list_approvals,
)
from master.events import record_event
from master.locale import translations_for
from master.telegram.callbacks import Verb, decode_press
from master.telegram.commands import Command, Order, find_command
from master.telegram.content import make_button
from master.telegram.inbox import remember_person
from master.telegram.messages import (
    Button,
    MessageKind,
    adopt_card,
    find_reason_prompt,
    reserve_message,
    retry_unreachable,
)
from master.telegram.texts import MOST_LISTED, Texts
from master.telegram.updates import Sender, Tap, TextMessage
from tasks.errors import NotFound, Refused
from tasks.record import Record

DOOR = "telegram"

Facts = Callable[[Connection], Mapping[str, int]]


class Answer(Record):
    """What flashes up after a tap: plain text, possibly none. Worth seconds, so it is not stored."""

    query_id: str
    text: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Responder:
    """Acts on one update of an allowed person."""

    connection: Connection
    incoming: TextMessage | Tap
    #: Signs and checks what buttons carry.
    key: bytes
    #: Counts for ``/status``.
    facts: Facts
    #: The owner's rules.
    policy: Policy
    now: datetime

    def respond(self) -> Answer | None:
        """The answer to a tap; a text message is answered by reserved messages alone."""
        sender = self.incoming.sender
        remember_person(self.connection, sender.user_id, sender.language, self.now)
        if isinstance(self.incoming, Tap):
            text = self._press(self.incoming) if self.incoming.private else self._texts.private_only()
            return Answer(query_id=self.incoming.query_id, text=text)
        if self.incoming.private:
            retry_unreachable(self.connection, self.incoming.chat_id)
            self._read(self.incoming)
        elif find_command(self.incoming.text) is not None:
            self._reply(self._texts.private_only())
        return None

    @property
    def _texts(self) -> Texts:
        return Texts(translations_for(self.incoming.sender.language))

    def _read(self, message: TextMessage) -> None:
        command = find_command(message.text)
        if command is not None:
            self._obey(command)
        elif message.reply_to is not None:
            self._take_reason(message, message.reply_to)
        else:
            self._reply(self._texts.unknown())

    def _obey(self, command: Command) -> None:
        if command.order is Order.HELP:
            self._reply(self._texts.help())
        elif command.order is Order.STATUS:
            pending = list_approvals(self.connection, ApprovalState.PENDING)
            self._reply(self._texts.status(pending, self.facts(self.connection)))
        elif command.order is Order.PENDING:
            self._list()
        else:
            self._obey_about(command)

    def _obey_about(self, command: Command) -> None:
        """Orders that name a request."""
        if not command.approval_id:
            self._reply(self._texts.id_missing())
            return
        try:
            approval = get_approval(self.connection, command.approval_id)
        except NotFound:
            self._reply(self._texts.not_found(command.approval_id))
            return
        if command.order is Order.SHOW:
            self._show(approval)
        elif command.order is Order.APPROVE:
            self._reply(self._decide(approval, approve=True, note=command.text))
        elif command.text:
            self._reply(self._decide(approval, approve=False, note=command.text))
        else:
            self._ask_reason(approval)

    def _list(self) -> None:
        pending = list_approvals(self.connection, ApprovalState.PENDING)
        buttons = [
            make_button(f"{self._texts.details_label()} {approval.id}", Verb.DETAILS, approval, self.key)
            for approval in pending[:MOST_LISTED]
        ]
        self._reply(self._texts.pending(pending), *buttons)

    def _press(self, tap: Tap) -> str:
        """Act on a button; the text is the short answer to the tap."""
        try:
            press = decode_press(tap.data, self.key)
            approval = get_approval(self.connection, press.approval_id)
        except (Refused, NotFound):
            record_event(
                self.connection,
                "telegram_button_refused",
                self.now,
                user=tap.sender.user_id,
                button=tap.data[:64],
            )
            return self._texts.refused_answer()
        if press.verb is Verb.DETAILS:
            self._show(approval)
            return ""
        adopt_card(self.connection, tap.chat_id, tap.message_id, approval.id, press.revision, self.now)
        if press.revision != approval.revision:
            return self._texts.superseded_answer()
        if press.verb is Verb.APPROVE:
            self._decide(approval, approve=True, note="")
            return self._texts.decided_answer(get_approval(self.connection, approval.id))
        return self._ask_reason(approval)

    def _decide(self, approval: Approval, *, approve: bool, note: str) -> str:
        """Decide and return what to tell; a refusal tells what holds instead."""
        try:
            decided = decide(
                self.connection,
                approval.id,
                approve=approve,
                voter=voter_of(self.incoming.sender),
                policy=self.policy,
                note=note,
                now=self.now,
                digest=approval.digest,
            )
        except Refused as error:
            held = get_approval(self.connection, approval.id)
            if held.state is not ApprovalState.PENDING:
                return self._texts.decided(held)
            if held.expires_at <= self.now:
                return self._texts.too_late(held)
            return html.escape(str(error), quote=False)
        return self._texts.decided(decided)

    def _ask_reason(self, approval: Approval) -> str:
        if approval.state is not ApprovalState.PENDING:
            if isinstance(self.incoming, TextMessage):
                self._reply(self._texts.decided(approval))
            return self._texts.decided_answer(approval)
        reserve_message(
            self.connection,
            f"reason:{self.incoming.update_id}",
            MessageKind.REASON,
            self.incoming.chat_id,
            self.now,
            approval_id=approval.id,
            revision=approval.revision,
            text=self._texts.ask_reason(approval),
        )
        return ""

    def _take_reason(self, message: TextMessage, prompt_id: int) -> None:
        prompt = find_reason_prompt(self.connection, message.chat_id, prompt_id)
        if prompt is None:
            self._reply(self._texts.reply_unknown())
            return
        approval = get_approval(self.connection, prompt.approval_id)
        if approval.revision != prompt.revision:
            self._reply(self._texts.superseded_answer())
            return
        self._reply(self._decide(approval, approve=False, note=message.text.strip()))

    def _show(self, approval: Approval) -> None:
        reserve_message(
            self.connection,
            f"details:{self.incoming.update_id}",
            MessageKind.DETAILS,
            self.incoming.chat_id,
            self.now,
            approval_id=approval.id,
            revision=approval.revision,
        )

    def _reply(self, text: str, *buttons: Button) -> None:
        reserve_message(
            self.connection,
            f"reply:{self.incoming.update_id}",
            MessageKind.NOTE,
            self.incoming.chat_id,
            self.now,
            text=text,
            buttons=buttons,
        )


def voter_of(sender: Sender) -> Voter:
    """The sender as approvals know who answers."""
    return Voter(identity=f"telegram:{sender.user_id}", name=name_of(sender), door=DOOR)


def name_of(sender: Sender) -> str:
    """Who decided, as the record and the other doors show it: ``Ana (4711)``."""
    return f"{sender.name} ({sender.user_id})" if sender.name else str(sender.user_id)
