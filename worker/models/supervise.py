"""Keeps one model server alive on this machine, however many workers there are. Imports no Torch."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import http.client
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.errors import Unhealthy
from worker.models.unix_http import exchange
from worker.models.wire import PROTOCOL, Health

log = logging.getLogger(__name__)

_MAX_LOG_BYTES = 10 * 2**20
_PING_TIMEOUT_S = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How to start this machine's model server."""

    socket_path: Path
    #: Gets ``model-server.log``.
    log_folder: Path
    #: Further command-line options of ``python -m worker.models.server``.
    options: tuple[str, ...] = ()
    #: Beside this process's own environment, for what a command line must not show.
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    #: Number of the GPU that it may use; empty: any.
    gpu: str = ""
    python: str = sys.executable
    #: Longest wait for a started server to listen. It listens before it loads any model.
    start_timeout_s: float = 60.0


def ping(socket_path: Path, *, timeout_s: float = _PING_TIMEOUT_S) -> Health | None:
    """The health of the server of this protocol at this socket, or None where none answers."""
    answer = _ask_health(socket_path, timeout_s)
    if answer is None or answer.get("protocol") != PROTOCOL:
        return None
    return Health.model_validate(answer)


def ensure_model_server(settings: ServerSettings) -> Health:
    """Return once a model server of this protocol answers; start one if there is none.

    Two workers that call it at once share one server. ``Unhealthy`` shows the end of the server's
    log when it does not come up.
    """
    with _start_lock(settings.socket_path):
        answer = _ask_health(settings.socket_path, _PING_TIMEOUT_S)
        if answer is not None and answer.get("protocol") == PROTOCOL:
            return Health.model_validate(answer)
        if answer is not None:
            _stop(int(answer["pid"]), settings)
        return _start(settings)


def _ask_health(socket_path: Path, timeout_s: float) -> dict[str, Any] | None:
    try:
        status, answer = exchange(socket_path, "GET", "/health", "", timeout_s=timeout_s)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return answer if status == 200 else None


class ModelServerSupervisor(threading.Thread):
    """A background thread that calls ``ensure_model_server`` every ``interval_s``.

    Its pings also tell the server that it is still wanted. A server that cannot be started is logged
    and tried again; clients meanwhile wait and then fail transiently.
    """

    def __init__(self, settings: ServerSettings, *, interval_s: float = 2.0) -> None:
        super().__init__(name="model-server-supervisor", daemon=True)
        self._settings = settings
        self._interval_s = interval_s
        self._stopping = threading.Event()

    def run(self) -> None:
        pid = 0
        while not self._stopping.is_set():
            try:
                health = ensure_model_server(self._settings)
            except (Unhealthy, OSError) as error:
                log.warning("model_server_unavailable error=%s", error)
            else:
                if health.pid != pid:
                    log.info("model_server_found pid=%d was=%d", health.pid, pid)
                pid = health.pid
            self._stopping.wait(self._interval_s)

    def stop(self) -> None:
        """End the thread; the server stays, for the next worker."""
        self._stopping.set()
        self.join()


@contextlib.contextmanager
def _start_lock(socket_path: Path) -> Iterator[None]:
    socket_path.parent.mkdir(parents=True, exist_ok=True)
    with open(socket_path.with_name(socket_path.name + ".starting"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start(settings: ServerSettings) -> Health:
    settings.log_folder.mkdir(parents=True, exist_ok=True)
    log_path = server_log(settings)
    _rotate(log_path)
    command = [settings.python, "-m", "worker.models.server", "--socket", str(settings.socket_path)]
    with open(log_path, "ab") as output:
        process = subprocess.Popen(
            [*command, *settings.options],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **settings.environment, "PYTHONPATH": _import_path()},
            stdout=output,
            stderr=output,
            # In its own session: it outlives the worker and gets none of its terminal's signals.
            start_new_session=True,
        )
    # Collects the exit status whenever it ends, so that no zombie is left behind.
    threading.Thread(target=process.wait, name="model-server-reaper", daemon=True).start()
    deadline_s = time.monotonic() + settings.start_timeout_s
    while time.monotonic() < deadline_s:
        health = ping(settings.socket_path)
        if health is not None:
            log.info("model_server_started pid=%d socket=%s", health.pid, settings.socket_path)
            return health
        if process.poll() is not None:
            raise Unhealthy(
                f"the model server ended with exit code {process.returncode} before it answered at "
                f"{settings.socket_path}; the end of {log_path}: {_tail(log_path)}"
            )
        time.sleep(0.05)
    process.terminate()
    raise Unhealthy(
        f"the model server did not answer at {settings.socket_path} within "
        f"{settings.start_timeout_s:g} s and was stopped; the end of {log_path}: {_tail(log_path)}"
    )


def server_environment(settings: ServerSettings) -> dict[str, str]:
    """This process's, with one GPU alone where one is named, counted as the driver's tools count them."""
    gpu = {"CUDA_VISIBLE_DEVICES": settings.gpu, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if settings.gpu else {}
    return {**os.environ, **gpu, "PYTHONPATH": _import_path()}


def server_log(settings: ServerSettings) -> Path:
    return settings.log_folder / (f"model-server-{settings.gpu}.log" if settings.gpu else "model-server.log")


def _import_path() -> str:
    """Lets the server import this very code, wherever the worker was started."""
    here = str(Path(__file__).resolve().parents[2])
    given = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join([here, given]) if given else here


def _stop(pid: int, settings: ServerSettings) -> None:
    """End a server of another protocol, so that one of this build takes its place."""
    log.warning("model_server_replaced pid=%d reason=protocol", pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline_s = time.monotonic() + settings.start_timeout_s
    while _ask_health(settings.socket_path, _PING_TIMEOUT_S) is not None:
        if time.monotonic() >= deadline_s:
            raise Unhealthy(
                f"the model server with process id {pid} at {settings.socket_path} speaks another "
                f"protocol and did not stop within {settings.start_timeout_s:g} s: end it by hand"
            )
        time.sleep(0.1)


def _rotate(log_path: Path) -> None:
    if log_path.exists() and log_path.stat().st_size > _MAX_LOG_BYTES:
        log_path.replace(log_path.with_name(log_path.name + ".1"))


def _tail(log_path: Path, characters: int = 1500) -> str:
    return log_path.read_text(errors="replace")[-characters:].strip()
