"""What a reserved message looks like at the moment it is sent or edited."""

from __future__ import annotations

import re

from sqlalchemy import Connection

from master.approvals import Approval, ApprovalState, find_approvals, get_approval
from master.locale import translations_for
from master.telegram.callbacks import Press, Verb, encode_press
from master.telegram.cards import CAPTION, FULL, SHORT, Heading
from master.telegram.markup import fit_line
from master.telegram.media import find_evidence
from master.telegram.messages import (
    CARDS,
    NO_PHOTO,
    OUTDATED,
    PENDING,
    PROMPTS,
    TO_DO,
    Button,
    MessageKind,
    OwnMessage,
    cards_with_buttons,
    language_of,
)
from master.telegram.texts import Texts
from tasks.record import Record

_MOST_UPLOADS = 3


class File(Record):
    """What is sent as a photo or a document: an artifact, or a text of ours."""

    name: str
    digest: str = ""
    text: str = ""
    as_photo: bool = False


class Content(Record):
    """A message as the reader will see it."""

    text: str
    #: The same for under a photo.
    caption: str = ""
    buttons: tuple[Button, ...] = ()
    ask_reply: bool = False
    #: Of the request that a card shows.
    revision: int = 0
    #: How the request stands on a card; empty for anything else.
    shown: str = ""
    file: File | None = None


def find_content(connection: Connection, message: OwnMessage, key: bytes) -> Content | None:
    """The message's content now, or None when there is no longer any use in sending it."""
    if message.kind is MessageKind.ATTACHMENT:
        return _attachment(connection, message)
    if message.kind not in CARDS:
        return Content(
            text=message.text,
            buttons=message.buttons,
            ask_reply=message.kind in PROMPTS,
            revision=message.revision,
        )
    approval = get_approval(connection, message.approval_id)
    outdated = approval.revision != message.revision
    is_news = message.message_id is None and message.kind is not MessageKind.DETAILS
    waits = approval.state is ApprovalState.PENDING or approval.awaits_execution
    if is_news and (outdated or not waits):
        return None
    texts = texts_for(connection, message)
    if message.message_id is not None and outdated:
        text = texts.superseded_card(approval)
        return Content(text=text, caption=text, revision=message.revision, shown=OUTDATED)
    return _card(connection, message, approval, texts, key)


def stale_cards(connection: Connection) -> list[OwnMessage]:
    """Cards that show something else than how the request stands."""
    shown = cards_with_buttons(connection)
    approvals = find_approvals(connection, {card.approval_id for card in shown})
    return [card for card in shown if _is_stale(card, approvals[card.approval_id])]


def standing_of(approval: Approval) -> str:
    """What a card shows of how a request stands: it is edited when this changes."""
    if approval.state is ApprovalState.PENDING:
        return f"{PENDING}:{len(approval.votes)}" if approval.votes else PENDING
    return TO_DO if approval.awaits_execution else approval.state.value


def card_buttons(approval: Approval, texts: Texts, key: bytes, *, full: bool) -> tuple[Button, ...]:
    """The buttons of a request that waits, or is to be done; none after that."""
    if approval.state is ApprovalState.PENDING:
        choices = [(texts.approve_label(), Verb.APPROVE), (texts.reject_label(), Verb.REJECT)]
    elif approval.awaits_execution:
        choices = [(texts.done_label(approval), Verb.DONE), (texts.abandon_label(), Verb.ABANDON)]
    else:
        return ()
    if not full:
        choices.append((texts.details_label(), Verb.DETAILS))
    return tuple(make_button(label, verb, approval, key) for label, verb in choices)


def make_button(label: str, verb: Verb, approval: Approval, key: bytes) -> Button:
    press = Press(verb=verb, approval_id=approval.id, revision=approval.revision)
    return Button(label=label, data=encode_press(press, key))


def texts_for(connection: Connection, message: OwnMessage) -> Texts:
    """In the language of whoever reads it."""
    return Texts(translations_for(message.language or language_of(connection, message.chat_id)))


def _card(
    connection: Connection, message: OwnMessage, approval: Approval, texts: Texts, key: bytes
) -> Content:
    full = message.kind is MessageKind.DETAILS
    heading = Heading(message.text) if message.message_id is None else Heading.NONE
    if standing_of(approval) == TO_DO and heading is not Heading.NONE:
        heading = Heading.TO_DO
    photo = None
    if _wants_photo(message):
        photo = next((each for each in find_evidence(connection, approval) if each.is_photo), None)
    return Content(
        text=texts.card(approval, FULL if full else SHORT, heading),
        caption=texts.card(approval, CAPTION, heading),
        buttons=card_buttons(approval, texts, key, full=full),
        revision=approval.revision,
        shown=standing_of(approval),
        file=File(name=photo.name, digest=photo.digest, as_photo=True) if photo else None,
    )


def _wants_photo(message: OwnMessage) -> bool:
    """A card that could not be uploaded a few times over, on a slow line, comes without its photo."""
    unsent = message.message_id is None and message.attempts < _MOST_UPLOADS
    return unsent and message.kind is MessageKind.ANNOUNCEMENT and message.photo != NO_PHOTO


def _attachment(connection: Connection, message: OwnMessage) -> Content | None:
    """The evidence of the label that the message holds; without one, all of the request's text."""
    approval = get_approval(connection, message.approval_id)
    if not message.text:
        text = texts_for(connection, message).whole_text(approval)
        return Content(text="", caption="", file=File(name=f"{approval.id}.txt", text=text))
    for each in find_evidence(connection, approval):
        if each.label == message.text and each.can_be_sent:
            caption = fit_line(each.label, 200)
            as_photo = each.is_photo and message.photo != NO_PHOTO
            file = File(name=_file_name(each.name), digest=each.digest, as_photo=as_photo)
            return Content(text="", caption=caption, file=file)
    return None


def _file_name(name: str) -> str:
    """The artifact's name without anything that a path or a header could take for its own."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:80] or "file"


def _is_stale(card: OwnMessage, approval: Approval) -> bool:
    return standing_of(approval) != card.shown or approval.revision != card.revision
