"""From an HTTP body to a checked request: its size, its form, and what we do not offer."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request

from tasks.record import Record
from worker.models.front.errors import ApiError, invalid, refused

Asked = TypeVar("Asked", bound=Record)

MAX_BODY_BYTES = 8 * 2**20

#: Fields that change nothing here: who asks, and how OpenAI keeps, bills and routes.
_IGNORED = frozenset(
    "user metadata store service_tier safety_identifier prompt_cache_key prompt_cache_retention "
    "parallel_tool_calls verbosity".split()
)

#: Fields that would change the answer and are not offered, with the values by which they do nothing.
_NOT_OFFERED: dict[str, tuple[Any, ...]] = {
    "echo": (False,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "best_of": (1,),
    "suffix": ("",),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "min_p": (0,),
    "min_tokens": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "reasoning_effort": (),
    "web_search_options": (),
    "dimensions": (),
}


async def read(request: Request, kind: type[Asked]) -> Asked:
    """The request's body as ``kind``; ``ApiError`` names the field that is wrong."""
    body = await _read_whole(request)
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refused("the body is not JSON: send one object, encoded as UTF-8") from error
    if not isinstance(asked, dict):
        raise refused("the body is JSON and no object: send one with the request's fields")
    try:
        return kind.model_validate(tidied(asked))
    except ValidationError as error:
        raise invalid(error) from error


def tidied(asked: dict[str, Any]) -> dict[str, Any]:
    """The fields that say something. ``ApiError`` where one asks for what is not offered."""
    left = {}
    for name, value in asked.items():
        if value is None or name in _IGNORED:
            continue
        if name not in _NOT_OFFERED:
            left[name] = value
        # False is 0 in Python, and logprobs=0 asks for some.
        elif not any(value == idle and type(value) in _likes(idle) for idle in _NOT_OFFERED[name]):
            raise ApiError(
                400,
                f"{name} is not offered by this server: leave it out",
                param=name,
                code="unsupported_parameter",
            )
    return left


def _likes(value: Any) -> tuple[type, ...]:
    number = isinstance(value, int) and not isinstance(value, bool)
    return (int, float) if number else (type(value),)


async def _read_whole(request: Request) -> bytes:
    """The body; refused as soon as it is too large, whatever its header says of its length."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(
                413,
                f"the body is larger than {MAX_BODY_BYTES >> 20} MiB: send less at once",
                code="request_too_large",
            )
    return bytes(body)
