"""Values out of addresses and forms, checked: what every page asks in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from tasks.errors import InvalidInput


def moment_of(text: str) -> datetime | None:
    """A time with its zone out of an address; None for "". ``InvalidInput``."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
    except ValueError:
        raise InvalidInput(
            f"before={text[:40]!r} is not a time with its zone, such as 2026-03-01T12:00:00+00:00"
        ) from None
    return moment.astimezone(UTC)


def whole(text: str, what: str) -> int:
    """A whole number out of a form's field; 0 for an empty one. ``InvalidInput``."""
    bare = text.strip()
    if not bare:
        return 0
    if not bare.isdecimal() or len(bare) > 9:
        raise InvalidInput(f"{bare[:40]!r} is not a number of {what}: write digits only, such as 200")
    return int(bare)


def once_of(form: Mapping[str, str]) -> str:
    """The idempotency key of a form that was rendered once."""
    once = form.get("once", "")[:100]
    return f"page:{once}" if once else ""
