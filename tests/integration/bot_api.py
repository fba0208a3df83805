"""A strict local Bot API: keeps updates until they are confirmed, refuses what Telegram refuses.

Rules are those of https://core.telegram.org/bots/api: offsets confirm, texts have 1 to 4096 UTF-16
units once the HTML is parsed, callback data has 1 to 64 bytes.
"""

from __future__ import annotations

import html
import json
import re
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Json = dict[str, Any]

_TAG = re.compile(r"</?([a-z]+)>")
_ENTITY = re.compile(r"&(lt|gt|amp|quot);")
_LONGEST_WAIT_S = 30


@dataclass
class Call:
    method: str
    values: Json


@dataclass
class Failure:
    status: int
    description: str
    retry_after: int = 0
    #: The request is carried out, but the answer gets lost.
    after_the_act: bool = False


class Refusal(Exception):
    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status = status


@dataclass
class BotApi:
    token: str
    calls: list[Call] = field(default_factory=list)
    #: Texts and keyboards that people see, by chat and message.
    messages: dict[tuple[int, int], Json] = field(default_factory=dict)
    closed_chats: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._updates: list[Json] = []
        self._failures: dict[str, list[Failure]] = {}
        self._next_update = 700_000
        self._next_message = 1
        self._changed = threading.Condition()
        self._closing = False
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                values = dict(
                    urllib.parse.parse_qsl(self.rfile.read(length).decode(), keep_blank_values=True)
                )
                status, answer = api._answer(self.path, values)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """The requests are in ``calls``."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that went away in the middle is part of the tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
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

    def tap(self, user: int, data: str, message_id: int, *, language: str = "es") -> int:
        message = {"message_id": message_id, "date": 0, "chat": {"id": user, "type": "private"}}
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
                return _refuse(failure)
            try:
                result = getattr(self, f"_{method}")(values)
            except Refusal as refusal:
                return _refuse(Failure(refusal.status, str(refusal)))
            self._changed.notify_all()
            if failure is not None:
                return _refuse(failure)
            return 200, {"ok": True, "result": result}

    def _getUpdates(self, values: Json) -> list[Json]:  # noqa: N802
        offset = int(values.get("offset", 0))
        self._updates = [update for update in self._updates if update["update_id"] >= offset]
        self._changed.notify_all()
        self._changed.wait_for(lambda: self._updates or self._closing, float(values.get("timeout", 0)))
        return self._updates[:100]

    def _sendMessage(self, values: Json) -> Json:  # noqa: N802
        chat = int(values["chat_id"])
        if chat in self.closed_chats:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        number = self._new_message_id()
        self.messages[chat, number] = _checked(values)
        return {"message_id": number, "date": 1_760_000_000, "chat": {"id": chat, "type": "private"}}

    def _editMessageText(self, values: Json) -> Json:  # noqa: N802
        place = int(values["chat_id"]), int(values["message_id"])
        if place not in self.messages:
            raise Refusal(400, "Bad Request: message to edit not found")
        wanted = _checked(values)
        if wanted == self.messages[place]:
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


def _refuse(failure: Failure) -> tuple[int, Json]:
    answer: Json = {"ok": False, "error_code": failure.status, "description": failure.description}
    if failure.retry_after:
        answer["parameters"] = {"retry_after": failure.retry_after}
    return failure.status, answer


def _checked(values: Json) -> Json:
    """What the reader sees, or the refusal that Telegram would give."""
    plain = parse_html(values["text"])
    if not 1 <= len(plain.encode("utf-16-le")) // 2 <= 4096:
        raise Refusal(400, "Bad Request: message is too long or empty")
    markup = json.loads(values.get("reply_markup", "{}"))
    for row in markup.get("inline_keyboard", []):
        for key in row:
            if not 1 <= len(key["callback_data"].encode()) <= 64:
                raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
    return {"text": plain, "markup": markup}


def parse_html(text: str) -> str:
    """The plain text of Telegram HTML; stricter than Telegram, which lets a lone ``&`` pass."""
    open_tags: list[str] = []
    for tag in _TAG.finditer(text):
        if not tag.group().startswith("</"):
            open_tags.append(tag.group(1))
        elif not open_tags or open_tags.pop() != tag.group(1):
            raise Refusal(400, f"Bad Request: can't parse entities: unexpected end tag {tag.group()}")
    bare = _TAG.sub("", text)
    if open_tags or "<" in bare or "&" in _ENTITY.sub("", bare):
        raise Refusal(400, "Bad Request: can't parse entities: unsupported start tag")
    return html.unescape(bare)
