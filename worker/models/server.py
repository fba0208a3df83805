"""``python -m worker.models.server``: the model server of one machine, on a Unix socket.

It alone imports Torch, and only when a real model is first wanted. It knows nothing of steps; who
may open the socket (its owner alone, mode 0600) may use it. With ``--http`` it also listens on TCP,
for who has the token, and there offers the models alone that its owner named or loaded.
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
from starlette.types import ASGIApp

from tasks.errors import D8Error, HandlerError, InvalidInput, Refused
from worker.models.answering import Activity
from worker.models.front.catalog import Catalog, checked
from worker.models.front.gate import Gate
from worker.models.front.network import NetworkServer, listen, parse_address
from worker.models.front.token import read_token
from worker.models.kept import CACHE_URL_VARIABLE
from worker.models.reference import DEFAULT_EMBEDDING_MODEL, DEFAULT_TEXT_MODEL
from worker.models.registry import Registry, RegistrySettings
from worker.models.remote.prices import parse_prices
from worker.models.routes import make_app
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
    _wait_briefly_awake()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        checked((options.text_model, options.embedding_model, *options.preload, *options.http_model))
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
    add("--kept-mib", type=int, default=64, help="memory for kept answers; 0: keep none")
    add("--http", type=str, default="", metavar="HOST:PORT", help="listen on TCP too, for who has the token")
    add("--http-token-file", type=Path, default=None, help="file with the token that --http asks for")
    add("--http-model", action="append", default=[], help="reference to offer there as well; repeatable")
    return parser.parse_args(arguments)


def _serve(options: argparse.Namespace) -> None:
    address = parse_address(options.http) if options.http else None
    token = read_token(options.http_token_file) if address is not None else ""
    lock = _take_lock(options.socket)
    # Before its own socket: who finds that one finds the server whole.
    network_listener = listen(*address) if address is not None else None
    counters = Counters()
    registry = _registry(options, counters)
    activity = Activity(time.monotonic)
    names = checked((options.text_model, options.embedding_model, *options.http_model))
    listener = _listen(options.socket)
    server = uvicorn.Server(_config(make_app(Catalog(registry, names, closed=False), counters, activity)))
    doors: list[tuple[uvicorn.Server, socket.socket]] = [(server, listener)]
    if network_listener is not None:
        app = make_app(Catalog(registry, names, closed=True), counters, activity)
        doors.append((NetworkServer(_config(Gate(app, token))), network_listener))
        log.info("model_server_http host=%s port=%d", *network_listener.getsockname()[:2])
    _stop_on_signals(server)
    log.info("model_server_listening socket=%s pid=%d", options.socket, os.getpid())
    try:
        _preload(registry, options.preload)
        asyncio.run(_until_idle(doors, activity, options.idle_exit_s))
    finally:
        options.socket.unlink(missing_ok=True)
        registry.stop()
        lock.close()
        log.info("model_server_stopped pid=%d", os.getpid())


def _registry(options: argparse.Namespace, counters: Counters) -> Registry:
    return Registry(
        RegistrySettings(
            text_model=options.text_model,
            embedding_model=options.embedding_model,
            cache_folder=options.cache_folder,
            dtype=options.dtype,
            threads=options.threads,
            memory_mib=options.model_memory_mib,
            api_key=os.environ.get(API_KEY_VARIABLE, ""),
            prices=parse_prices(os.environ.get(PRICES_VARIABLE, "")),
            kept_mib=options.kept_mib,
            cache_url=os.environ.get(CACHE_URL_VARIABLE, ""),
        ),
        counters,
    )


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        # Who asks is who is connected; a header cannot say otherwise.
        proxy_headers=False,
        # Clients send again what was not answered: a stop need not wait for long work.
        timeout_graceful_shutdown=2,
    )


def _wait_briefly_awake() -> None:
    """Have Torch's threads wait for each other awake for some microseconds, and asleep from then on.

    By default they stay awake for milliseconds: where another process has the core of the thread waited
    for, that takes up the time which this thread needs, and a pass of 0.4 s took 5 s. Asleep at once they
    would be woken some hundred times a pass, which doubles its time. Read when Torch is imported.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")


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
    doors: Sequence[tuple[uvicorn.Server, socket.socket]], activity: Activity, idle_exit_s: float
) -> None:
    """Serve at all doors until the first one ends, which hears the signals."""
    first, listener = doors[0]
    watcher = asyncio.create_task(_stop_when_idle(first, activity, idle_exit_s))
    others = [asyncio.create_task(server.serve(sockets=[its])) for server, its in doors[1:]]
    await first.serve(sockets=[listener])
    watcher.cancel()
    for server, _ in doors[1:]:
        server.should_exit = True
    await asyncio.gather(*others)


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
