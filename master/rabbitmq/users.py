"""A broker user for each worker, that can do what a worker needs and no more."""

from __future__ import annotations

import secrets
from urllib.parse import quote, urlsplit, urlunsplit

from master.rabbitmq.management import Management
from master.rabbitmq.policies import worker_permissions


def user_name(worker: str) -> str:
    return f"worker-{worker}"


def create_worker_user(management: Management, worker: str) -> str:
    """Make the user anew, with another password; returns the broker's address for it."""
    name, password = user_name(worker), secrets.token_urlsafe(24)
    remove_worker_user(management, worker)
    management.put("users", name, password=password, tags="")
    management.put("permissions", management.vhost, name, **worker_permissions(worker))
    parts = urlsplit(management.broker_url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(name, safe='')}:{quote(password, safe='')}@{host}"))


def remove_worker_user(management: Management, worker: str) -> None:
    """The user is gone and its connections are closed when this returns."""
    name = user_name(worker)
    management.delete("users", name)
    for connection in management.get("connections") or ():
        if connection.get("user") == name:
            management.delete("connections", connection["name"])
