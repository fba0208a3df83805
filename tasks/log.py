"""Logs: one constant event name, with ids as fields, readable by people and by grep; with
``D8_LOG_FORMAT=json`` one object a line, for programs. No secret is written, whoever logs it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from tasks.files import default_home, read_text_or_empty

_about: ContextVar[Mapping[str, Any]] = ContextVar("d8_log_about", default=MappingProxyType({}))

SHOWN_INSTEAD = "<secret>"
#: What a field of such a name holds is not written.
_SECRET_NAMES = re.compile(r"(?:^|_)(?:token|password|secret|passphrase|authorization|cookie)$", re.I)
_SECRETS = re.compile(
    # The password of an address.
    r"(?<=://)(?P<user>[^\s/:@]*):[^\s/@]+(?=@)"
    # What a request says to be let in.
    r"|(?P<scheme>\b(?:Bearer|Basic) )[A-Za-z0-9._~+/=-]{8,}"
    # Our own tokens (master/tokens.py), and those of the Bot API.
    r"|\bd8[A-Za-z0-9_-]{43}\b|(?<![0-9])[0-9]{6,12}:[A-Za-z0-9_-]{30,}"
    r"|(?P<name>\b\w*(?:token|password|secret|passphrase)[\"']?[=:]\s?)[^\s,;&]+",
    re.I,
)
_CHATTY = ("httpx", "httpcore", "urllib3", "uvicorn.access", "celery.beat")


def say(logger: logging.Logger, level: int, event: str, /, **fields: Any) -> None:
    """``say(log, logging.INFO, "step_claimed", step=7, worker="garage")``

    Expected trouble is a warning; an error means that a person must look.
    """
    if logger.isEnabledFor(level):
        text = " ".join([event, *(f"{name}={_shown(value)}" for name, value in fields.items())])
        logger.log(level, "%s", text, extra={"action": event, "fields": fields})


@contextlib.contextmanager
def about(**fields: Any) -> Iterator[None]:
    """What is logged within is about these: run, step, attempt, worker. Only JSON says so in each line."""
    mark = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(mark)


def redact(text: str) -> str:
    """The text without what looks like a secret."""
    return _SECRETS.sub(
        lambda m: (
            (f"{m['user']}:" if m["user"] is not None else m["scheme"] or m["name"] or "") + SHOWN_INSTEAD
        ),
        text,
    )


class TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname).1s %(name)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """One object a line: ``at`` (UTC), ``level``, ``logger``, ``event`` (of ``say``; else empty), ``message``, then
    what it is about, then its own fields, then ``error`` with the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        shown: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": getattr(record, "action", ""),
            "message": redact(record.getMessage()),
        }
        fields = {**_about.get(), **getattr(record, "fields", {})}
        for name, value in fields.items():
            shown.setdefault(name, _as_json(name, value))
        if record.exc_info:
            shown["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(shown, ensure_ascii=False)


def _as_json(name: str, value: Any) -> Any:
    if _SECRET_NAMES.search(name) and value:
        return SHOWN_INSTEAD
    return value if value is None or isinstance(value, bool | int | float) else redact(str(value))


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text) if not text or any(c.isspace() or not c.isprintable() for c in text) else text


def find_log_format() -> str:
    """``D8_LOG_FORMAT`` of the environment or of ``d8.env``: logs begin before settings are read."""
    if given := os.environ.get("D8_LOG_FORMAT", ""):
        return given
    found = re.search(r"^D8_LOG_FORMAT=[\"']?(\w+)", read_text_or_empty(default_home() / "d8.env"), re.M)
    return found[1] if found else "text"


def configure_logging(level: str = "INFO") -> None:
    """Lines on standard error; the supervisor or the container keeps them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if find_log_format() == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # These name URLs, which may hold secrets, and say one line per request.
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
