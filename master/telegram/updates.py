"""What Telegram tells us, cut down to what we act on.

Only the fields we use are read (https://core.telegram.org/bots/api#update), so a kind of message
that was invented after this build cannot stop the door.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from master.telegram.markup import clean
from tasks.errors import InvalidInput
from tasks.record import Record

_NAME_LENGTH = 48


class Sender(Record):
    user_id: int
    #: First name, cleaned; may be empty.
    name: str
    #: IETF tag such as ``es`` or ``es-MX``; empty where the client does not say.
    language: str


class TextMessage(Record):
    update_id: int
    sender: Sender
    chat_id: int
    private: bool
    message_id: int
    text: str
    #: The message that this one answers.
    reply_to: int | None


class Tap(Record):
    """A press on an inline button."""

    update_id: int
    sender: Sender
    chat_id: int
    private: bool
    #: The message that carries the button.
    message_id: int
    query_id: str
    data: str


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _User(_Part):
    id: int
    first_name: str = ""
    language_code: str = ""


class _Chat(_Part):
    id: int
    type: str = ""


class _Replied(_Part):
    message_id: int


class _Message(_Part):
    message_id: int
    chat: _Chat
    sender: _User | None = Field(default=None, alias="from")
    text: str = ""
    reply_to_message: _Replied | None = None


class _Query(_Part):
    id: str
    sender: _User = Field(alias="from")
    data: str = ""
    message: _Message | None = None


class _Update(_Part):
    update_id: int
    message: _Message | None = None
    callback_query: _Query | None = None


def find_incoming(raw: dict[str, Any]) -> TextMessage | Tap | None:
    """What a person did, or None when it is nothing that we act on (a sticker, a channel post).

    ``InvalidInput`` when it is not an update at all.
    """
    try:
        update = _Update.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(
            f"Telegram sent an update that cannot be read (at {place}: {first['msg'].lower()}): check that "
            f"D8_TELEGRAM_API_URL points at a Bot API server"
        ) from None
    if update.callback_query is not None:
        return _tap(update.update_id, update.callback_query)
    message = update.message
    if message is not None and message.sender is not None and clean(message.text).strip():
        return _text(update.update_id, message, message.sender)
    return None


def find_sender(raw: dict[str, Any]) -> int | None:
    """The numeric user id of whoever caused the update, or None when there is no such person."""
    for kind in ("message", "callback_query"):
        part = raw.get(kind)
        sender = part.get("from") if isinstance(part, dict) else None
        if isinstance(sender, dict) and isinstance(sender.get("id"), int):
            return int(sender["id"])
    return None


def _text(update_id: int, message: _Message, sender: _User) -> TextMessage:
    replied = message.reply_to_message
    return TextMessage(
        update_id=update_id,
        sender=_sender(sender),
        chat_id=message.chat.id,
        private=message.chat.type == "private",
        message_id=message.message_id,
        text=clean(message.text),
        reply_to=replied.message_id if replied else None,
    )


def _tap(update_id: int, query: _Query) -> Tap | None:
    if query.message is None:  # a button of an inline-mode message: we never send one
        return None
    return Tap(
        update_id=update_id,
        sender=_sender(query.sender),
        chat_id=query.message.chat.id,
        private=query.message.chat.type == "private",
        message_id=query.message.message_id,
        query_id=query.id,
        data=query.data,
    )


def _sender(user: _User) -> Sender:
    name = " ".join(clean(user.first_name).split())[:_NAME_LENGTH]
    return Sender(user_id=user.id, name=name, language=user.language_code[:16])
