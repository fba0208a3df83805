"""A real RabbitMQ: the topology, what a worker's user may do, and what happens to tickets that stray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import kombu
import pytest

from master.cli.base import connect
from master.rabbitmq import (
    Management,
    clear_old_queues,
    count_strays,
    create_worker_user,
    install_topology,
    remove_worker_user,
    silent_workers,
)
from master.rabbitmq.look import read_broker_settings
from master.rabbitmq.policies import DEAD, DELIVERY_LIMIT, UNROUTABLE
from tasks.errors import Unhealthy, Unreachable
from tasks.lanes import lane_queue, worker_queue
from tasks.queues import TICKETS, queue_named
from tests.conftest import StartProcess
from tests.e2e.fleet import Fleet
from tests.servers import RabbitMQ
from tests.support import ROOT, Process, wait_until

pytestmark = pytest.mark.services

BUILD, OTHER = "b" * 12, "c" * 12
LANE = lane_queue("cpu", BUILD)
#: As kombu declares it; one that is declared otherwise is refused.
PIDBOX = kombu.Exchange("celery.pidbox", type="fanout", durable=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    broker = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    yield broker
    broker.stop()


@pytest.fixture
def management(server: RabbitMQ) -> Management:
    made = Management(server.management_url, server.url)
    install_topology(made, BUILD, ("cpu", "gpu"))
    return made


@pytest.fixture
def connection(server: RabbitMQ) -> Iterator[kombu.Connection]:
    with kombu.Connection(server.url, transport_options={"confirm_publish": True}) as made:
        yield made


def send(connection: kombu.Connection, queue: str, exchange: object = TICKETS) -> None:
    with connection.Producer(exchange=exchange) as producer:
        producer.publish({"ticket": 1}, routing_key=queue, serializer="json")


def take(connection: kombu.Connection, queue: str) -> kombu.Message | None:
    with connection.channel() as channel:
        return channel.basic_get(queue, no_ack=True)


def test_installing_the_topology_again_changes_nothing(management: Management) -> None:
    before = [(q["name"], q["arguments"]) for q in management.get("queues", "d8")]
    install_topology(management, BUILD, ("cpu", "gpu"))
    assert [(q["name"], q["arguments"]) for q in management.get("queues", "d8")] == before
    assert {name for name, _ in before} >= {LANE, "d8.master", DEAD, UNROUTABLE}


def test_policy_is_the_same_for_every_ticket_queue(management: Management) -> None:
    def tickets() -> list[dict[str, str]]:
        return [queue for queue in management.get("queues", "d8") if queue["name"].startswith("d8.")]

    # What is shown of a queue follows it by some seconds.
    wait_until(lambda: all("policy" in queue for queue in tickets()), 30, "the policies are shown")
    assert {queue["policy"] for queue in tickets()} == {"d8-tickets"}
    assert {queue["type"] for queue in tickets()} == {"quorum"}


def test_settings_that_are_not_ours_are_found(management: Management) -> None:
    def wrong() -> tuple[str, ...]:
        return read_broker_settings(management).wrong_policies

    # What is shown of a queue follows it by some seconds.
    wait_until(lambda: wrong() == (), 30, "the broker is as it should be")
    sound = read_broker_settings(management)
    assert (sound.alarms, sound.wrong_queues, sound.has_guest) == ((), (), False)
    management.put(
        "policies",
        "d8",
        "all",
        pattern=".*",
        **{"apply-to": "queues"},
        priority=9,
        definition={"max-length": 1},
    )
    management.put("queues", "d8", "d8.cpu.0123456789ab", durable=True, arguments={"x-queue-type": "classic"})
    management.put("users", "guest", password="guest", tags="administrator")
    try:
        wait_until(lambda: wrong() == ("all takes the place of ours",), 30, "the other policy is seen")
        found = read_broker_settings(management)
        assert (found.wrong_queues, found.has_guest) == (("d8.cpu.0123456789ab",), True)
        management.delete("policies", "d8", "d8-tickets")
        assert "d8-tickets is missing" in wrong()
    finally:
        management.delete("policies", "d8", "all")
        management.delete("queues", "d8", "d8.cpu.0123456789ab")
        management.delete("users", "guest")
        install_topology(management, BUILD, ("cpu", "gpu"))


def test_declarers_agree(management: Management, connection: kombu.Connection) -> None:
    queue_named(LANE, rabbitmq=True)(connection.default_channel).declare()


def test_ticket_without_a_queue_is_kept_for_people(
    management: Management, connection: kombu.Connection
) -> None:
    send(connection, "d8.nowhere." + BUILD)
    wait_until(lambda: count_strays(management)[UNROUTABLE] == 1, 30, "it is counted")
    assert wait_until(lambda: take(connection, UNROUTABLE), 20, "it is there")


def test_ticket_that_kills_whoever_takes_it_ends_among_the_dead(
    management: Management, connection: kombu.Connection
) -> None:
    send(connection, LANE)
    with connection.channel() as channel:
        for _ in range(DELIVERY_LIMIT + 1):
            message = wait_until(lambda: channel.basic_get(LANE), 20, "it is delivered")
            channel.basic_reject(message.delivery_tag, requeue=True)
    assert wait_until(lambda: take(connection, DEAD), 20, "it is among the dead")
    assert take(connection, LANE) is None


def test_user_of_a_worker_can_read_tickets_but_not_send_them_or_command_others(
    management: Management, server: RabbitMQ, connection: kombu.Connection
) -> None:
    url = create_worker_user(management, "garage")
    queue_named(worker_queue("other", BUILD), rabbitmq=True)(connection.default_channel).declare()
    PIDBOX(connection.default_channel).declare()
    send(connection, LANE)
    with kombu.Connection(url) as own:
        queue_named(LANE, rabbitmq=True)(own.default_channel).declare()
        queue_named(worker_queue("garage", BUILD), rabbitmq=True)(own.default_channel).declare()
        assert take(own, LANE) is not None
    for forbidden in (TICKETS, "", PIDBOX):
        with (
            pytest.raises(Exception, match="ACCESS_REFUSED"),
            _confirmed(url) as own,
            own.Producer(exchange=forbidden or None) as producer,
        ):
            producer.publish({}, routing_key=LANE, declare=[], serializer="json")
    with pytest.raises(Exception, match="ACCESS_REFUSED"), kombu.Connection(url) as own:
        take(own, worker_queue("other", BUILD))
    with pytest.raises(Exception, match="ACCESS_REFUSED"), kombu.Connection(url) as own:
        take(own, "d8.master")


def test_removed_user_is_cut_off_at_once(management: Management, server: RabbitMQ) -> None:
    url = create_worker_user(management, "garage")
    own = kombu.Connection(url)
    own.connect()
    # The statistics behind the list of connections come every few seconds.
    wait_until(
        lambda: any(c.get("user") == "worker-garage" for c in management.get("connections")),
        30,
        "it is listed",
    )
    remove_worker_user(management, "garage")
    with pytest.raises(OSError, match=r"closed|reset|CONNECTION_FORCED|Broken pipe"):
        wait_until(lambda: own.drain_events(timeout=1), 20, "it is closed")
    own.release()
    assert management.get("users", "worker-garage") is None


def test_queues_of_old_builds_go_when_nobody_needs_them(
    management: Management, connection: kombu.Connection
) -> None:
    install_topology(management, OTHER, ("cpu",))
    full = lane_queue("gpu", "e" * 12)
    install_topology(management, "e" * 12, ("gpu",))
    send(connection, full)
    wait_until(lambda: management.get("queues", "d8", full).get("messages"), 30, "the ticket is counted")
    cleared: list[str] = []

    def cleared_by_now() -> bool:
        cleared.extend(clear_old_queues(management, {BUILD}))
        return lane_queue("cpu", OTHER) in cleared

    wait_until(cleared_by_now, 30, "the old queue is gone")
    assert full not in cleared, "something is in it"
    assert LANE not in cleared


def test_active_worker_that_reads_nothing_is_found(
    management: Management, connection: kombu.Connection
) -> None:
    queue = queue_named(worker_queue("listens", BUILD), rabbitmq=True)
    with connection.Consumer(queue, callbacks=[lambda *_: None]):
        wait_until(
            lambda: silent_workers(management, {"listens": BUILD, "deaf": BUILD}) == ["deaf"],
            30,
            "one is deaf",
        )


def test_wrong_password_and_a_server_that_is_away_are_explained(server: RabbitMQ) -> None:
    with pytest.raises(Unhealthy, match="administrator"):
        Management(server.management_url.replace(server.password, "wrong"), server.url).get("overview")
    with pytest.raises(Unreachable, match="D8_RABBITMQ_URL"):
        Management("http://d8:x@127.0.0.1:9", server.url).get("overview")


@pytest.fixture
def fleet(
    server: RabbitMQ, start_process: StartProcess, d8_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Fleet:
    monkeypatch.setenv("D8_BROKER_URL", server.url)
    monkeypatch.setenv("D8_RABBITMQ_URL", server.management_url)
    made = Fleet(start_process, d8_home)
    made.start_master()
    return made


def test_worker_that_joined_works_with_its_own_user_and_answers_celery(
    fleet: Fleet, management: Management, start_process: StartProcess, tmp_path: Path
) -> None:
    worker = _join_and_start(fleet, start_process, tmp_path / "garage", "garage")
    run = fleet.wait_done(fleet.start_noop(6))
    assert {step["worker"] for step in run["steps"]} == {"garage"}
    wait_until(lambda: "worker-garage" in _users(management), 30, "its connection is listed", worker.tail)
    asked = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker.app", "inspect", "ping", "--json", "-t", "10",
         "-d", "d8@garage"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout) == {"d8@garage": {"ok": "pong"}}

    fleet.tell("worker", "remove", "garage", "--yes")
    wait_until(lambda: "worker-garage" not in _users(management), 30, "it is cut off", worker.tail)


def test_ticket_that_is_delivered_again_while_its_step_runs_runs_once(
    fleet: Fleet, management: Management
) -> None:
    # Its second slot takes the ticket that comes again while the first is still at it.
    worker = fleet.start_worker("one", slots=2)
    run_id = fleet.start_noop(1, duration_s=20)
    step = fleet.wait_step(run_id, "running")
    for name in wait_until(lambda: _connections(management, "one"), 10, "it listens", worker.tail):
        management.delete("connections", name)
    refused = f"claim_refused step={step['id']}"
    wait_until(lambda: refused in worker.output(), 18, "the ticket is delivered again", worker.tail)
    fleet.wait_done(run_id)
    assert _outcomes(run_id) == {step["key"]: ["done"]}


def test_killing_rabbitmq_in_the_middle_of_a_run_loses_nothing(fleet: Fleet, server: RabbitMQ) -> None:
    for name in ("one", "two"):
        fleet.start_worker(name)
    run_id = fleet.start_noop(60, duration_s=0.5)
    wait_until(lambda: fleet.show(run_id)["steps_done"] >= 5, 60, "it is under way")
    server.kill()
    assert fleet.show(run_id)["state"] == "running"
    server.restart()
    run = fleet.wait_done(run_id)
    assert run["steps_done"] == 60
    # What is between two of them can be rung twice, and is run once.
    assert set(map(tuple, _outcomes(run_id).values())) == {("done",)}


def _join_and_start(fleet: Fleet, start_process: StartProcess, home: Path, name: str) -> Process:
    """A machine with a home of its own: of the broker it knows only what the invite gave it."""
    own = {"D8_HOME": str(home), "D8_PORT": "", "D8_BROKER_URL": "", "D8_RABBITMQ_URL": ""}
    invite = fleet.ask("worker", "invite", name)
    join = [sys.executable, "-m", "worker.cli", "join", invite["url"], invite["code"], "--name", name]
    done = subprocess.run(
        join, cwd=ROOT, env={**os.environ, **own}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    worker = start_process([sys.executable, "-m", "worker.cli", "start", "--slots", "2"], env=own, name=name)
    wait_until(lambda: fleet.workers()[name]["state"] == "active", 60, f"{name} is active", worker.tail)
    return worker


def _users(management: Management) -> set[str]:
    return {connection.get("user", "") for connection in management.get("connections") or ()}


def _connections(management: Management, worker: str) -> set[str]:
    """Names of the connections over which this worker takes tickets."""
    return {
        consumer["channel_details"]["connection_name"]
        for consumer in management.get("consumers", management.vhost)
        if consumer["queue"]["name"].startswith(f"d8.@{worker}.") and consumer["channel_details"]
    }


def _outcomes(run_id: str) -> dict[str, list[str]]:
    """Step -> how each of its attempts ended."""
    found: dict[str, list[str]] = {}
    for attempt in connect().items(f"/api/runs/{run_id}/attempts"):
        found.setdefault(attempt["key"], []).append(attempt["outcome"])
    return found


def _confirmed(url: str) -> kombu.Connection:
    return kombu.Connection(url, transport_options={"confirm_publish": True})
