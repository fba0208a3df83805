"""The bot's token is a part of every URL of the Bot API: keep it out of all that we write."""

from __future__ import annotations

import logging
import traceback
from urllib.parse import quote

SHOWN_INSTEAD = "<token>"


def redact(text: str, token: str) -> str:
    """The text without the token, plain or percent-encoded."""
    if not token:
        return text
    return text.replace(token, SHOWN_INSTEAD).replace(quote(token, safe=""), SHOWN_INSTEAD)


class TokenFilter(logging.Filter):
    """Takes the token out of records: message, arguments and traceback."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage(), self._token), ()
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        if record.exc_text:
            record.exc_text = redact(record.exc_text, self._token)
        return True


def guard_logs(token: str) -> None:
    """No handler of this process writes the token. Filters of loggers would miss their children."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(TokenFilter(token))
