"""Processes that are killed, and tickets that go lost or come twice."""

from __future__ import annotations

from typing import Any

from kombu import Connection, Producer

from tasks.lanes import lane_queue, worker_queue
from tasks.queues import TICKETS
from tests.faults.acting import LEASE_S, Play, fault, hold, kill


@fault("celery child killed")
def kill_child(play: Play) -> None:
    children = [pid for host in play.stage.hosts for pid in host.children()]
    if children:
        kill(play.chance.choice(children))


@fault("worker's parent killed")
def kill_parent(play: Play) -> None:
    """Its keeper starts it again."""
    kill(play.any_host().parent())


@fault("whole host killed")
def kill_host(play: Play) -> None:
    host = play.any_host()
    host.kill()
    hold(play.chance.uniform(0, 1.5 * LEASE_S))
    host.start()


@fault("model server killed")
def kill_model_server(play: Play) -> None:
    for pid in play.any_host().model_servers():
        kill(pid)


@fault("master's API killed")
def kill_api(play: Play) -> None:
    for pid in play.stage.master_processes("-m master.api"):
        kill(pid)


@fault("master's worker killed")
def kill_duties(play: Play) -> None:
    for pid in play.stage.master_processes("-A master.app"):
        kill(pid)


@fault("whole master killed")
def kill_master(play: Play) -> None:
    play.stage.kill_master()
    hold(play.chance.uniform(0, 2 * LEASE_S))
    play.stage.start_master()


@fault("RabbitMQ killed")
def kill_rabbitmq(play: Play) -> None:
    play.stage.rabbitmq.kill()
    play.stage.rabbitmq.restart()


@fault("Postgres killed")
def kill_postgres(play: Play) -> None:
    play.stage.postgres.kill()
    hold(play.chance.uniform(0, 2))
    play.stage.postgres.restart()


@fault("Redis killed")
def kill_redis(play: Play) -> None:
    play.stage.redis.kill()
    play.stage.redis.restart()


@fault("Redis flushed")
def flush_redis(play: Play) -> None:
    with play.stage.redis.client() as client:
        client.flushall()


@fault("queues deleted")
def delete_queues(play: Play) -> None:
    """Every ticket queue, with what is in it. Who consumes from one is told and declares it again."""
    from master.rabbitmq import Management

    management = Management(play.stage.rabbitmq.management_url, play.stage.rabbitmq.url)
    for queue in management.get("queues", "d8"):
        if queue["name"].startswith("d8."):
            management.delete("queues", "d8", queue["name"])


@fault("every ticket delivered twice")
def duplicate_tickets(play: Play) -> None:
    """Twice more, in fact: to the lane, and to the worker that it may have been for."""
    with play.stage.sql() as cursor:
        cursor.execute(
            "SELECT id, attempt, build, task, lane, sent_to FROM steps WHERE state IN ('queued', 'running')"
        )
        rows = cursor.fetchall()
    with Connection(play.stage.rabbitmq.url) as connection, connection.channel() as channel:
        producer = Producer(channel, exchange=TICKETS, serializer="json")
        for step, attempt, build, task, lane, sent_to in rows:
            kwargs = {"step": step, "attempt": attempt, "build": build}
            name = f"{step}-{attempt}"
            for queue in (lane_queue(lane, build), worker_queue(sent_to, build) if sent_to else ""):
                if queue:
                    _publish(producer, queue, name, task, kwargs)


def _publish(producer: Producer, queue: str, name: str, task: str, kwargs: dict[str, Any]) -> None:
    """A message as Celery makes it (protocol 2)."""
    producer.publish(
        ([], kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}),
        routing_key=queue,
        correlation_id=name,
        headers={"lang": "py", "task": task, "id": name, "root_id": name, "parent_id": None, "group": None},
    )
