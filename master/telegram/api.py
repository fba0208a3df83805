"""Telegram's Bot API through python-telegram-bot, with its many errors sorted into what we do next.

TelegramAway        no answer, or none that counts: the outcome is unknown, try again later
  TooFast           the same, and Telegram says when
PersonUnreachable   the person blocked the bot or never opened a chat with it
MessageRefused      this message will never be taken
TokenRefused        the token, or the address of the API, is wrong

No message and no traceback of these errors holds the token, which is a part of every URL.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

import telegram
from telegram import InputFile
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from master.telegram.messages import Button
from master.telegram.redact import redact
from tasks.errors import InvalidInput, Refused, Unhealthy, Unreachable

T = TypeVar("T")

_ALLOWED_UPDATES = ["message", "callback_query"]
_PARSED = {"parse_mode": "HTML"}
_HTML = {**_PARSED, "link_preview_options": {"is_disabled": True}}
#: An edit or an answer that finds its work done, or nothing left to do it on.
_AS_GOOD_AS_DONE = (
    "message is not modified",
    "message to edit not found",
    "message can't be edited",
    "message_id_invalid",
    "query is too old",
    "query id is invalid",
)
_UNREACHABLE = ("chat not found", "user is deactivated", "bot was blocked", "peer_id_invalid")


class TelegramAway(Unreachable):
    pass


class TooFast(TelegramAway):
    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PersonUnreachable(Refused):
    pass


class MessageRefused(InvalidInput):
    pass


class TokenRefused(Unhealthy):
    pass


class _RawBot(telegram.Bot):
    """Returns updates as they came. ``Bot.get_updates`` would parse them first, so that one message
    of a kind that the library does not know yet could stop every later one from being stored.
    """

    async def fetch_updates(self, offset: int | None, wait_s: int) -> list[dict[str, Any]]:
        data = {"offset": offset, "timeout": wait_s, "allowed_updates": _ALLOWED_UPDATES}
        fetched = await self._post("getUpdates", data, read_timeout=wait_s + 10)
        return cast("list[dict[str, Any]]", fetched)

    async def post(self, method: str, data: dict[str, Any], *, read_timeout: float = 20) -> Any:
        """A call whose answer is not parsed either."""
        return await self._post(method, data, read_timeout=read_timeout)


class TelegramApi:
    """The calls that the door makes."""

    def __init__(self, token: str, bot: _RawBot, api_url: str) -> None:
        self._token = token
        self._bot = bot
        self._shown_url = redact(api_url, token)
        # Telegram has been seen to refuse good tokens during incidents: once one was taken, a refusal
        # is trouble that passes.
        self._token_worked = False

    async def fetch_updates(self, offset: int | None, wait_s: int) -> list[dict[str, Any]]:
        """Updates from ``offset`` on, which confirms all before it; None: the earliest unconfirmed.

        Waits up to ``wait_s`` seconds for the first.
        """
        try:
            fetched = await self._call(lambda: self._bot.fetch_updates(offset, wait_s))
        except (MessageRefused, PersonUnreachable) as error:  # of a request without a message: not Telegram
            raise TelegramAway(str(error)) from None
        if not all(isinstance(update.get("update_id"), int) for update in fetched):
            raise TelegramAway(
                f"{self._shown_url} answers something else than updates: check D8_TELEGRAM_API_URL"
            )
        return fetched

    async def send(self, chat_id: int, text: str, buttons: Sequence[Button], *, ask_reply: bool) -> int:
        """Send HTML to a chat; returns Telegram's number of the message."""
        markup = {"force_reply": True} if ask_reply else _keyboard(buttons)
        return await self._send("sendMessage", chat_id, {"text": text, **_HTML, "reply_markup": markup})

    async def send_photo(self, chat_id: int, image: bytes, caption: str, buttons: Sequence[Button]) -> int:
        """Send an image with HTML under it; returns Telegram's number of the message."""
        photo = InputFile(image, filename="photo")
        return await self._send(
            "sendPhoto",
            chat_id,
            {"photo": photo, "caption": caption, **_PARSED, "reply_markup": _keyboard(buttons)},
        )

    async def send_document(self, chat_id: int, name: str, data: bytes, caption: str) -> int:
        """Send a file; returns Telegram's number of the message."""
        document = InputFile(data, filename=name)
        return await self._send(
            "sendDocument", chat_id, {"document": document, "caption": caption or None, **_PARSED}
        )

    async def edit(self, chat_id: int, message_id: int, text: str, buttons: Sequence[Button]) -> None:
        """Put HTML and buttons in the place of what the message shows."""
        data = {"text": text, **_HTML, "reply_markup": _keyboard(buttons)}
        await self._edit("editMessageText", chat_id, message_id, data)

    async def edit_caption(
        self, chat_id: int, message_id: int, caption: str, buttons: Sequence[Button]
    ) -> None:
        """The same for a message with a photo."""
        data = {"caption": caption, **_PARSED, "reply_markup": _keyboard(buttons)}
        await self._edit("editMessageCaption", chat_id, message_id, data)

    async def answer(self, query_id: str, text: str) -> None:
        """End the waiting sign on a pressed button; plain text of at most 200 characters."""
        data = {"callback_query_id": query_id, "text": text or None}
        with _settled():
            await self._call(lambda: self._bot.post("answerCallbackQuery", data, read_timeout=5))

    async def set_commands(self, commands: Mapping[str, str], language: str) -> None:
        """The menu that Telegram offers while a command is typed. ``language`` "": for all others."""
        listed = [{"command": name, "description": text[:256]} for name, text in commands.items()]
        data = {"commands": listed, "language_code": language or None}
        await self._call(lambda: self._bot.post("setMyCommands", data))

    async def set_webhook(self, url: str, secret: str) -> None:
        """Updates are sent to ``url`` from now on, with ``secret`` in a header."""
        data = {"url": url, "secret_token": secret, "allowed_updates": _ALLOWED_UPDATES}
        await self._call(lambda: self._bot.post("setWebhook", data))

    async def delete_webhook(self) -> None:
        """Updates wait for being fetched; those that were not delivered are kept."""
        await self._call(lambda: self._bot.post("deleteWebhook", {}))

    async def webhook_trouble(self) -> str:
        """Why Telegram could not deliver an update lately, or ""."""
        found = await self._call(lambda: self._bot.post("getWebhookInfo", {}))
        return str(found.get("last_error_message", "")) if found.get("pending_update_count") else ""

    async def _send(self, method: str, chat_id: int, data: dict[str, Any]) -> int:
        sent = await self._call(lambda: self._bot.post(method, {"chat_id": chat_id, **data}))
        return int(sent["message_id"])

    async def _edit(self, method: str, chat_id: int, message_id: int, data: dict[str, Any]) -> None:
        place = {"chat_id": chat_id, "message_id": message_id}
        with _settled():
            await self._call(lambda: self._bot.post(method, {**place, **data}))

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            answer = await call()
        except TelegramError as error:
            sorted_error = self._sort(error)
        else:
            self._token_worked = True
            return answer
        # Outside of the handler and without a cause: the library's error may hold the URL.
        raise sorted_error

    def _sort(self, error: TelegramError) -> Exception:
        said = redact(str(error), self._token)
        if isinstance(error, RetryAfter):
            wait = error.retry_after
            seconds = wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
            return TooFast(f"Telegram asks for a pause of {seconds:.0f} s", seconds)
        if isinstance(error, InvalidToken):
            kind = TelegramAway if self._token_worked else TokenRefused
            return kind(
                f"Telegram at {self._shown_url} refuses the bot's token ({said}): check "
                f"D8_TELEGRAM_TOKEN with @BotFather, and D8_TELEGRAM_API_URL if you set it"
            )
        if isinstance(error, Forbidden) or any(text in said.lower() for text in _UNREACHABLE):
            return PersonUnreachable(f"Telegram cannot deliver ({said}): they must send /start to the bot")
        if isinstance(error, BadRequest):
            return MessageRefused(f"Telegram refuses the message ({said})")
        if isinstance(error, Conflict):
            return TelegramAway(
                f"Telegram serves another reader of this bot ({said}): stop the other process that polls "
                f"with the same token, or delete its webhook"
            )
        return TelegramAway(
            f"Telegram at {self._shown_url} does not answer ({said}): check the network; "
            f"it is tried again by itself"
        )


@contextlib.asynccontextmanager
async def open_api(token: str, api_url: str) -> AsyncIterator[TelegramApi]:
    """The API of one bot. Nothing is sent until the first call, so it opens while Telegram is away."""
    # python-telegram-bot 22 warns about RetryAfter's number of seconds until this says "durations".
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    # These write URLs, and so the token, into the log.
    for chatty in ("httpx", "httpcore", "telegram"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    calls = HTTPXRequest(connection_pool_size=8, connect_timeout=10, read_timeout=20, pool_timeout=20)
    polls = HTTPXRequest(connection_pool_size=1, connect_timeout=10, read_timeout=20, pool_timeout=20)
    bot = _RawBot(token, base_url=api_url, request=calls, get_updates_request=polls)
    try:
        yield TelegramApi(token, bot, api_url)
    finally:
        await calls.shutdown()
        await polls.shutdown()


@contextlib.contextmanager
def _settled() -> Iterator[None]:
    """Take "message is not modified", "query is too old" and their like as success."""
    try:
        yield
    except MessageRefused as error:
        if not any(text in str(error).lower() for text in _AS_GOOD_AS_DONE):
            raise


def _keyboard(buttons: Sequence[Button]) -> dict[str, Any] | None:
    """Short rows: two buttons fit beside each other on a phone."""
    if not buttons:
        return None
    keys = [{"text": button.label, "callback_data": button.data} for button in buttons]
    return {"inline_keyboard": [keys[i : i + 2] for i in range(0, len(keys), 2)]}
