"""Failures in OpenAI's form: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse

from tasks.errors import HandlerError, PermanentFailure
from worker.models.front.catalog import UnknownModel
from worker.models.outcomes import Expired, GivenUp, Overloaded, Rejected

#: Nobody reads it: the client has hung up.
CLIENT_GONE_STATUS = 499

_TYPES = {
    401: "authentication_error",
    408: "timeout_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}


class ApiError(Exception):
    """What a program is told that asked over HTTP.

    Args:
        status: HTTP status.
        message: what happened and what to do.
        param: the field of the request that is at fault.
        code: a constant name of what happened.
        again: whether the same request may succeed later.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        again: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self._body = {
            "message": message,
            "type": _TYPES.get(status, "invalid_request_error"),
            "param": param,
            "code": code,
        }
        self._again = again

    def body(self) -> dict[str, Any]:
        return {"error": self._body}

    def response(self) -> JSONResponse:
        # OpenAI's client repeats every 408 and 5xx by itself, unless this header says that it is no use.
        headers = {"x-should-retry": "true" if self._again else "false"}
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return JSONResponse(self.body(), self.status, headers)


def refused(message: str, param: str | None = None) -> ApiError:
    """A request that is wrong in itself."""
    return ApiError(400, message, param=param, code="invalid_value")


def invalid(error: ValidationError) -> ApiError:
    """The first thing that is wrong, by its field, and how many more there are."""
    # Without the input: who made the mistake knows it, and it may be megabytes.
    problems = error.errors(include_url=False, include_input=False)
    first = problems[0]
    field = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return refused(f"{field or 'the request'}: {first['msg']}{more}", field or None)


def told(error: HandlerError) -> ApiError:
    """How a request that was not answered is reported."""
    message = str(error)
    if isinstance(error, UnknownModel):
        return ApiError(404, message, param="model", code="model_not_found")
    if isinstance(error, GivenUp):
        return ApiError(CLIENT_GONE_STATUS, message, code="client_gone")
    if isinstance(error, Expired):
        return ApiError(408, message, param="deadline_s", code="expired")
    if isinstance(error, Overloaded):
        return ApiError(429, message, code="overloaded", again=True)
    if isinstance(error, Rejected):
        return refused(message)
    if isinstance(error, PermanentFailure):
        return ApiError(500, message, code="failed")
    return ApiError(503, message, code="unavailable", again=True)
