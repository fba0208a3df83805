"""The description of the API that its readers and programs get: complete, and true of every route."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from master.api.auth import COOKIE
from master.api.errors import PROBLEM_JSON, Problem

TAGS = {
    "runs": "Runs of flows: start, look, cancel, take up again.",
    "fleet": "The fleet at a glance; workers, invites, updates, notices.",
    "approvals": "Questions that wait for the owner.",
    "ledger": "The money, in minor units with a currency.",
    "clients": "Client projects, from a brief.",
    "darwin": "Evolutions.",
    "artifacts": "Bytes kept under their SHA-256.",
    "events": "What happened, as a list and as it happens.",
    "schedules": "What the master starts by the clock, and each time that it did.",
    "webhooks": "Addresses that are told what happened.",
    "owners": "Accounts, sessions at the dashboard, and the owner's rules.",
    "tokens": "What programs identify themselves with.",
}
_WHY = {
    "401": "No token, or one that is not known here",
    "404": "There is no such thing",
    "409": "The rules, a state or the token's scope forbid it",
    "422": "Something that was sent is not acceptable",
    "500": "A mistake of the master's",
    "503": "A part of the master is missing or does not answer",
}
_ABOUT = """One private fleet: runs, workers, approvals, money.

Every call needs a token: `d8 token create NAME --scope owner` makes one for a program, which sends it as
`Authorization: Bearer ...`. Errors are problem+json (RFC 9457). Lists come a page at a time: give `next` as `cursor`
to go on. A call that changes something may be repeated under an `Idempotency-Key`, and counts once."""


def describe_api(api: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if api.openapi_schema is None:
        api.openapi_schema = _describe(api)
    return api.openapi_schema


def _describe(api: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=api.title,
        version=api.version,
        description=_ABOUT,
        routes=api.routes,
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
    )
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    _say_local_times(schemas)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = Problem.model_json_schema()
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    document["security"] = [{"token": []}, {"session": []}]
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in document["paths"].values():
        for operation in path.values():
            for status, why in _WHY.items():
                operation["responses"][status] = {"description": why, "content": content}
    return document


def _say_local_times(part: Any) -> None:
    """JSON Schema's "time" has a zone. A time of the owner's day has none, and is said as text."""
    if isinstance(part, dict):
        if part.get("format") == "time":
            del part["format"]
        for each in part.values():
            _say_local_times(each)
    elif isinstance(part, list):
        for each in part:
            _say_local_times(each)
