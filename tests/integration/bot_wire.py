"""The Bot API's wire: calls, uploads, refusals and the HTTP server that carries them."""

from __future__ import annotations

import email.parser
import email.policy
import json
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.integration.bot_html import parse, utf16_units

Json = dict[str, Any]


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


@dataclass
class Upload:
    name: str
    data: bytes


class Refusal(Exception):
    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status = status


def make_server(answer: Callable[[str, Json], tuple[int, Json]]) -> ThreadingHTTPServer:
    """On a free port; ``answer`` gets a call's path and parameters and says status and body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        #: Head and body travel together: apart, the second waits 40 ms for the first to be acknowledged.
        wbufsize = -1

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            values = read_form(self.headers.get("Content-Type", ""), self.rfile.read(length))
            status, said = answer(self.path, values)
            body = json.dumps(said).encode()
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

    return Server(("127.0.0.1", 0), Handler)


def refuse(failure: Failure) -> tuple[int, Json]:
    answer: Json = {"ok": False, "error_code": failure.status, "description": failure.description}
    if failure.retry_after:
        answer["parameters"] = {"retry_after": failure.retry_after}
    return failure.status, answer


def read_form(content_type: str, body: bytes) -> Json:
    """The parameters of a call, uploads among them."""
    if not content_type.startswith("multipart/"):
        return dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    values: Json = {}
    for part in form.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        file_name = part.get_filename()
        values[name] = data.decode() if file_name is None else Upload(file_name, data)
    return values


def checked(values: Json, part: str, least: int, most: int) -> Json:
    """What the reader sees, or the refusal that Telegram would give."""
    given = values.get(part, "")
    plain, entities = parse(given) if values.get("parse_mode") == "HTML" else (given, [])
    if not least <= utf16_units(plain) <= most:
        raise Refusal(400, f"Bad Request: message {part} is too long or empty")
    markup = json.loads(values.get("reply_markup", "{}"))
    keys = [key for row in markup.get("inline_keyboard", []) for key in row]
    if len(keys) > 100 or not all(1 <= len(key["callback_data"].encode()) <= 64 for key in keys):
        raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
    return {"text": plain, "entities": entities, "markup": markup}
