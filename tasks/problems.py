"""The master's answers as errors: the receiving end of its problem+json."""

from __future__ import annotations

import json

from tasks import errors

_KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.D8Error)
}


def error_from_answer(status: int, body: bytes, what: str) -> errors.D8Error:
    """The error that an answer of this status stands for; ``what`` was being done."""
    try:
        problem = json.loads(body)
        kind = _KINDS.get(problem["title"], errors.Refused if 400 <= status < 500 else errors.Unreachable)
        return kind(problem["detail"])
    except (ValueError, KeyError, TypeError):
        text = body[:200].decode("utf-8", "replace").strip()
        kind = errors.Refused if 400 <= status < 500 else errors.Unreachable
        return kind(f"{what}: the master answered {status} ({text or 'nothing more'})")
