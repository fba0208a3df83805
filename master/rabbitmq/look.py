"""How a RabbitMQ is set up, as far as our tickets depend on it."""

from __future__ import annotations

from typing import Any

from master.rabbitmq.management import Management
from master.rabbitmq.policies import DEAD, UNROUTABLE, build_of, parse_version, policies
from tasks.lanes import MASTER_QUEUE
from tasks.record import Record

#: Its password is known to everybody.
GUEST = "guest"


class BrokerSettings(Record):
    version: str
    #: Alarms that are raised, by node: while there is one, nobody can send. Empty when all is well.
    alarms: tuple[str, ...]
    #: Our policies that are missing or say something else, and others that take their place on our queues.
    wrong_policies: tuple[str, ...]
    #: Queues of ours that are of another type than quorum.
    wrong_queues: tuple[str, ...]
    #: Whether the user is there that every RabbitMQ comes with.
    has_guest: bool


def read_broker_settings(management: Management) -> BrokerSettings:
    """``Unreachable`` and ``Unhealthy`` as the management API's client says them."""
    version = str(management.get("overview")["rabbitmq_version"])
    queues = [queue for queue in management.get("queues", management.vhost) or () if is_ours(queue["name"])]
    return BrokerSettings(
        version=version,
        alarms=tuple(find_alarms(management.get("nodes") or ())),
        wrong_policies=tuple(
            find_wrong_policies(
                policies(parse_version(version)), management.get("policies", management.vhost) or (), queues
            )
        ),
        wrong_queues=tuple(sorted(queue["name"] for queue in queues if queue.get("type") != "quorum")),
        has_guest=management.get("users", GUEST) is not None,
    )


def is_ours(queue: str) -> bool:
    return queue in (DEAD, UNROUTABLE, MASTER_QUEUE) or bool(build_of(queue))


def find_alarms(nodes: Any) -> list[str]:
    """Of each node: memory, disk, file descriptors nearly gone, and a partition of the cluster."""
    found = []
    for node in nodes:
        name = node.get("name", "?")
        if not node.get("running", True):
            found.append(f"{name} does not run")
        if node.get("mem_alarm"):
            found.append(f"{name} is over its memory limit")
        if node.get("disk_free_alarm"):
            found.append(f"{name} has too little free disk")
        if node.get("partitions"):
            found.append(f"{name} is cut off from {', '.join(node['partitions'])}")
        total, used = node.get("fd_total", 0), node.get("fd_used", 0)
        # Newer versions no longer count them.
        if total > 0 and isinstance(used, int) and used > 0.9 * total:
            found.append(f"{name} has {used} of {total} files open")
    return found


def find_wrong_policies(wanted: dict[str, dict[str, Any]], there: Any, queues: Any) -> list[str]:
    """What is missing, what is defined otherwise, and which other policy holds for a queue of ours: of several that
    match, the one of the highest priority does."""
    defined = {policy["name"]: policy for policy in there}
    found = []
    for name, policy in wanted.items():
        if name not in defined:
            found.append(f"{name} is missing")
        elif any(defined[name].get(part) != policy[part] for part in ("pattern", "definition")):
            found.append(f"{name} was changed")
    holding = {str(queue.get("policy") or "") for queue in queues}
    found += [f"{other} takes the place of ours" for other in sorted(holding - {"", *wanted})]
    return found
