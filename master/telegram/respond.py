"""What one update leads to: a call of ``master.approvals``, and messages reserved for sending.

Everything happens on the connection of the transaction that takes the update from the inbox.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection

from master.approvals import Approval, ApprovalState, Policy, get_approval, list_approvals, list_to_do
from master.dispatch.pause import is_paused, pause_dispatch
from master.locale import translations_for
from master.telegram.acting import Acting, Outcome, name_of
from master.telegram.callbacks import Press, Verb, decode_press
from master.telegram.cards import is_cut
from master.telegram.commands import Command, Order, find_command
from master.telegram.content import make_button
from master.telegram.inbox import remember_person
from master.telegram.media import find_evidence
from master.telegram.messages import (
    PENDING,
    TO_DO,
    Button,
    MessageKind,
    adopt_card,
    find_prompt,
    reserve_message,
    retry_unreachable,
)
from master.telegram.months import find_month
from master.telegram.refusals import Reason
from master.telegram.texts import MOST_LISTED, Texts
from master.telegram.updates import Tap, TextMessage
from master.telegram.ways import Ways
from tasks.errors import InvalidInput, NotFound, Refused
from tasks.record import Record

#: Files that details bring along.
_MOST_ATTACHMENTS = 6


class Answer(Record):
    """What flashes up after a tap: plain text, possibly none. Worth seconds, so it is not stored."""

    query_id: str
    text: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Responder:
    """Acts on one update of an allowed person."""

    connection: Connection
    incoming: TextMessage | Tap
    ways: Ways
    now: datetime

    def respond(self) -> Answer | None:
        """The answer to a tap; a text message is answered by reserved messages alone."""
        sender = self.incoming.sender
        remember_person(self.connection, sender.user_id, sender.language, self.now)
        heard = self.incoming.private or self.incoming.chat_id in self.ways.groups
        if isinstance(self.incoming, Tap):
            text = self._press(self.incoming) if heard else self._refuse_group()
            return Answer(query_id=self.incoming.query_id, text=text)
        if self.incoming.private:
            retry_unreachable(self.connection, self.incoming.chat_id)
        if heard:
            self._read(self.incoming)
        elif find_command(self.incoming.text) is not None:
            self._refuse_group()
        return None

    @cached_property
    def _texts(self) -> Texts:
        return Texts(translations_for(self.incoming.sender.language))

    @cached_property
    def _acting(self) -> Acting:
        return Acting(
            connection=self.connection,
            sender=self.incoming.sender,
            policy=self.ways.policy,
            texts=self._texts,
            now=self.now,
        )

    def _refuse_group(self) -> str:
        """Told once in an hour: a group is not to be filled with it."""
        news = self._acting.count(Reason.GROUP, str(self.incoming.chat_id))
        if news and isinstance(self.incoming, TextMessage):
            self._reply(self._texts.private_only())
        return self._texts.private_answer()

    def _read(self, message: TextMessage) -> None:
        command = find_command(message.text)
        if command is not None:
            self._obey(command)
        elif message.reply_to is not None:
            self._take_reason(message, message.reply_to)
        elif message.private:
            self._acting.count(Reason.INCOMPLETE, message.text)
            self._reply(self._texts.unknown())

    def _obey(self, command: Command) -> None:
        if command.order is Order.HELP:
            self._reply(self._texts.help())
        elif command.order is Order.STATUS:
            self._status()
        elif command.order is Order.PENDING:
            self._list()
        elif command.order is Order.SPENDING:
            self._spending(command.text)
        elif command.order in (Order.PAUSE, Order.RESUME):
            paused = command.order is Order.PAUSE
            by = name_of(self.incoming.sender)
            pause_dispatch(self.connection, paused=paused, by=by, now=self.now)
            self._reply(self._texts.paused(paused=paused))
        else:
            self._obey_about(command)

    def _obey_about(self, command: Command) -> None:
        """Orders that name a request."""
        if not command.approval_id:
            self._acting.count(Reason.INCOMPLETE, command.order)
            self._reply(self._texts.id_missing())
            return
        try:
            approval = get_approval(self.connection, command.approval_id)
        except NotFound:
            self._acting.count(Reason.UNKNOWN, command.approval_id)
            self._reply(self._texts.not_found(command.approval_id))
            return
        if command.order is Order.SHOW:
            self._show(approval)
        elif command.order is Order.APPROVE:
            self._say(self._acting.decide(approval, approve=True, note=command.text))
        elif command.order is Order.DONE:
            self._say(self._acting.execute(approval, command.text))
        elif not command.text:
            self._ask_reason(approval, abandon=command.order is Order.ABANDON)
        elif command.order is Order.ABANDON:
            self._say(self._acting.abandon(approval, command.text))
        else:
            self._say(self._acting.decide(approval, approve=False, note=command.text))

    def _status(self) -> None:
        text = self._texts.status(
            list_approvals(self.connection, ApprovalState.PENDING),
            self.ways.facts(self.connection),
            paused=is_paused(self.connection),
            to_do=len(list_to_do(self.connection)),
            spending=self.ways.spending(self.connection, self._month()),
        )
        self._reply(text)

    def _spending(self, text: str) -> None:
        month = find_month(text, self._month())
        if month is None:
            self._acting.count(Reason.INCOMPLETE, text)
            self._reply(self._texts.month_unclear())
            return
        self._reply(self._texts.spending(month, self.ways.spending(self.connection, month)))

    def _month(self) -> str:
        try:
            return self.ways.policy().month(self.now)
        except InvalidInput:  # the owner's file is wrong: what was spent can be told all the same
            return Policy().month(self.now)

    def _list(self) -> None:
        pending = list_approvals(self.connection, ApprovalState.PENDING)
        to_do = list_to_do(self.connection)
        buttons = [
            make_button(f"{self._texts.details_label()} {approval.id}", Verb.DETAILS, approval, self.ways.key)
            for approval in [*pending, *to_do][:MOST_LISTED]
        ]
        self._reply(self._texts.pending(pending, to_do), *buttons)

    def _press(self, tap: Tap) -> str:
        """Act on a button; the text is the short answer to the tap."""
        try:
            press = decode_press(tap.data, self.ways.key)
            approval = get_approval(self.connection, press.approval_id)
        except (Refused, NotFound) as error:
            reason = Reason.UNKNOWN if isinstance(error, NotFound) else Reason.FORGED
            self._acting.count(reason, tap.data)
            return self._texts.refused_answer()
        if press.verb is Verb.DETAILS:
            self._show(approval)
            return ""
        shown = PENDING if press.verb in (Verb.APPROVE, Verb.REJECT) else TO_DO
        adopt_card(self.connection, tap.chat_id, tap.message_id, approval.id, press.revision, shown, self.now)
        if press.revision != approval.revision:
            self._acting.count(Reason.STALE, tap.data)
            return self._texts.superseded_answer()
        return self._press_on(approval, press)

    def _press_on(self, approval: Approval, press: Press) -> str:
        """Act on a button of ours for what is asked now."""
        if press.verb is Verb.APPROVE:
            outcome = self._acting.decide(approval, approve=True, note="")
        elif press.verb is Verb.DONE:
            outcome = self._acting.execute_exactly(approval)
        else:
            return self._ask_reason(approval, abandon=press.verb is Verb.ABANDON)
        held = get_approval(self.connection, approval.id)
        if outcome.accepted or held.state not in (ApprovalState.PENDING, ApprovalState.APPROVED):
            return self._texts.decided_answer(held)
        self._say(outcome)
        return self._texts.refusal_answer()

    def _ask_reason(self, approval: Approval, *, abandon: bool) -> str:
        """Ask for the reason by a message that is to be answered; nothing is decided yet."""
        fitting = approval.awaits_execution if abandon else approval.state is ApprovalState.PENDING
        if not fitting:
            self._acting.count(Reason.REPLAYED, approval.id)
            if isinstance(self.incoming, TextMessage):
                self._reply(self._texts.decided(approval))
            return self._texts.decided_answer(approval)
        ask = self._texts.ask_abandon_reason if abandon else self._texts.ask_reason
        kind = MessageKind.ABANDON_REASON if abandon else MessageKind.REASON
        self._reserve(f"reason:{self.incoming.update_id}", kind, approval, ask(approval))
        return ""

    def _take_reason(self, message: TextMessage, prompt_id: int) -> None:
        prompt = find_prompt(self.connection, message.chat_id, prompt_id)
        if prompt is None:
            if message.private:
                self._acting.count(Reason.INCOMPLETE, message.text)
                self._reply(self._texts.reply_unknown())
            return
        approval = get_approval(self.connection, prompt.approval_id)
        if approval.revision != prompt.revision:
            self._acting.count(Reason.STALE, message.text)
            self._reply(self._texts.superseded_answer())
        elif prompt.kind is MessageKind.ABANDON_REASON:
            self._say(self._acting.abandon(approval, message.text.strip()))
        else:
            self._say(self._acting.decide(approval, approve=False, note=message.text.strip()))

    def _show(self, approval: Approval) -> None:
        """The request with its evidence: the card, then images and files."""
        update_id = self.incoming.update_id
        self._reserve(f"details:{update_id}", MessageKind.DETAILS, approval)
        labels = [each.label for each in find_evidence(self.connection, approval) if each.can_be_sent]
        if is_cut(approval):
            labels.insert(0, "")
        for number, label in enumerate(labels[:_MOST_ATTACHMENTS]):
            self._reserve(f"file:{update_id}:{number}", MessageKind.ATTACHMENT, approval, label)

    def _say(self, outcome: Outcome) -> None:
        self._reply(outcome.text)

    def _reserve(self, key: str, kind: MessageKind, approval: Approval, text: str = "") -> None:
        reserve_message(
            self.connection,
            key,
            kind,
            self.incoming.chat_id,
            self.now,
            approval_id=approval.id,
            revision=approval.revision,
            text=text,
            language=self.incoming.sender.language,
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
