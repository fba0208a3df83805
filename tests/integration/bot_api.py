"""A strict local Bot API: keeps updates until they are confirmed, refuses what Telegram refuses.

Rules are those of https://core.telegram.org/bots/api: offsets confirm, texts have 1 to 4096 UTF-16
units once the HTML is parsed (``bot_html.py``), captions up to 1024, callback data 1 to 64 bytes, photos
and files have their sizes, a webhook and fetching exclude each other; and, where a test asks for it,
nobody may speak faster than ``bot_limits.py`` allows.
"""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from tests.integration.bot_html import CannotParse, Entity
from tests.integration.bot_limits import SpeedLimits, TooMany
from tests.integration.bot_wire import Call, Failure, Json, Refusal, Upload, checked, make_server, refuse

_LONGEST_WAIT_S = 30
_MIB = 1024 * 1024
#: How pictures begin.
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


@dataclass
class BotApi:
    token: str
    calls: list[Call] = field(default_factory=list)
    #: Texts and keyboards that people see, by chat and message.
    messages: dict[tuple[int, int], Json] = field(default_factory=dict)
    closed_chats: set[int] = field(default_factory=set)
    #: Whether who speaks too fast is refused.
    limited: bool = False
    #: Method names that this server does not know.
    unknown_methods: set[str] = field(default_factory=set)
    #: Menus by language.
    commands: dict[str, dict[str, str]] = field(default_factory=dict)
    webhook: Json = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._updates: list[Json] = []
        self.speed = SpeedLimits()
        self._failures: dict[str, list[Failure]] = {}
        self._next_update = 700_000
        self._next_message = 1
        self._changed = threading.Condition()
        self._closing = False
        self._server = make_server(self._answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/bot"

    def __enter__(self) -> BotApi:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # What people do.

    def write(
        self,
        user: int,
        text: str,
        *,
        language: str = "es",
        chat: Json | None = None,
        reply_to: int | None = None,
    ) -> int:
        message: Json = {
            "message_id": self._new_message_id(),
            "date": 1_760_000_000,
            "from": _user(user, language),
            "chat": chat or {"id": user, "type": "private"},
            "text": text,
        }
        if reply_to is not None:
            original = {"message_id": reply_to, "date": 1, "chat": message["chat"]}
            message["reply_to_message"] = original
        return self.add_update({"message": message})

    def tap(
        self, user: int, data: str, message_id: int, *, language: str = "es", chat: Json | None = None
    ) -> int:
        place = chat or {"id": user, "type": "private"}
        message = {"message_id": message_id, "date": 0, "chat": place}
        query = {
            "id": f"q{self._next_update}",
            "from": _user(user, language),
            "chat_instance": "1",
            "data": data,
            "message": message,
        }
        return self.add_update({"callback_query": query})

    def tap_button(self, user: int, message_id: int, label: str) -> int:
        """Press the button that reads so; fails when the message does not carry it."""
        return self.tap(user, self.buttons(user, message_id)[label], message_id)

    def add_update(self, update: Json) -> int:
        with self._changed:
            update_id = self._next_update
            self._next_update += 1
            self._updates.append({"update_id": update_id, **update})
            self._changed.notify_all()
        return update_id

    # What the test looks at.

    def fail_next(self, method: str, failure: Failure) -> None:
        with self._changed:
            self._failures.setdefault(method, []).append(failure)

    def text(self, chat: int, message_id: int) -> str:
        return str(self.messages[chat, message_id]["text"])

    def entities(self, chat: int, message_id: int) -> list[Entity]:
        return list(self.messages[chat, message_id]["entities"])

    def file(self, chat: int, message_id: int) -> Upload | None:
        """What the message shows beside its text: a photo or a document."""
        found: Upload | None = self.messages[chat, message_id].get("file")
        return found

    def buttons(self, chat: int, message_id: int) -> dict[str, str]:
        """Label -> callback data."""
        markup = self.messages[chat, message_id]["markup"]
        return {key["text"]: key["callback_data"] for row in markup.get("inline_keyboard", []) for key in row}

    def shown(self, chat: int) -> list[int]:
        """Numbers of our messages in a chat, oldest first."""
        return sorted(number for owner, number in self.messages if owner == chat)

    def count(self, method: str) -> int:
        return sum(call.method == method for call in self.calls)

    def unconfirmed(self) -> int:
        with self._changed:
            return len(self._updates)

    def wait_for(self, happened: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(happened, _LONGEST_WAIT_S), [call.method for call in self.calls]

    # What Telegram does.

    def _answer(self, path: str, values: Json) -> tuple[int, Json]:
        token, _, method = urllib.parse.unquote(path).removeprefix("/bot").rpartition("/")
        if token != self.token:
            return 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
        with self._changed:
            self.calls.append(Call(method, values))
            self._changed.notify_all()
            failure = self._failures[method].pop(0) if self._failures.get(method) else None
            if failure is not None and not failure.after_the_act:
                return refuse(failure)
            try:
                if method in self.unknown_methods or not hasattr(self, f"_{method}"):
                    raise Refusal(404, "Not Found: method not found")
                if self.limited and method.startswith(("send", "edit")):
                    self.speed.check(int(values["chat_id"]))
                result = getattr(self, f"_{method}")(values)
            except Refusal as refusal:
                return refuse(Failure(refusal.status, str(refusal)))
            except CannotParse as error:
                return refuse(Failure(400, f"Bad Request: {error}"))
            except TooMany as error:
                return refuse(Failure(429, str(error), retry_after=error.retry_after_s))
            self._changed.notify_all()
            if failure is not None:
                return refuse(failure)
            return 200, {"ok": True, "result": result}

    def _getUpdates(self, values: Json) -> list[Json]:  # noqa: N802
        if self.webhook:
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active")
        offset = int(values.get("offset", 0))
        self._updates = [update for update in self._updates if update["update_id"] >= offset]
        self._changed.notify_all()
        self._changed.wait_for(lambda: self._updates or self._closing, float(values.get("timeout", 0)))
        return self._updates[:100]

    def _sendMessage(self, values: Json) -> Json:  # noqa: N802
        return self._keep(values, checked(values, "text", 1, 4096))

    def _sendPhoto(self, values: Json) -> Json:  # noqa: N802
        photo: Upload = values["photo"]
        if len(photo.data) > 10 * _MIB:
            raise Refusal(413, "Request Entity Too Large")
        if not photo.data.startswith(_IMAGES):
            raise Refusal(400, "Bad Request: IMAGE_PROCESS_FAILED")
        return self._keep(values, {**checked(values, "caption", 0, 1024), "file": photo, "photo": True})

    def _sendDocument(self, values: Json) -> Json:  # noqa: N802
        document: Upload = values["document"]
        if len(document.data) > 50 * _MIB:
            raise Refusal(413, "Request Entity Too Large")
        if not document.data:
            raise Refusal(400, "Bad Request: file must be non-empty")
        return self._keep(values, {**checked(values, "caption", 0, 1024), "file": document})

    def _editMessageText(self, values: Json) -> Json:  # noqa: N802
        if "file" in self._found(values):
            raise Refusal(400, "Bad Request: there is no text in the message to edit")
        return self._replace(values, checked(values, "text", 1, 4096))

    def _editMessageCaption(self, values: Json) -> Json:  # noqa: N802
        found = self._found(values)
        if "file" not in found:
            raise Refusal(400, "Bad Request: there is no caption in the message to edit")
        kept = {name: found[name] for name in ("file", "photo") if name in found}
        return self._replace(values, {**checked(values, "caption", 0, 1024), **kept})

    def _setMyCommands(self, values: Json) -> bool:  # noqa: N802
        listed = json.loads(values["commands"])
        for one in listed:
            if not _COMMAND.fullmatch(one["command"]) or not 1 <= len(one["description"]) <= 256:
                raise Refusal(400, "Bad Request: BOT_COMMAND_INVALID")
        if len(listed) > 100:
            raise Refusal(400, "Bad Request: BOT_COMMANDS_TOO_MUCH")
        menu = {one["command"]: one["description"] for one in listed}
        self.commands[values.get("language_code", "")] = menu
        return True

    def _setWebhook(self, values: Json) -> bool:  # noqa: N802
        if not _SECRET.fullmatch(values.get("secret_token", "none")):
            raise Refusal(400, "Bad Request: secret token contains unallowed characters")
        self.webhook = values if values["url"] else {}
        return True

    def _deleteWebhook(self, values: Json) -> bool:  # noqa: N802
        self.webhook = {}
        return True

    def _getWebhookInfo(self, values: Json) -> Json:  # noqa: N802
        return {"url": self.webhook.get("url", ""), "pending_update_count": len(self._updates)}

    def _keep(self, values: Json, message: Json) -> Json:
        chat = int(values["chat_id"])
        if chat in self.closed_chats:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        number = self._new_message_id()
        self.messages[chat, number] = message
        return {"message_id": number, "date": 1_760_000_000, "chat": {"id": chat, "type": "private"}}

    def _found(self, values: Json) -> Json:
        found = self.messages.get((int(values["chat_id"]), int(values["message_id"])))
        if found is None:
            raise Refusal(400, "Bad Request: message to edit not found")
        return found

    def _replace(self, values: Json, wanted: Json) -> Json:
        place = int(values["chat_id"]), int(values["message_id"])
        if wanted == self._found(values):
            raise Refusal(400, "Bad Request: message is not modified: the new content is the same")
        self.messages[place] = wanted
        return {"message_id": place[1], "date": 1_760_000_000, "chat": {"id": place[0], "type": "private"}}

    def _answerCallbackQuery(self, values: Json) -> bool:  # noqa: N802
        if len(values.get("text", "")) > 200:
            raise Refusal(400, "Bad Request: MESSAGE_TOO_LONG")
        return True

    def _new_message_id(self) -> int:
        with self._changed:
            self._next_message += 1
            return self._next_message - 1


def _user(user: int, language: str) -> Json:
    return {"id": user, "is_bot": False, "first_name": "Ana", "language_code": language}
