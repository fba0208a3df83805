"""What RabbitMQ is told about our queues: pure data, with the reasons."""

from __future__ import annotations

import re
from typing import Any

#: Where a ticket ends that was delivered again and again, and one that had no queue. The names do not
#: match the tickets' policy: only one policy applies to a queue. Nobody reads them; they are a trace
#: for people, since the database sends what was not claimed again anyway.
DEAD = "d8-dead"
UNROUTABLE = "d8-unroutable"

#: A claim that is refused acknowledges its ticket, so twenty deliveries mean that something kills
#: whoever takes it. The default of RabbitMQ 4 is the same; 3.x has none.
DELIVERY_LIMIT = 20
#: Above the longest step: from 3.12 on a policy can say it, before that only the server's configuration.
CONSUMER_TIMEOUT_MS = 40 * 24 * 3600 * 1000

_TICKET_QUEUE = re.compile(r"d8\.(?P<lane>@?[a-z0-9._-]+)\.(?P<build>[0-9a-f]{12})")


def policies(version: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    """Name -> definition, as the management API takes it."""
    tickets: dict[str, Any] = {
        "delivery-limit": DELIVERY_LIMIT,
        "dead-letter-exchange": DEAD,
        # A poisoned ticket is not lost between two queues either; this strategy needs reject-publish.
        "dead-letter-strategy": "at-least-once",
        "overflow": "reject-publish",
        "max-length": 1_000_000,
    }
    if version >= (3, 12):
        tickets["consumer-timeout"] = CONSUMER_TIMEOUT_MS
    return {
        "d8-tickets": {"pattern": r"^d8\.", "apply-to": "queues", "priority": 1, "definition": tickets},
        # An unroutable message is confirmed to its sender like any other: without this nobody would know.
        "d8-exchange": {
            "pattern": "^d8$",
            "apply-to": "exchanges",
            "priority": 1,
            "definition": {"alternate-exchange": UNROUTABLE},
        },
        "d8-ends": {
            "pattern": f"^({DEAD}|{UNROUTABLE})$",
            "apply-to": "queues",
            "priority": 1,
            # A trace, not an archive.
            "definition": {"max-length": 10_000, "overflow": "drop-head"},
        },
    }


def parse_version(text: str) -> tuple[int, ...]:
    """``3.10.8`` -> (3, 10, 8)."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def build_of(queue: str) -> str:
    """The build in a ticket queue's name, or "" for any other queue."""
    match = _TICKET_QUEUE.fullmatch(queue)
    return match["build"] if match else ""


def worker_permissions(worker: str) -> dict[str, str]:
    """What the user of one worker may do: the regular expressions of its permissions.

    It reads tickets of any lane and its own, and writes events and answers. It cannot write to the
    exchange of tickets, nor to the one of remote control: whoever may do that can shut the fleet down.
    Binding a queue takes the right to write to that queue and to read the exchange.
    """
    own = re.escape(worker)
    lanes = r"d8\.[a-z0-9-]+\.[0-9a-f]{12}"
    mine = rf"d8\.@{own}\.[0-9a-f]{{12}}|d8@{own}\.celery\.pidbox"
    return {
        "configure": rf"^({lanes}|{mine}|d8|celeryev|celery\.pidbox|reply\.celery\.pidbox)$",
        "write": rf"^({lanes}|{mine}|celeryev|reply\.celery\.pidbox)$",
        "read": rf"^({lanes}|{mine}|d8|celery\.pidbox)$",
    }
