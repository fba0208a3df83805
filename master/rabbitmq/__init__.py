"""RabbitMQ's management API (being written)."""

from __future__ import annotations

from typing import Any


class Management:
    pass


def find_rabbitmq(settings: Any) -> Management | None:
    return None


def create_worker_user(management: Management, name: str) -> str:
    raise RuntimeError("not there yet")


def remove_worker_user(management: Management, name: str) -> None:
    raise RuntimeError("not there yet")
