"""The rows behind everything that we say: reserved first, sent later, kept for editing."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from master.telegram.tables import telegram_messages, telegram_people
from tasks.record import Record


class MessageKind(enum.StrEnum):
    #: A new request, shown with its buttons.
    ANNOUNCEMENT = "announcement"
    #: A request with its evidence, because somebody asked.
    DETAILS = "details"
    #: A request, once more: nobody answered, or it is still to be done.
    REMINDER = "reminder"
    #: Evidence of a request, as a photo or a file.
    ATTACHMENT = "attachment"
    #: Asks for the reason of a rejection; the answer to it is the reason.
    REASON = "reason"
    #: The same of what was approved and will not be done.
    ABANDON_REASON = "abandon_reason"
    #: Any other answer: text, and perhaps buttons for details.
    NOTE = "note"


#: Kinds that show a request and so are edited when it is decided.
CARDS = (MessageKind.ANNOUNCEMENT, MessageKind.DETAILS, MessageKind.REMINDER)
PROMPTS = (MessageKind.REASON, MessageKind.ABANDON_REASON)


class MessageState(enum.StrEnum):
    #: To be sent; also while the outcome of a try is unknown.
    RESERVED = "reserved"
    SENT = "sent"
    #: The person has not opened a chat with the bot, or blocked it; tried again when they write.
    UNREACHABLE = "unreachable"
    #: Telegram will never take it.
    REFUSED = "refused"
    #: Of no use any more: the request was decided before it could be announced.
    DROPPED = "dropped"


#: ``shown`` of a card whose request was changed after it was sent.
OUTDATED = "outdated"
#: ``shown`` of a card with buttons: of a request that waits ("pending:2" with two votes), and of one that
#: is to be done.
PENDING, TO_DO = "pending", "to_do"
#: ``photo`` of a card whose image Telegram did not want.
NO_PHOTO = "-"


class Button(Record):
    label: str
    data: str


class OwnMessage(Record):
    """One row of ``telegram_messages``."""

    key: str
    kind: MessageKind
    state: MessageState
    chat_id: int
    #: None until Telegram took it.
    message_id: int | None = None
    approval_id: str = ""
    revision: int = 0
    shown: str = ""
    text: str = ""
    photo: str = ""
    language: str = ""
    buttons: tuple[Button, ...] = ()
    attempts: int = 0
    error: str = ""
    created_at: datetime
    sent_at: datetime | None = None


def reserve_message(
    connection: Connection,
    key: str,
    kind: MessageKind,
    chat_id: int,
    now: datetime,
    *,
    approval_id: str = "",
    revision: int = 0,
    text: str = "",
    buttons: Sequence[Button] = (),
    language: str = "",
) -> None:
    """Make sure that the message for this purpose is sent once; reserving it again does nothing."""
    known = connection.execute(select(telegram_messages.c.key).where(telegram_messages.c.key == key)).first()
    if known is None:
        message = OwnMessage(
            key=key,
            kind=kind,
            state=MessageState.RESERVED,
            chat_id=chat_id,
            approval_id=approval_id,
            revision=revision,
            text=text,
            buttons=tuple(buttons),
            language=language,
            created_at=now,
        )
        _insert(connection, message)


def adopt_card(
    connection: Connection,
    chat_id: int,
    message_id: int,
    approval_id: str,
    revision: int,
    shown: str,
    now: datetime,
) -> None:
    """Note that this chat shows a card with such buttons, whatever we believed.

    A message whose sending ended in a time-out may have arrived twice, and an edit may not have
    reached a person who had blocked the bot: whoever presses a button is looking at such a copy.
    """
    card = _find(connection, chat_id, message_id)
    if card is not None:
        if card.kind in CARDS and not card.shown.startswith(shown):
            change_message(connection, card.key, shown=shown)
        return
    message = OwnMessage(
        key=f"adopted:{chat_id}:{message_id}",
        kind=MessageKind.ANNOUNCEMENT,
        state=MessageState.SENT,
        chat_id=chat_id,
        message_id=message_id,
        approval_id=approval_id,
        revision=revision,
        shown=shown,
        created_at=now,
        sent_at=now,
    )
    _insert(connection, message)


def find_prompt(connection: Connection, chat_id: int, message_id: int) -> OwnMessage | None:
    """Our question for a reason with that number in that chat."""
    found = _find(connection, chat_id, message_id)
    return found if found is not None and found.kind in PROMPTS else None


def get_message(connection: Connection, key: str) -> OwnMessage:
    query = select(telegram_messages).where(telegram_messages.c.key == key)
    return OwnMessage.model_validate(connection.execute(query).mappings().one())


def told_about(connection: Connection, approval_ids: Collection[str]) -> dict[str, datetime]:
    """Keys of the announcements and reminders of these requests -> when they were reserved."""
    table = telegram_messages.c
    kinds = (MessageKind.ANNOUNCEMENT, MessageKind.REMINDER)
    query = select(table.key, table.created_at).where(
        table.kind.in_(kinds), table.approval_id.in_(approval_ids)
    )
    return {row.key: row.created_at for row in connection.execute(query)}


def announced_since(connection: Connection, chat_id: int, since: datetime) -> int:
    """How many requests this chat was told of one by one."""
    table = telegram_messages.c
    query = (
        select(func.count())
        .select_from(telegram_messages)
        .where(
            table.chat_id == chat_id,
            table.kind == MessageKind.ANNOUNCEMENT,
            table.created_at >= since,
            table.key.startswith("announce:"),
        )
    )
    return connection.execute(query).scalar_one()


def is_reserved(connection: Connection, key: str) -> bool:
    query = select(telegram_messages.c.key).where(telegram_messages.c.key == key)
    return connection.execute(query).first() is not None


def messages_to_send(connection: Connection, limit: int, paused: Collection[int] = ()) -> list[OwnMessage]:
    """For chats that are not ``paused``, oldest first, but those that failed before after all others:
    one cannot hold up the rest.
    """
    table = telegram_messages.c
    query = (
        select(telegram_messages)
        .where(table.state == MessageState.RESERVED, table.chat_id.not_in(paused))
        .order_by(table.attempts, table.created_at, table.key)
        .limit(limit)
    )
    return [OwnMessage.model_validate(row) for row in connection.execute(query).mappings()]


def cards_with_buttons(connection: Connection) -> list[OwnMessage]:
    """Copies on which a reader still sees buttons."""
    table = telegram_messages.c
    shown = table.shown.startswith(PENDING) | (table.shown == TO_DO)
    query = (
        select(telegram_messages)
        .where(table.state == MessageState.SENT, shown, table.kind.in_(CARDS))
        .order_by(table.attempts, table.sent_at, table.key)
    )
    return [OwnMessage.model_validate(row) for row in connection.execute(query).mappings()]


def change_message(connection: Connection, key: str, **values: object) -> None:
    connection.execute(update(telegram_messages).where(telegram_messages.c.key == key).values(**values))


def retry_unreachable(connection: Connection, chat_id: int) -> None:
    """The person has just written to us, so what could not reach them can now."""
    table = telegram_messages.c
    connection.execute(
        update(telegram_messages)
        .where(table.chat_id == chat_id, table.state == MessageState.UNREACHABLE)
        .values(state=MessageState.RESERVED, attempts=0)
    )


def language_of(connection: Connection, user_id: int) -> str:
    """The language tag of a person, empty when they have never written."""
    table = telegram_people.c
    found = connection.execute(select(table.language).where(table.user_id == user_id)).scalar_one_or_none()
    return found or ""


def _find(connection: Connection, chat_id: int, message_id: int) -> OwnMessage | None:
    table = telegram_messages.c
    query = select(telegram_messages).where(table.chat_id == chat_id, table.message_id == message_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else OwnMessage.model_validate(row)


def _insert(connection: Connection, message: OwnMessage) -> None:
    values = message.model_dump()
    values["buttons"] = [button.model_dump() for button in message.buttons]
    connection.execute(insert(telegram_messages).values(**values))
