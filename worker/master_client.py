"""The worker's calls to the master."""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlencode

import urllib3
from pydantic import ValidationError

from tasks.errors import InvalidInput, Unhealthy, Unreachable
from tasks.log import say
from tasks.problems import error_from_answer
from tasks.protocol import (
    ClaimRequest,
    Grant,
    Heartbeat,
    Join,
    Joined,
    Lost,
    Recorded,
    Redeem,
    Refusal,
    Release,
    Renewal,
    Renewed,
    Report,
    Welcome,
    WorkerLog,
)
from tasks.record import Record
from worker.breaker import Answered, Breaker
from worker.settings import WorkerSettings

log = logging.getLogger("d8.master_client")

Answer = TypeVar("Answer", bound=Record)
T = TypeVar("T")


class MasterClient:
    """One process's connection to the master, kept open between calls. Not for sharing across a fork."""

    def __init__(self, settings: WorkerSettings, answered: Answered | None = None) -> None:
        """``answered`` is shared by the processes of one worker: what one learns helps the others."""
        self._settings = settings
        self.breaker = Breaker(answered or Answered())
        self._pool = urllib3.PoolManager(
            num_pools=2, maxsize=4, retries=False, timeout=urllib3.Timeout(total=settings.master_timeout_s)
        )

    def claim(self, request: ClaimRequest) -> Grant | Refusal:
        body = self._post("/worker/claim", request)
        return (
            Refusal.model_validate_json(body)
            if body.startswith(b'{"refused"')
            else Grant.model_validate_json(body)
        )

    def renew(self, renewal: Renewal) -> Renewed:
        return Renewed.model_validate_json(self._post("/worker/renew", renewal, due=True))

    def report(self, report: Report) -> Recorded:
        return Recorded.model_validate_json(self._post("/worker/report", report))

    def lost(self, lost: Lost) -> Recorded:
        return Recorded.model_validate_json(self._post("/worker/lost", lost))

    def join(self, join: Join) -> Welcome:
        return Welcome.model_validate_json(self._post("/worker/join", join, due=True))

    def heartbeat(self, heartbeat: Heartbeat) -> Welcome:
        return Welcome.model_validate_json(self._post("/worker/heartbeat", heartbeat, due=True))

    def leave(self, heartbeat: Heartbeat) -> None:
        self._post("/worker/leave", heartbeat)

    def send_log(self, message: WorkerLog) -> None:
        self._post("/worker/log", message)

    def redeem(self, redeem: Redeem) -> Joined:
        return Joined.model_validate_json(self._post("/redeem", redeem))

    def release(self) -> tuple[Release, bytes]:
        """The code of the master's build: described and signed, and its bytes, not checked yet."""
        answer = self._request("GET", "/worker-release")
        try:
            return Release.model_validate_json(answer.headers["X-D8-Release"]), bytes(answer.data)
        except (KeyError, ValidationError) as error:
            raise InvalidInput("the master's answer is no release: is it a D8 of this kind?") from error

    def read_artifact(self, digest: str) -> bytes:
        """The bytes, verified against the digest."""
        data = self._call("GET", f"/api/artifacts/{digest}")
        if hashlib.sha256(data).hexdigest() != digest:
            raise Unreachable(f"artifact {digest} came damaged")
        return data

    def write_artifact(self, digest: str, data: bytes, *, name: str, media_type: str, run: str) -> None:
        self._call(
            "PUT",
            f"/api/artifacts/{digest}",
            body=data,
            fields={"name": name, "media_type": media_type, "run": run},
        )

    def _post(self, path: str, message: Record, *, due: bool = False) -> bytes:
        return self._call("POST", path, body=message.model_dump_json().encode(), due=due)

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        fields: dict[str, str] | None = None,
        due: bool = False,
    ) -> bytes:
        """The answer's body. ``Unreachable``: no answer; other errors as the master named them."""
        query = "?" + urlencode(fields) if fields else ""
        return bytes(self._request(method, path + query, body=body, due=due).data)

    def _request(
        self, method: str, target: str, *, body: bytes | None = None, due: bool = False
    ) -> urllib3.BaseHTTPResponse:
        """``due``: a call that is made at its time anyway, also while the breaker is open."""
        url = self._settings.find_master_url()
        if not url:
            raise Unhealthy(
                f"no master is known here: set D8_MASTER_URL and D8_WORKER_TOKEN, or start the master of this "
                f"machine with 'd8 up' (looked in {self._settings.run_folder})"
            )
        if not due and (left_s := self.breaker.left_s) > 0:
            raise Unreachable(
                f"the master at {url} did not answer; it is not asked for another {left_s:.0f} s"
            )
        headers = {
            "Authorization": f"Bearer {self._settings.find_token()}",
            "Content-Type": "application/json",
        }
        try:
            answer = self._pool.request(method, url + target, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            self.breaker.failed()
            raise Unreachable(f"the master at {url} does not answer ({type(error).__name__})") from error
        self.breaker.answered()
        if answer.status >= 300:
            raise error_from_answer(answer.status, answer.data, f"{method} {target.partition('?')[0]}")
        return answer


def patiently(call: Callable[[], T], *, tries: int, first_wait_s: float = 0.2, what: str) -> T:
    """Repeat a call while the master is away, with exponential waits and jitter; then ``Unreachable``."""
    for number in range(tries):
        try:
            return call()
        except Unreachable as error:
            if number == tries - 1:
                raise
            wait_s = first_wait_s * 2**number * random.uniform(0.5, 1.5)
            say(log, logging.WARNING, "master_away", what=what, error=str(error), wait_s=round(wait_s, 2))
            time.sleep(wait_s)
    raise AssertionError("tries is at least 1")
