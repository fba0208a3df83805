"""Makes every password of the stack at its first start, and hands each service only those that it needs.

    python docker/make_secrets.py               make what is missing, write what follows from it
    python docker/make_secrets.py telegram      keep the bot's token, read from standard input

Runs as root, once, before everything else, without a network; the standard library only. Passwords are
in the volume ``keys``, which no other service sees, and are never overwritten. What services read is
written again at each start: an address may have changed.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

#: The user of our own images (docker/*.Dockerfile).
D8_USER = 10001
ROOT_USER = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Passwords:
    """256 random bits each, in letters that need no quoting in an address."""

    rabbitmq: str
    redis: str
    postgres: str
    flower: str
    #: Of the workers that run beside this master.
    worker: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Addresses:
    """``host:port`` of each server, as the other containers reach it."""

    rabbitmq: str
    rabbitmq_management: str
    redis: str
    postgres: str
    master: str
    #: ``rabbitmq`` or ``redis``: which one carries the tickets.
    broker: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class SecretFile:
    """A file below the folder of volumes."""

    path: str
    text: str
    user: int


def read_addresses(environment: Mapping[str, str]) -> Addresses:
    """``SystemExit`` names the broker that is neither of the two."""
    broker = environment.get("BROKER") or "rabbitmq"
    if broker not in ("rabbitmq", "redis"):
        raise SystemExit(f"D8_BROKER is {broker!r}: set it to rabbitmq or redis, or leave it out")
    return Addresses(
        rabbitmq=environment.get("RABBITMQ_ADDRESS", "rabbitmq:5672"),
        rabbitmq_management=environment.get("RABBITMQ_MANAGEMENT_ADDRESS", "rabbitmq:15672"),
        redis=environment.get("REDIS_ADDRESS", "redis:6379"),
        postgres=environment.get("POSTGRES_ADDRESS", "postgres:5432"),
        master=environment.get("MASTER_ADDRESS", "api:7500"),
        broker=broker,
    )


def files_for(passwords: Passwords, addresses: Addresses) -> list[SecretFile]:
    """What every service reads. The same for the same passwords and addresses."""
    broker_url = (
        f"amqp://d8:{quote(passwords.rabbitmq)}@{addresses.rabbitmq}/d8"
        if addresses.broker == "rabbitmq"
        else f"redis://:{quote(passwords.redis)}@{addresses.redis}/0"
    )
    management_url = f"http://d8:{quote(passwords.rabbitmq)}@{addresses.rabbitmq_management}"
    database_url = f"postgresql+psycopg2://d8:{quote(passwords.postgres)}@{addresses.postgres}/d8"
    files = {
        # Servers read theirs through docker/with-secrets, which is root there.
        "rabbitmq/definitions.json": (rabbitmq_definitions(passwords.rabbitmq), ROOT_USER),
        "redis/password.conf": (f"requirepass {passwords.redis}", ROOT_USER),
        "postgres/password": (passwords.postgres, ROOT_USER),
        "master/broker.url": (broker_url, D8_USER),
        "master/rabbitmq.url": (management_url, D8_USER),
        "master/database.url": (database_url, D8_USER),
        "master-home/secrets/worker.token": (passwords.worker, D8_USER),
        "flower/broker.url": (broker_url, D8_USER),
        "flower/broker-api.url": (f"{management_url}/api/", D8_USER),
        "flower/flower.password": (f"owner:{passwords.flower}", D8_USER),
    }
    for worker in ("worker-cpu", "worker-gpu"):
        # Where a worker looks that runs on its master's machine. One that has joined with an invite
        # uses what it was given then.
        files[f"{worker}/secrets/worker.token"] = (passwords.worker, D8_USER)
        files[f"{worker}/run/broker.url"] = (broker_url, D8_USER)
        files[f"{worker}/run/master.url"] = (f"http://{addresses.master}", D8_USER)
    return [SecretFile(path=path, text=text, user=user) for path, (text, user) in files.items()]


def rabbitmq_definitions(password: str) -> str:
    """RabbitMQ imports these at each start: one virtual host and one user. Where definitions are imported,
    the default user "guest" is never made (https://www.rabbitmq.com/docs/definitions)."""
    user = {
        "name": "d8",
        "password_hash": rabbitmq_hash(password),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        # The master makes a user of its own for each worker that joins.
        "tags": "administrator",
    }
    everything = {"user": "d8", "vhost": "d8", "configure": ".*", "write": ".*", "read": ".*"}
    return json.dumps({"users": [user], "vhosts": [{"name": "d8"}], "permissions": [everything]}, indent=1)


def rabbitmq_hash(password: str) -> str:
    """Base64 of a 4-byte salt and SHA-256(salt + password) (https://www.rabbitmq.com/docs/passwords).

    The salt follows from the password, so that the same password is the same text at each start; a
    password of 256 random bits needs no other.
    """
    salt = hashlib.sha256(b"d8 salt " + password.encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def keep_key(folder: Path, name: str, found: str = "") -> str:
    """The password of this name; what was ``found`` in use, or a new one, when there is none yet."""
    path = folder / name
    if not path.exists():
        write_secret(path, found or secrets.token_urlsafe(32), ROOT_USER)
    return path.read_text(encoding="utf-8").strip()


def write_secret(path: Path, text: str, user: int) -> None:
    """Whole or not at all, with mode 0600 from the beginning; the folders above belong to the user, too."""
    _make_folder(path.parent, user)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchown(handle, user, user)
        file.write(text + "\n")
        file.flush()
        os.fsync(handle)
    os.replace(draft, path)


def _make_folder(folder: Path, user: int) -> None:
    if not folder.exists():
        _make_folder(folder.parent, user)
        folder.mkdir(mode=0o700)
    if folder.stat().st_uid != user:
        os.chown(folder, user, user)
        folder.chmod(0o700)


def main(arguments: list[str], volumes: Path = Path("/volumes")) -> int:
    if arguments == ["telegram"]:
        write_secret(volumes / "master/telegram.token", sys.stdin.read().strip(), D8_USER)
        return 0
    if arguments:
        sys.stderr.write("usage: make_secrets.py [telegram]\n")
        return 2
    token = volumes / "master-home/secrets/worker.token"
    keys = volumes / "keys"
    passwords = Passwords(
        rabbitmq=keep_key(keys, "rabbitmq"),
        redis=keep_key(keys, "redis"),
        postgres=keep_key(keys, "postgres"),
        flower=keep_key(keys, "flower"),
        worker=keep_key(keys, "worker", token.read_text(encoding="utf-8").strip() if token.exists() else ""),
    )
    for file in files_for(passwords, read_addresses(os.environ)):
        write_secret(volumes / file.path, file.text, file.user)
    bot = volumes / "master/telegram.token"
    if not bot.exists():
        # Empty: there is no bot. The API reads it, too, to know Telegram's webhook.
        write_secret(bot, "", D8_USER)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
