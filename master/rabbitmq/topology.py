"""The broker is made ready for a build: policies, exchanges, queues. All of it may be repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from master.rabbitmq.management import Management
from master.rabbitmq.policies import DEAD, UNROUTABLE, build_of, parse_version, policies
from tasks.lanes import LANES, MASTER_QUEUE, lane_queue, worker_queue

_QUORUM = {"x-queue-type": "quorum"}


def install_topology(management: Management, build: str, lanes: Iterable[str] = LANES) -> None:
    """Declare what tickets of this build need. Early, because a quorum queue that is younger than some
    twenty seconds can lose what it confirmed when the broker is killed (seen with 3.10.8)."""
    vhost = management.vhost
    version = parse_version(management.get("overview")["rabbitmq_version"])
    for name, policy in policies(version).items():
        management.put("policies", vhost, name, **policy)
    management.put("exchanges", vhost, "d8", type="direct", durable=True, auto_delete=False)
    for name in (DEAD, UNROUTABLE):
        management.put("exchanges", vhost, name, type="fanout", durable=True, auto_delete=False)
        management.put("queues", vhost, name, durable=True, arguments=_QUORUM)
        management.post("bindings", vhost, "e", name, "q", name, routing_key="", arguments={})
    for name in (MASTER_QUEUE, *(lane_queue(lane, build) for lane in lanes)):
        management.put("queues", vhost, name, durable=True, arguments=_QUORUM)
        management.post("bindings", vhost, "e", "d8", "q", name, routing_key=name, arguments={})


def clear_old_queues(management: Management, builds: Iterable[str]) -> list[str]:
    """Delete the queues of builds that are none of these, where nothing is in them and nobody reads
    them. Returns their names. Quorum queues know no conditional deletion (3.10); what slips in between
    is rung again from the database."""
    kept = set(builds)
    return [
        queue["name"]
        for queue in management.get("queues", management.vhost) or ()
        if (build := build_of(queue["name"]))
        and build not in kept
        # A queue that was made just now has no counts yet.
        and queue.get("messages", 1) == 0
        and queue.get("consumers", 1) == 0
        and management.delete("queues", management.vhost, queue["name"])
    ]


def count_strays(management: Management) -> dict[str, int]:
    """How many tickets lie where nobody reads them: those that killed whoever took them, and those that
    had no queue. RabbitMQ's counts follow by some seconds."""
    return {
        name: int((management.get("queues", management.vhost, name) or {}).get("messages", 0))
        for name in (DEAD, UNROUTABLE)
    }


def silent_workers(management: Management, active: Mapping[str, str]) -> list[str]:
    """Of the active workers (name -> build) those that read none of their queues: alive, but deaf.

    The most reported fault of Celery workers after a broker's restart (celery/celery#8030).
    """
    found = management.get("consumers", management.vhost) or ()
    read = {consumer["queue"]["name"] for consumer in found}
    return sorted(name for name, build in active.items() if worker_queue(name, build) not in read)
