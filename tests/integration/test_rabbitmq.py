"""A real RabbitMQ: the topology, what a worker's user may do, and what happens to tickets that stray."""

from __future__ import annotations

from collections.abc import Iterator

import kombu
import pytest

from master.rabbitmq import (
    Management,
    clear_old_queues,
    create_worker_user,
    install_topology,
    remove_worker_user,
    silent_workers,
)
from master.rabbitmq.policies import DEAD, DELIVERY_LIMIT, UNROUTABLE
from tasks.errors import Unhealthy, Unreachable
from tasks.lanes import lane_queue, worker_queue
from tasks.queues import TICKETS, queue_named
from tests.servers import RabbitMQ
from tests.support import wait_until

pytestmark = pytest.mark.services

BUILD, OTHER = "b" * 12, "c" * 12
LANE = lane_queue("cpu", BUILD)


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


def test_declarers_agree(management: Management, connection: kombu.Connection) -> None:
    queue_named(LANE, rabbitmq=True)(connection.default_channel).declare()


def test_ticket_without_a_queue_is_kept_for_people(
    management: Management, connection: kombu.Connection
) -> None:
    send(connection, "d8.nowhere." + BUILD)
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
    kombu.Exchange("celery.pidbox", type="fanout")(connection.default_channel).declare()
    send(connection, LANE)
    with kombu.Connection(url) as own:
        queue_named(LANE, rabbitmq=True)(own.default_channel).declare()
        queue_named(worker_queue("garage", BUILD), rabbitmq=True)(own.default_channel).declare()
        assert take(own, LANE) is not None
    for forbidden in (TICKETS, "", kombu.Exchange("celery.pidbox", type="fanout")):
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


def _confirmed(url: str) -> kombu.Connection:
    return kombu.Connection(url, transport_options={"confirm_publish": True})
