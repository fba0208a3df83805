"""Calls to an OpenAI-compatible endpoint: the key, patience with rate limits, clear failures."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import requests

from tasks.errors import PermanentFailure, TransientFailure

_TRIES = 5
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_CONNECT_TIMEOUT_S = 10.0


class NotOffered(PermanentFailure):
    """The endpoint does not know this path or one of its parameters."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where to call. The key is sent to this base URL alone and never logged."""

    base_url: str
    api_key: str = dataclasses.field(default="", repr=False)
    timeout_s: float = 300.0
    sleep: Callable[[float], None] = time.sleep

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON object that ``path`` answers.

        Rate limits (429), server errors and lost connections are tried again with growing pauses,
        or the pause that the endpoint asks for; then ``TransientFailure``. ``NotOffered`` and other
        refusals are permanent.
        """
        pause_s, problem = _FIRST_PAUSE_S, ""
        for attempt in range(_TRIES):
            if attempt:
                self.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            try:
                response = self._send(path, body)
            except (requests.ConnectionError, requests.Timeout) as error:
                problem = type(error).__name__
                continue
            if _is_passing(response.status_code):
                problem = f"status {response.status_code}"
                pause_s = max(pause_s, _asked_pause_s(response))
                continue
            return self._read(path, response)
        raise TransientFailure(
            f"the endpoint {self.base_url}{path} did not answer in {_TRIES} tries (last: {problem}): check "
            "that it runs and that its rate limit suffices"
        )

    def _send(self, path: str, body: dict[str, Any]) -> requests.Response:
        return requests.post(
            self.base_url + path,
            json=body,
            headers={"Authorization": f"Bearer {self.api_key}"} if self.api_key else {},
            timeout=(_CONNECT_TIMEOUT_S, self.timeout_s),
            # A redirect could carry the key to another host.
            allow_redirects=False,
        )

    def _read(self, path: str, response: requests.Response) -> dict[str, Any]:
        said = response.text[:300].replace(self.api_key, "***") if self.api_key else response.text[:300]
        if response.status_code in (400, 404, 405, 422, 501):
            raise NotOffered(f"{self.base_url}{path} answered {response.status_code}: {said}")
        if response.status_code in (401, 403):
            raise PermanentFailure(
                f"{self.base_url}{path} refuses the key (status {response.status_code}): set "
                "D8_OPENAI_API_KEY in the worker's environment"
            )
        if response.status_code != 200:
            raise PermanentFailure(f"{self.base_url}{path} answered {response.status_code}: {said}")
        try:
            answer = response.json()
        except requests.JSONDecodeError as error:
            raise PermanentFailure(f"{self.base_url}{path} did not answer JSON: {said}") from error
        if not isinstance(answer, dict):
            raise PermanentFailure(f"{self.base_url}{path} did not answer a JSON object: {said}")
        return answer


def _is_passing(status: int) -> bool:
    """Whether the same request may succeed later. 501 (not implemented) will not change."""
    return status == 429 or (status >= 500 and status != 501)


def _asked_pause_s(response: requests.Response) -> float:
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), _LONGEST_PAUSE_S) if asked.replace(".", "", 1).isdigit() else 0.0
