"""``python -m worker.models.server``: the model server of one machine, on a Unix socket.

It alone imports Torch, and only when a real model is first wanted. It knows nothing of steps; who
may open the socket (its owner alone, mode 0600) may use it.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import platformdirs
import uvicorn

from tasks.errors import D8Error, HandlerError, InvalidInput, Refused
from worker.models.reference import DEFAULT_EMBEDDING_MODEL, DEFAULT_TEXT_MODEL, parse_reference
from worker.models.registry import Registry, RegistrySettings
from worker.models.remote.prices import parse_prices
from worker.models.routes import Activity, make_app
from worker.models.stats import Counters
from worker.models.unix_http import MAX_SOCKET_PATH_BYTES

log = logging.getLogger(__name__)

#: Environment variable with the key for OpenAI-compatible endpoints.
API_KEY_VARIABLE = "D8_OPENAI_API_KEY"
#: What the models there cost; see ``remote.prices``.
PRICES_VARIABLE = "D8_MODEL_PRICES"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop or idle for too long; returns the exit code."""
    options = _options(arguments)
    _wait_without_spinning()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        for reference in (options.text_model, options.embedding_model, *options.preload):
            parse_reference(reference)
        _serve(options)
    except (D8Error, HandlerError) as error:
        sys.stderr.write(f"model server: {error}\n")
        return getattr(error, "exit_code", InvalidInput.exit_code)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="worker.models.server", description=__doc__)
    add = parser.add_argument
    add("--socket", type=Path, required=True, help="path of the Unix socket to listen on")
    add("--idle-exit-s", type=float, default=0.0, help="end after so long without any request; 0: never")
    add("--text-model", default=DEFAULT_TEXT_MODEL, help="model reference used where a request names none")
    add("--embedding-model", default=DEFAULT_EMBEDDING_MODEL, help="the same for embeddings")
    add("--preload", action="append", default=[], help="model reference to load at once; repeatable")
    add("--cache-folder", type=Path, default=platformdirs.user_cache_path("d8") / "models")
    add("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto")
    add("--threads", type=int, default=0, help="CPU threads of Torch; 0: its own choice")
    add("--model-memory-mib", type=int, default=0, help="for all weights; 0: half the machine, 4/5 of a GPU")
    return parser.parse_args(arguments)


def _serve(options: argparse.Namespace) -> None:
    lock = _take_lock(options.socket)
    counters = Counters()
    registry = Registry(
        RegistrySettings(
            text_model=options.text_model,
            embedding_model=options.embedding_model,
            cache_folder=options.cache_folder,
            dtype=options.dtype,
            threads=options.threads,
            memory_mib=options.model_memory_mib,
            api_key=os.environ.get(API_KEY_VARIABLE, ""),
            prices=parse_prices(os.environ.get(PRICES_VARIABLE, "")),
        ),
        counters,
    )
    activity = Activity(time.monotonic)
    listener = _listen(options.socket)
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(registry, counters, activity),
            log_level="warning",
            access_log=False,
            lifespan="off",
            # Clients send again what was not answered: a stop need not wait for long work.
            timeout_graceful_shutdown=2,
        )
    )
    _stop_on_signals(server)
    log.info("model_server_listening socket=%s pid=%d", options.socket, os.getpid())
    try:
        _preload(registry, options.preload)
        asyncio.run(_until_idle(server, listener, activity, options.idle_exit_s))
    finally:
        options.socket.unlink(missing_ok=True)
        registry.stop()
        lock.close()
        log.info("model_server_stopped pid=%d", os.getpid())


def _wait_without_spinning() -> None:
    """Have Torch's threads sleep while they wait for each other.

    They spin by default. Where another process has the core of the thread waited for, spinning takes
    up the time that this thread needs: a pass of 0.4 s then took 5 s. Read when Torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _stop_on_signals(server: uvicorn.Server) -> None:
    """End well on SIGTERM and SIGINT at any time.

    While it serves, uvicorn has handlers of its own; afterwards it raises the signal again, for these.
    """

    def stop(*_: object) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _preload(registry: Registry, references: Sequence[str]) -> None:
    """Begin to load these models, in a thread: the server answers meanwhile."""

    def load() -> None:
        for reference in references:
            try:
                registry.backend(reference, "text")
            except HandlerError as error:
                log.warning("model_not_preloaded model=%s error=%s", reference, error)

    threading.Thread(target=load, name="preload", daemon=True).start()


async def _until_idle(
    server: uvicorn.Server, listener: socket.socket, activity: Activity, idle_exit_s: float
) -> None:
    watcher = asyncio.create_task(_stop_when_idle(server, activity, idle_exit_s))
    await server.serve(sockets=[listener])
    watcher.cancel()


async def _stop_when_idle(server: uvicorn.Server, activity: Activity, idle_exit_s: float) -> None:
    while idle_exit_s > 0:
        left_s = idle_exit_s - activity.idle_s()
        if left_s <= 0:
            log.info("model_server_idle idle_s=%.0f", idle_exit_s)
            server.should_exit = True
            return
        await asyncio.sleep(left_s)


def _take_lock(socket_path: Path) -> IO[str]:
    """Hold the lock beside the socket for as long as this process lives."""
    if len(os.fsencode(socket_path)) > MAX_SOCKET_PATH_BYTES:
        raise InvalidInput(
            f"the socket path {socket_path} is longer than the {MAX_SOCKET_PATH_BYTES} bytes that Unix "
            "sockets allow: choose a shorter one with --socket, or a shorter D8_HOME"
        )
    socket_path.parent.mkdir(parents=True, exist_ok=True)
    lock = open(socket_path.with_name(socket_path.name + ".lock"), "a+")  # noqa: SIM115 - held open
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise Refused(
            f"a model server (process id {holder}) already serves {socket_path}: use it, or end it first"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _listen(socket_path: Path) -> socket.socket:
    """A listening socket that only its owner may open; one left by a dead server is replaced."""
    socket_path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(socket_path))
    finally:
        os.umask(before)
    listener.listen(128)
    return listener


if __name__ == "__main__":
    sys.exit(main())
