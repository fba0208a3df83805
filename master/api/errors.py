"""Errors as problem+json (RFC 9457): the same paragraph that the command line shows."""

from __future__ import annotations

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from master.api.auth import Unauthenticated
from tasks.errors import D8Error, NotFound, Refused, TimedOut, Unhealthy, UsageError

_STATUS: tuple[tuple[type[D8Error], int], ...] = (
    (Unauthenticated, 401),
    (UsageError, 422),
    (NotFound, 404),
    (Refused, 409),
    (TimedOut, 504),
    (Unhealthy, 503),
)


def problem(status: int, kind: str, detail: str) -> JSONResponse:
    """``kind`` is the error's class name, by which a client raises the same error again."""
    return JSONResponse(
        {"type": f"urn:d8:{kind}", "title": kind, "status": status, "detail": detail},
        status_code=status,
        media_type="application/problem+json",
    )


async def show_error(_request: Request, error: Exception) -> Response:
    """For every ``D8Error`` that leaves a route."""
    assert isinstance(error, D8Error)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return problem(status, type(error).__name__, str(error))


async def show_invalid(_request: Request, error: Exception) -> Response:
    """For a body that does not fit its record."""
    assert isinstance(error, ValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    return problem(422, "InvalidInput", f"{where}: {first['msg']}")
