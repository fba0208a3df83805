"""A policy that cannot be read stops no more than it must."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from master.approvals import list_approvals
from master.dispatch.conductor import Conductor, write_directly
from master.duties import Duties
from master.fleet.notices import list_notices
from master.flows.runs import start_run
from master.store.tables import steps
from tasks.errors import InvalidInput
from tests.integration.core.approvals.stage import advanced, only_request
from tests.integration.core.conftest import Bench


class SilentBell:
    def send_tickets(self, postings: Any) -> None:
        """Nobody listens here."""

    def send_pass(self, run_id: str) -> None:
        """Nobody listens here."""


def test_rules_that_cannot_be_read_ask_nothing_and_lose_nothing(bench: Bench) -> None:
    place = bench.settings.policy_path
    place.write_text("quorum = lots")
    run_id = bench.write(start_run, "asks", {"name": "x"})
    with pytest.raises(InvalidInput, match=r"policy\.toml"):
        bench.engine.advance(run_id)
    assert bench.read(list_approvals) == []
    place.write_text("")
    assert advanced(bench, run_id).state == "waiting"
    assert bench.read(lambda c: c.execute(select(steps.c.state)).scalars().all()) == ["waiting"]


def test_rules_that_cannot_be_read_stop_no_other_duty_and_the_owner_is_told(bench: Bench) -> None:
    bell = SilentBell()
    conductor = Conductor(bench.database, write_directly(bench.database), bell, bench.settings, bench.clock)
    duties = Duties(bench.database, bench.engine, conductor, bell, bench.settings, bench.clock)
    place = bench.settings.policy_path
    place.write_text("quorum = lots")
    asks = bench.write(start_run, "asks", {"name": "x"})
    works = bench.write(start_run, "noop", {})
    duties.sweep()
    assert bench.read(lambda c: c.execute(select(steps.c.run_id)).scalars().all()) == [works]
    (notice,) = bench.read(list_notices)
    assert "policy.toml" in notice.data["reason"]
    place.write_text("")
    duties.sweep()
    assert only_request(bench).run_id == asks
    assert bench.read(list_notices) == []
    conductor.close()
