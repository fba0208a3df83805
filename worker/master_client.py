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

from tasks.errors import Unhealthy, Unreachable
from tasks.log import say
from tasks.problems import error_from_answer
from tasks.protocol import (
    ClaimRequest,
    Grant,
    Heartbeat,
    Join,
    Lost,
    Recorded,
    Refusal,
    Renewal,
    Renewed,
    Report,
    Welcome,
)
from tasks.record import Record
from worker.settings import WorkerSettings

log = logging.getLogger("d8.master_client")

Answer = TypeVar("Answer", bound=Record)
T = TypeVar("T")


class MasterClient:
    """One process's connection to the master, kept open between calls. Not for sharing across a fork."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
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
        return Renewed.model_validate_json(self._post("/worker/renew", renewal))

    def report(self, report: Report) -> Recorded:
        return Recorded.model_validate_json(self._post("/worker/report", report))

    def lost(self, lost: Lost) -> Recorded:
        return Recorded.model_validate_json(self._post("/worker/lost", lost))

    def join(self, join: Join) -> Welcome:
        return Welcome.model_validate_json(self._post("/worker/join", join))

    def heartbeat(self, heartbeat: Heartbeat) -> Welcome:
        return Welcome.model_validate_json(self._post("/worker/heartbeat", heartbeat))

    def leave(self, heartbeat: Heartbeat) -> None:
        self._post("/worker/leave", heartbeat)

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

    def _post(self, path: str, message: Record) -> bytes:
        return self._call("POST", path, body=message.model_dump_json().encode())

    def _call(
        self, method: str, path: str, *, body: bytes | None = None, fields: dict[str, str] | None = None
    ) -> bytes:
        """The answer's body. ``Unreachable``: no answer; other errors as the master named them."""
        url = self._settings.find_master_url()
        if not url:
            raise Unhealthy(
                f"no master is known here: set D8_MASTER_URL and D8_WORKER_TOKEN, or start the master of this "
                f"machine with 'd8 up' (looked in {self._settings.run_folder})"
            )
        headers = {
            "Authorization": f"Bearer {self._settings.find_token()}",
            "Content-Type": "application/json",
        }
        query = "?" + urlencode(fields) if fields else ""
        try:
            answer = self._pool.request(method, url + path + query, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"the master at {url} does not answer ({type(error).__name__})") from error
        if answer.status >= 300:
            raise error_from_answer(answer.status, answer.data, f"{method} {path}")
        return bytes(answer.data)


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
