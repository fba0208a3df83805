"""What can go wrong: each fault breaks something on a stage, and mends what does not mend itself."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kombu import Connection, Producer

from tasks.lanes import lane_queue, worker_queue
from tasks.queues import TICKETS
from tests.faults.clock import why_no_clock
from tests.faults.stage import QUICK, Stage, WorkerHost
from tests.support import Process, free_port

_LEASE_S = float(QUICK["D8_LEASE_S"])


@dataclasses.dataclass
class Play:
    """One seed on one stage."""

    stage: Stage
    chance: random.Random
    #: Runs of this seed; a fault may add some of its own.
    runs: list[str]
    seed: int

    def any_host(self) -> WorkerHost:
        return self.chance.choice(self.stage.hosts)


Fault = Callable[[Play], None]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    def register(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return register


def _kill(pid: int | None) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _for(seconds: float) -> None:
    """A fault lasts: nothing can be waited for but the time."""
    time.sleep(seconds)


@fault("celery child killed")
def kill_child(play: Play) -> None:
    children = [pid for host in play.stage.hosts for pid in host.children()]
    if children:
        _kill(play.chance.choice(children))


@fault("worker's parent killed")
def kill_parent(play: Play) -> None:
    """Its keeper starts it again."""
    _kill(play.any_host().parent())


@fault("whole host killed")
def kill_host(play: Play) -> None:
    host = play.any_host()
    host.kill()
    _for(play.chance.uniform(0, 1.5 * _LEASE_S))
    host.start()


@fault("model server killed")
def kill_model_server(play: Play) -> None:
    for pid in play.any_host().model_servers():
        _kill(pid)


@fault("master's API killed")
def kill_api(play: Play) -> None:
    for pid in play.stage.master_processes("-m master.api"):
        _kill(pid)


@fault("master's worker killed")
def kill_duties(play: Play) -> None:
    for pid in play.stage.master_processes("-A master.app"):
        _kill(pid)


@fault("whole master killed")
def kill_master(play: Play) -> None:
    play.stage.kill_master()
    _for(play.chance.uniform(0, 2 * _LEASE_S))
    play.stage.start_master()


@fault("RabbitMQ killed")
def kill_rabbitmq(play: Play) -> None:
    play.stage.rabbitmq.kill()
    play.stage.rabbitmq.restart()


@fault("Postgres killed")
def kill_postgres(play: Play) -> None:
    play.stage.postgres.kill()
    _for(play.chance.uniform(0, 2))
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


@fault("cut off for less than the lease")
def cut_short(play: Play) -> None:
    host = play.any_host().host
    host.cut()
    _for(play.chance.uniform(0.2, 0.8) * _LEASE_S)
    host.mend()


@fault("cut off for more than the lease")
def cut_long(play: Play) -> None:
    """Its steps are given to others meanwhile; then it is back, with late results."""
    host = play.any_host().host
    host.cut()
    _for(play.chance.uniform(1.5, 2.5) * _LEASE_S)
    host.mend()


@fault("half-open connections")
def half_open(play: Play) -> None:
    proxies = play.any_host().proxies
    for proxy in proxies:
        proxy.half_open = True
        proxy.reset()
    _for(play.chance.uniform(1, 6))
    for proxy in proxies:
        proxy.calm()


@fault("300 ms of latency")
def latency(play: Play) -> None:
    proxies = play.any_host().proxies
    for proxy in proxies:
        proxy.delay_s = 0.3
    _for(play.chance.uniform(2, 6))
    for proxy in proxies:
        proxy.calm()


@fault("stall")
def stall(play: Play) -> None:
    proxies = play.any_host().proxies
    for proxy in proxies:
        proxy.stalled = True
    _for(play.chance.uniform(1, 8))
    for proxy in proxies:
        proxy.calm()


@fault("connections reset")
def reset(play: Play) -> None:
    for _ in range(play.chance.randint(1, 5)):
        for host in play.stage.hosts:
            for proxy in host.proxies:
                proxy.reset()
        _for(0.3)


@fault("worker's disk full")
def fill_worker_disk(play: Play) -> None:
    _fill(play.any_host().home, play.chance.uniform(2, 6))


@fault("master's disk full")
def fill_master_disk(play: Play) -> None:
    _fill(play.stage.home, play.chance.uniform(2, 6))


def _fill(folder: Path, seconds: float) -> None:
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 65536)
    _for(seconds)
    ballast.unlink(missing_ok=True)


@fault("a worker's clock is off")
def shift_clock(play: Play) -> None:
    """An hour ahead or behind, or back and forth."""
    clock = play.stage.hosts[-1].clock
    assert clock is not None, f"no clock can be set here: {why_no_clock()}"
    for _ in range(play.chance.randint(1, 4)):
        clock.set(play.chance.choice((3600, -3600, 17, -90)))
        _for(1)
    clock.set(0)


@fault("two masters on one database")
def two_masters(play: Play) -> None:
    stage = play.stage
    home = stage.folder / "second"
    second = Process(
        [sys.executable, "-m", "master.cli", "up", "--workers", "0", "--no-flower"],
        stage.folder / "second.log",
        env=stage.master_environment(home, free_port()),
        cwd=stage.root,
    )
    try:
        second.wait_for_line("The master runs", 60)
        _for(play.chance.uniform(0, 3))
    finally:
        second.kill_group()
        shutil.rmtree(home, ignore_errors=True)


@fault("upgrade in the middle")
def upgrade(play: Play) -> None:
    """The master comes back with another build; the workers change over by themselves."""
    stage = play.stage
    stage.kill_master()
    stage.root = stage.another_build()
    stage.start_master()


@fault("a step that crashes its process")
def crashing_step(play: Play) -> None:
    _drill(play, "crash", steps=2)


@fault("a step that hangs")
def hanging_step(play: Play) -> None:
    _drill(play, "hang", steps=1)


@fault("a step that eats memory")
def hungry_step(play: Play) -> None:
    _drill(play, "allocate", steps=1, memory_mib=2048)


def _drill(play: Play, behavior: str, **params: int) -> None:
    """A run that must end with all of its steps failed, and with nothing else the worse for it."""
    key = f"drill-{behavior}-{play.seed}-{len(play.runs)}"
    play.runs.append(play.stage.submit("drill", {"behavior": behavior, **params}, key))


def heal(stage: Stage) -> None:
    """Whatever a fault may have left: mended."""
    for host in stage.hosts:
        host.host.mend()
        for proxy in host.proxies:
            proxy.calm()
        (host.home / "ballast").unlink(missing_ok=True)
        if host.process is None or host.process.returncode is not None:
            host.start()
    (stage.home / "ballast").unlink(missing_ok=True)
