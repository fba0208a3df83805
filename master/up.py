"""Which processes make up a master on this machine, and when each is ready."""

from __future__ import annotations

import contextlib
import logging
import secrets
import signal
import time
from collections.abc import Callable
from functools import partial

import psutil
import redis
import urllib3

from master.broker import port_is_free, prepare_broker, server_command
from master.settings import Settings
from master.start import make_home
from master.store.artifacts import write_whole
from master.supervisor import Part, Supervisor, only_one, python
from tasks.errors import Refused, Unhealthy
from tasks.log import say
from tasks.settings import read_text_or_empty

log = logging.getLogger("d8.up")

_READY_S = 60.0


def master_parts(settings: Settings, *, workers: list[str], flower: bool) -> list[Part]:
    """The parts in the order in which they are started. An external broker is not ours to start."""
    parts: list[Part] = []
    if not settings.broker_url.get_secret_value():
        parts.append(
            Part(
                name="broker",
                command=server_command(prepare_broker(settings)),
                wait_ready=partial(_wait_for, partial(_broker_answers, settings), "the broker"),
            )
        )
    parts.append(
        Part(
            name="api",
            command=python("master.api"),
            wait_ready=partial(_wait_for, partial(_api_answers, settings), "the API"),
        )
    )
    parts.append(
        Part(
            name="duties",
            command=python(
                "celery", "-A", "master.app", "worker", "-n", "d8@master", "-Q", "d8.master", "-B",
                "--pool", "threads", "-c", "4", "--without-gossip", "--without-mingle", "-l", "WARNING",
            ),
        )
    )  # fmt: skip
    if settings.telegram_token is not None:
        parts.append(Part(name="telegram", command=python("master.telegram")))
    if flower:
        parts.append(_flower(settings))
    parts += [
        Part(name=f"worker-{name}", command=python("worker.cli", "run", "--name", name)) for name in workers
    ]
    return parts


def run_master(
    settings: Settings, *, workers: list[str], flower: bool, on_ready: Callable[[Supervisor], None]
) -> None:
    """Start everything, call ``on_ready``, and keep it running until SIGINT or SIGTERM."""
    make_home(settings)
    with only_one(settings.run_folder):
        if not port_is_free(settings.host, settings.port):
            raise Unhealthy(
                f"port {settings.port} on {settings.host} is in use by another program: stop it, or choose "
                f"another with D8_PORT"
            )
        supervisor = Supervisor(master_parts(settings, workers=workers, flower=flower), settings.log_folder)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: supervisor.stop())
        try:
            supervisor.start()
            on_ready(supervisor)
            supervisor.watch()
        finally:
            supervisor.close()
            stop_model_server(settings)
            say(log, logging.INFO, "master_stopped")


def stop_model_server(settings: Settings) -> None:
    """The model server outlives its workers on purpose; with the whole fleet of this home it ends."""
    socket = str(settings.run_folder / "models.sock")
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            command = process.cmdline()
            if "worker.models.server" in command and socket in command:
                process.terminate()


def _flower(settings: Settings) -> Part:
    """Read-only for the curious, on loopback, behind a password that is made here."""
    path = settings.secrets_folder / "flower.password"
    if not read_text_or_empty(path):
        write_whole(path, f"owner:{secrets.token_urlsafe(18)}\n".encode(), mode=0o600)
    # Flower reads its options from FLOWER_... variables or a file: a password on the command line
    # would be in the list of processes.
    configuration = settings.run_folder / "flowerconfig.py"
    write_whole(
        configuration,
        (
            f"basic_auth = [{read_text_or_empty(path)!r}]\n"
            f"address = '127.0.0.1'\nport = {settings.flower_port}\n"
            f"max_tasks = 5000\nenable_events = True\n"
        ).encode(),
        mode=0o600,
    )
    return Part(
        name="flower",
        command=python("celery", "-A", "tasks.app", "flower", f"--conf={configuration}", "--logging=warning"),
    )


def _wait_for(answers: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _READY_S
    while not answers():
        if time.monotonic() > end:
            raise Unhealthy(f"{what} did not answer within {_READY_S:.0f} s")
        time.sleep(0.05)


def _broker_answers(settings: Settings) -> bool:
    try:
        return bool(redis.Redis.from_url(settings.find_broker_url(), socket_timeout=2).ping())
    except redis.RedisError:
        return False


def _api_answers(settings: Settings) -> bool:
    url = f"http://127.0.0.1:{settings.port}/readyz"
    try:
        return urllib3.request("GET", url, timeout=2.0, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


__all__ = ["Refused", "master_parts", "run_master"]
