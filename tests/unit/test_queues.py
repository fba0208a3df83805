"""How queues are declared, and what RabbitMQ is told about them: pure, without a broker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from master.rabbitmq import Management, find_rabbitmq
from master.rabbitmq.policies import DEAD, UNROUTABLE, build_of, parse_version, policies, worker_permissions
from master.settings import load_settings
from tasks.errors import InvalidInput
from tasks.lanes import LANES, MASTER_QUEUE, lane_queue, worker_queue
from tasks.queues import TICKETS, is_rabbitmq, queue_named

BUILD = "0123456789ab"


def _may(worker: str, right: str, name: str) -> bool:
    """As RabbitMQ asks it: the expression may match anywhere."""
    return re.search(worker_permissions(worker)[right], name) is not None


def test_code_names_a_queues_type_and_nothing_else() -> None:
    queue = queue_named(lane_queue("cpu", BUILD), rabbitmq=True)
    assert vars(queue)["queue_arguments"] == {"x-queue-type": "quorum"}
    assert (queue.durable, queue.exclusive, queue.auto_delete) == (True, False, False)
    assert (queue.exchange, queue.routing_key) == (TICKETS, queue.name)


def test_other_brokers_get_a_plain_queue() -> None:
    queue = queue_named("d8.cpu", rabbitmq=False)
    assert vars(queue)["queue_arguments"] is None
    assert queue.exchange.name == ""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("amqp://d8@pi/d8", True),
        ("amqps://d8@pi/d8", True),
        ("redis://pi", False),
        ("memory://", False),
        ("", False),
    ],
)
def test_rabbitmq_is_known_by_its_address(url: str, expected: bool) -> None:
    assert is_rabbitmq(url) is expected


@pytest.mark.parametrize("version", [(3, 10, 8), (3, 13, 7), (4, 1, 0)])
def test_one_policy_applies_to_each_queue(version: tuple[int, ...]) -> None:
    of_queues = [policy["pattern"] for policy in policies(version).values() if policy["apply-to"] == "queues"]
    names = [MASTER_QUEUE, DEAD, UNROUTABLE, worker_queue("garage", BUILD)]
    for name in names + [lane_queue(lane, BUILD) for lane in LANES]:
        assert len([pattern for pattern in of_queues if re.search(pattern, name)]) == 1, name
    # Classic queues, which would refuse a quorum queue's policy.
    assert not [pattern for pattern in of_queues if re.search(pattern, "d8@garage.celery.pidbox")]


def test_consumer_timeout_is_in_the_policy_of_servers_that_know_it() -> None:
    assert "consumer-timeout" not in policies((3, 10, 8))["d8-tickets"]["definition"]
    assert policies((3, 12, 0))["d8-tickets"]["definition"]["consumer-timeout"] > 30 * 24 * 3600 * 1000


def test_dead_letters_at_least_once_come_with_the_overflow_that_they_need() -> None:
    definition = policies((4, 0, 0))["d8-tickets"]["definition"]
    assert (definition["dead-letter-strategy"], definition["overflow"]) == ("at-least-once", "reject-publish")


@pytest.mark.parametrize(
    ("text", "version"), [("3.10.8", (3, 10, 8)), ("4.1.0-rc.1", (4, 1, 0)), ("4.2.1", (4, 2, 1))]
)
def test_versions_are_read(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_build_is_read_from_ticket_queues_only() -> None:
    assert build_of(lane_queue("gpu-16g", BUILD)) == BUILD
    assert build_of(worker_queue("garage.pc_2", BUILD)) == BUILD
    for other in (
        MASTER_QUEUE,
        DEAD,
        UNROUTABLE,
        "d8@garage.celery.pidbox",
        f"x.d8.cpu.{BUILD}",
        "d8.cpu.short",
    ):
        assert build_of(other) == "", other


def test_worker_may_use_its_own_queues_and_the_lanes() -> None:
    mine = [worker_queue("garage.pc", BUILD), "d8@garage.pc.celery.pidbox"]
    for name in mine + [lane_queue(lane, BUILD) for lane in LANES]:
        for right in ("configure", "write", "read"):
            assert _may("garage.pc", right, name), (right, name)


@pytest.mark.parametrize(
    "name",
    [
        worker_queue("other", BUILD),
        # A dot in a name stands for itself.
        worker_queue("garageXpc", BUILD),
        worker_queue("garage.pc.two", BUILD),
        "d8@other.celery.pidbox",
        MASTER_QUEUE,
        "d8@master.celery.pidbox",
        DEAD,
        UNROUTABLE,
        "amq.default",
        f"prefix-{lane_queue('cpu', BUILD)}",
    ],
)
def test_worker_has_no_right_to_what_is_not_its_own(name: str) -> None:
    for right in ("configure", "write", "read"):
        assert not _may("garage.pc", right, name), (right, name)


@pytest.mark.parametrize("exchange", ["d8", "celery.pidbox", "amq.default", ""])
def test_worker_can_neither_send_tickets_nor_command_others(exchange: str) -> None:
    assert not _may("garage", "write", exchange)


def test_management_api_is_used_with_rabbitmq_only(d8_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D8_BROKER_URL", "amqp://d8:x@pi/d8")
    assert find_rabbitmq(load_settings()) is None
    monkeypatch.setenv("D8_RABBITMQ_URL", "http://d8:p%40ss@pi:15672/")
    found = find_rabbitmq(load_settings())
    assert found is not None
    assert found.vhost == "d8"
    monkeypatch.setenv("D8_BROKER_URL", "redis://pi")
    assert find_rabbitmq(load_settings()) is None


def test_wrong_address_of_the_management_api_names_the_setting_but_no_password() -> None:
    with pytest.raises(InvalidInput, match="D8_RABBITMQ_URL") as refused:
        Management("d8:secret@pi:15672", "amqp://pi/d8")
    assert "secret" not in str(refused.value)
