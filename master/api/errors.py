"""Errors as problem+json (RFC 9457): the same paragraph that the command line shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from master.api.auth import Unauthenticated
from master.api.headers import API_HEADERS
from master.owners.limits import TooMany
from tasks.errors import D8Error, NotFound, Refused, TimedOut, Unhealthy, UsageError
from tasks.record import Record

PROBLEM_JSON = "application/problem+json"

_STATUS: tuple[tuple[type[D8Error], int], ...] = (
    (TooMany, 429),
    (Unauthenticated, 401),
    (UsageError, 422),
    (NotFound, 404),
    (Refused, 409),
    (TimedOut, 504),
    (Unhealthy, 503),
)
#: What FastAPI and Starlette refuse by themselves, as one of our kinds.
_KINDS = {401: "Unauthenticated", 404: "NotFound", 405: "Refused", 413: "InvalidInput", 422: "InvalidInput"}

_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


class Problem(Record):
    """Why a call did not succeed."""

    #: ``urn:d8:`` and the title.
    type: str
    #: The kind of error, by which a client raises the same one again.
    title: str
    status: int
    #: What happened, with which value, and what to do next.
    detail: str


def problem(status: int, kind: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """``kind`` is the error's class name, by which a client raises the same error again."""
    content = Problem(type=f"urn:d8:{kind}", title=kind, status=status, detail=detail)
    return JSONResponse(
        content.model_dump(),
        status_code=status,
        media_type=PROBLEM_JSON,
        headers={**API_HEADERS, **(headers or {})},
    )


async def show_error(_request: Request, error: Exception) -> Response:
    """For every ``D8Error`` that leaves a route."""
    assert isinstance(error, D8Error)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    headers = {"WWW-Authenticate": 'Bearer realm="d8"'} if status == 401 else None
    if isinstance(error, TooMany):
        headers = {"Retry-After": str(error.wait_s)}
    return problem(status, type(error).__name__, str(error), headers)


async def show_invalid(_request: Request, error: Exception) -> Response:
    """For a body, a path or a query that does not fit its record."""
    assert isinstance(error, ValidationError | RequestValidationError)
    return problem(422, "InvalidInput", _explain(error.errors()))


async def show_refused(request: Request, error: Exception) -> Response:
    """For what no route was there to answer: an unknown path, a wrong method, a body that is no JSON."""
    assert isinstance(error, HTTPException)
    # A body that cannot be read is input like any other.
    status = 422 if error.status_code == 400 else error.status_code
    kind = _KINDS.get(status, "Refused" if status < 500 else "Unhealthy")
    detail, headers = error.detail, dict(error.headers or {})
    if status == 404:
        detail = f"there is nothing at {request.url.path[:200]!r}: /api/docs lists what there is"
    elif status == 405:
        headers["Allow"] = await run_in_threadpool(_allowed, request)
        detail = f"{request.url.path[:200]!r} takes {headers['Allow']}, not {request.method[:20]}"
    return problem(status, kind, detail, headers)


async def show_unexpected(_request: Request, _error: Exception) -> Response:
    """For a mistake of ours. The log has its traceback; the caller gets nothing of it."""
    return problem(
        500,
        "D8Error",
        "something went wrong here that should not have: 'd8 logs' on the master says what. Nothing of this call "
        "was kept",
    )


def _allowed(request: Request) -> str:
    """All methods of this path; a single route knows only its own."""
    described = request.app.openapi()["paths"].get(request.url.path)
    if described is not None:
        return ", ".join(sorted(method.upper() for method in described))
    asked = {"type": "http", "path": request.url.path, "root_path": "", "headers": []}
    allowed = [
        method
        for method in _METHODS
        if any(route.matches({**asked, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]
    return ", ".join(allowed)


def _explain(errors: Sequence[Any]) -> str:
    first = errors[0]
    places = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")]
    return f"{'.'.join(places) or 'body'}: {first['msg']}"[:2000]
