"""What a reserved message looks like at the moment it is sent or edited."""

from __future__ import annotations

from sqlalchemy import Connection

from master.approvals import Approval, ApprovalState, get_approval
from master.locale import translations_for
from master.telegram.callbacks import Press, Verb, encode_press
from master.telegram.messages import (
    CARDS,
    SUPERSEDED,
    Button,
    MessageKind,
    OwnMessage,
    cards_shown_pending,
    language_of,
)
from master.telegram.texts import Texts
from tasks.record import Record


class Content(Record):
    """A message as the reader will see it."""

    text: str
    buttons: tuple[Button, ...] = ()
    ask_reply: bool = False
    #: Of the request that a card shows.
    revision: int = 0
    #: What a card shows: the request's state, or ``superseded``; empty for anything else.
    shown: str = ""


def find_content(connection: Connection, message: OwnMessage, key: bytes) -> Content | None:
    """The message's content now, or None when there is no longer any use in sending it."""
    if message.kind not in CARDS:
        return Content(
            text=message.text,
            buttons=message.buttons,
            ask_reply=message.kind is MessageKind.REASON,
            revision=message.revision,
        )
    approval = get_approval(connection, message.approval_id)
    outdated = approval.revision != message.revision
    is_news = message.message_id is None and message.kind is MessageKind.ANNOUNCEMENT
    if is_news and (outdated or approval.state is not ApprovalState.PENDING):
        return None
    texts = Texts(translations_for(language_of(connection, message.chat_id)))
    if message.message_id is not None and outdated:
        text = texts.superseded_card(approval)
        return Content(text=text, revision=message.revision, shown=SUPERSEDED)
    full = message.kind is MessageKind.DETAILS
    return Content(
        text=texts.card(approval, full=full),
        buttons=card_buttons(approval, texts, key, full=full),
        revision=approval.revision,
        shown=approval.state.value,
    )


def stale_cards(connection: Connection) -> list[OwnMessage]:
    """Cards that show buttons for what is decided, or was changed."""
    shown = cards_shown_pending(connection)
    approvals = {i: get_approval(connection, i) for i in {card.approval_id for card in shown}}
    return [card for card in shown if _is_stale(card, approvals[card.approval_id])]


def card_buttons(approval: Approval, texts: Texts, key: bytes, *, full: bool) -> tuple[Button, ...]:
    """The buttons of a request that waits; none once it is decided."""
    if approval.state is not ApprovalState.PENDING:
        return ()
    choices = [(texts.approve_label(), Verb.APPROVE), (texts.reject_label(), Verb.REJECT)]
    if not full:
        choices.append((texts.details_label(), Verb.DETAILS))
    return tuple(make_button(label, verb, approval, key) for label, verb in choices)


def make_button(label: str, verb: Verb, approval: Approval, key: bytes) -> Button:
    press = Press(verb=verb, approval_id=approval.id, revision=approval.revision)
    return Button(label=label, data=encode_press(press, key))


def _is_stale(card: OwnMessage, approval: Approval) -> bool:
    return approval.state is not ApprovalState.PENDING or approval.revision != card.revision
