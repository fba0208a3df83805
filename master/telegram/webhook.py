"""Updates that Telegram brings, instead of being asked for them: where to, and how it proves itself.

The API's process takes them in (``webhook_routes.py``); the door's process acts on them.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from master.settings import Settings
from tasks.errors import InvalidInput
from tasks.record import Record

PATH = "/telegram/updates"


class Webhook(Record):
    url: str
    secret: str


def find_webhook(settings: Settings) -> Webhook | None:
    """Where Telegram is to bring updates; None when they are fetched. ``InvalidInput``: no https URL."""
    token = settings.telegram_token.get_secret_value().strip() if settings.telegram_token else ""
    base = settings.telegram_webhook_url.strip().rstrip("/")
    if not token or not base:
        return None
    if urlsplit(base).scheme not in ("https", "http") or not urlsplit(base).netloc:
        raise InvalidInput(
            f"D8_TELEGRAM_WEBHOOK_URL is {base!r}: set it to the https address at which Telegram reaches this "
            f"master's API, such as https://d8.example.org, or unset it"
        )
    given = settings.telegram_webhook_secret.get_secret_value()
    return Webhook(url=base + PATH, secret=given or webhook_secret(token))


def webhook_secret(token: str) -> str:
    """Known to whoever holds the bot's token, and to nobody else."""
    return hmac.new(token.encode(), b"d8 telegram webhook, version 1", hashlib.sha256).hexdigest()
