"""The fault suite's short form: a handful of seeds that strike in different places."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.faults.play import play_seed
from tests.faults.stage import Stage, made_stage
from tests.support import require

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    for program in ("rabbitmq-server", "postgres", "redis-server", "ip", "iptables"):
        require(program)
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root: run this test as root")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("D8_")]:
            patch.delenv(name)
        with made_stage() as made:
            yield made


@pytest.mark.parametrize(
    "fault",
    [
        "a step that crashes its process",
        "every ticket delivered twice",
        "cut off for more than the lease",
        "RabbitMQ killed",
        "whole master killed",
        "queues deleted",
        "upgrade in the middle",
    ],
)
def test_nothing_is_lost_recorded_twice_or_run_on_a_wrong_build(stage: Stage, fault: str) -> None:
    findings, _ = play_seed(stage, seed=sum(fault.encode()), only=fault)
    assert findings.steps >= 506
    assert findings.clean, findings.details
