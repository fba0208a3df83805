"""The parts of the master: database, ledger, broker, ports, Telegram."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from master.cli.doctor.ground import WAIT_S, Finding, Ground, fine, look, missing
from tasks.errors import Unreachable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from master.store import Database

#: A database that is larger makes backups and pages slow on a Pi.
_LARGE_MIB = 4096


@contextlib.contextmanager
def _opened(ground: Ground) -> Iterator[Database | None]:
    """The database, or None where it was not made yet."""
    from master.store import Database

    database = Database(ground.settings.sqlalchemy_url)
    try:
        there = not database.sqlite or Path(database.url.database or "").exists()
        yield database if there else None
    finally:
        database.close()


@contextlib.contextmanager
def _migrated(ground: Ground) -> Iterator[tuple[Database, Connection] | None]:
    """A read of a database that has tables, or None."""
    from master.store.migrate import current_revision

    with _opened(ground) as database:
        if database is None:
            yield None
            return
        with database.read() as connection:
            yield (database, connection) if current_revision(connection) else None


def check_database(ground: Ground) -> Finding:
    with _opened(ground) as database:
        from master.store import Database

        shown = Database(ground.settings.sqlalchemy_url).url.render_as_string(hide_password=True)
        if database is None:
            return look("database", f"{shown}: not made yet", "'d8 up' makes it")
        with database.read() as connection:
            connection.exec_driver_sql("SELECT 1")
    return fine("database", shown)


def check_migrations(ground: Ground) -> Finding | None:
    from master.store.migrate import current_revision, revisions

    with _opened(ground) as database:
        if database is None:
            return None
        with database.read() as connection:
            current = current_revision(connection)
    known = revisions()
    if not current:
        return look("migrations", "no tables yet", "'d8 up' makes them")
    if current not in known:
        return missing(
            "migrations", f"the database is at {current}, this release knows up to {known[-1]}",
            "update d8: a newer release wrote it",
        )  # fmt: skip
    if current != known[-1]:
        return look(
            "migrations", f"at {current}, this release has {known[-1]}", "'d8 up' applies what is missing"
        )
    return fine("migrations", f"at {current}, the newest")


def check_size(ground: Ground) -> Finding | None:
    from master.store.size import database_bytes

    with _migrated(ground) as found:
        if found is None:
            return None
        mib = database_bytes(*found) // 2**20
    if mib > _LARGE_MIB:
        return look("database size", f"{mib} MiB", "Postgres serves a large fleet better: docs/install.md")
    return fine("database size", f"{mib} MiB")


def check_integrity(ground: Ground) -> Finding | None:
    """SQLite's own quick check, as far as it comes in the time."""
    with _opened(ground) as database:
        if database is None or not database.sqlite:
            return None
        with database.read() as connection:
            wrong = quick_check(connection.connection.driver_connection, WAIT_S)
    if wrong is None:
        return fine("integrity", f"nothing found in {WAIT_S:g} s; the database is too large to check it all")
    if wrong:
        return missing(
            "integrity", f"the database is damaged: {wrong}",
            "stop the master, keep a copy of the file, and restore the last backup: 'd8 restore FILE'",
        )  # fmt: skip
    return fine("integrity", "quick_check finds nothing wrong")


def quick_check(connection: Any, limit_s: float) -> str | None:
    """The first thing that is wrong, "" for nothing, None when the time was too short."""
    import sqlite3

    until = time.monotonic() + limit_s
    connection.set_progress_handler(lambda: int(time.monotonic() > until), 10_000)
    try:
        (first,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return None if "interrupted" in str(error) else str(error)
    finally:
        connection.set_progress_handler(None, 0)
    return "" if first == "ok" else str(first)


def check_ledger(ground: Ground) -> Finding | None:
    from sqlalchemy import inspect

    from master.ledger.verify import verify_newest

    with _migrated(ground) as found:
        if found is None or not inspect(found[1]).has_table("ledger_head"):
            return None
        wrong = verify_newest(found[1])
    if wrong:
        return missing(
            "ledger", wrong, "'d8 ledger verify' looks at all of it; a backup has what was written"
        )
    return fine("ledger", "the newest entries are as written")


def check_broker(ground: Ground) -> Finding:
    from kombu.connection import Connection
    from kombu.exceptions import OperationalError

    url = ground.settings.find_broker_url()
    if not url:
        return look("broker", "the embedded one has not run yet", "'d8 up'")
    options = {"socket_connect_timeout": WAIT_S, "socket_timeout": WAIT_S}
    connection = Connection(url, connect_timeout=WAIT_S, transport_options=options)
    try:
        connection.ensure_connection(max_retries=1, timeout=WAIT_S)
    except (OperationalError, OSError, *connection.connection_errors):
        return missing(
            "broker", f"{connection.as_uri()} does not answer, or refuses us",
            "start it with 'd8 up', or correct D8_BROKER_URL",
        )  # fmt: skip
    finally:
        connection.release()
    return fine("broker", connection.as_uri())


def check_broker_settings(ground: Ground) -> Finding | None:
    """A Redis or Valkey that evicts keys or forgets at a restart loses tickets: slow, since they are rung again."""
    url = ground.settings.find_broker_url()
    if not url.startswith(("redis://", "rediss://")):
        return None
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=WAIT_S, socket_connect_timeout=WAIT_S) as client:
            policy = client.config_get("maxmemory-policy")["maxmemory-policy"]
    except redis.RedisError:
        # The check "broker" says so; a hosted one may hide its configuration.
        return None
    if policy != "noeviction":
        return look(
            "broker settings", f"maxmemory-policy is {policy}: it may throw tickets away",
            "set maxmemory-policy noeviction",
        )  # fmt: skip
    return fine("broker settings", "maxmemory-policy is noeviction")


def check_strays(ground: Ground) -> Finding | None:
    """Tickets that nobody could take: their steps were sent again, but what made them stray may go on."""
    from master.rabbitmq import count_strays, find_rabbitmq

    management = find_rabbitmq(ground.settings)
    return None if management is None else judge_strays(count_strays(management))


def judge_strays(strays: dict[str, int]) -> Finding:
    found = ", ".join(f"{count} in {queue}" for queue, count in strays.items())
    if not any(strays.values()):
        return fine("stray tickets", found)
    return look(
        "stray tickets", found,
        "'d8 worker list' and the logs say which worker dies or has the wrong lanes; purge the queues after",
    )  # fmt: skip


def check_port(ground: Ground) -> Finding:
    """Whether 'd8 up' could listen, or already does."""
    from master.ready import port_is_free

    host, port = ground.settings.host, ground.settings.port
    if port == 0 or port_is_free(host, port):
        return fine("port", f"{port} is free")
    try:
        url = ground.fleet().url
    except Unreachable:
        url = ""
    if url.endswith(f":{port}"):
        return fine("port", f"{port} is the master's")
    return missing(
        "port", f"{port} on {host} is another program's", "stop that one, or choose another with D8_PORT"
    )


def check_telegram(ground: Ground) -> Finding:
    settings = ground.settings
    if settings.telegram_token is None:
        return look(
            "telegram", "no token: approvals wait on the dashboard and command line",
            "set D8_TELEGRAM_TOKEN and D8_TELEGRAM_USERS",
        )  # fmt: skip
    if not settings.telegram_users:
        return missing(
            "telegram", "a token but nobody who may use it", "set D8_TELEGRAM_USERS to your numeric user id"
        )
    url = f"{settings.telegram_api_url}{settings.telegram_token.get_secret_value()}/getMe"
    try:
        status, body = ground.fetch(url)
        told = json.loads(body)
    except Exception as error:  # noqa: BLE001 (its text may hold the address, which holds the token)
        return missing(
            "telegram", f"does not answer ({type(error).__name__})",
            "see to the network, or correct D8_TELEGRAM_API_URL; requests wait on the dashboard meanwhile",
        )  # fmt: skip
    if status != 200 or not told.get("ok"):
        return missing(
            "telegram", f"refuses the token ({status} {told.get('description', '')})".strip(),
            "take the token from @BotFather again and correct D8_TELEGRAM_TOKEN",
        )  # fmt: skip
    name = told.get("result", {}).get("username", "?")
    return fine("telegram", f"@{name}; {len(settings.telegram_users)} user(s) may decide")


CHECKS = {
    "database": check_database,
    "migrations": check_migrations,
    "database size": check_size,
    "integrity": check_integrity,
    "ledger": check_ledger,
    "broker": check_broker,
    "broker settings": check_broker_settings,
    "stray tickets": check_strays,
    "port": check_port,
    "telegram": check_telegram,
}
