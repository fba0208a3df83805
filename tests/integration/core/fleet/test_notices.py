"""What the owner hears of the workers, once."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from master.fleet.notices import list_notices
from master.fleet.workers import hear_worker, leave_worker, miss_workers
from master.store.tables import events
from tasks.protocol import Grant, Heartbeat
from tests.integration.core.conftest import HARDWARE, Bench
from tests.integration.core.fleet.stage import join, open_kinds, standing


def test_owner_hears_once_of_a_silent_worker_and_once_that_it_is_back(bench: Bench) -> None:
    bench.pass_by(76)
    bench.write(miss_workers, heartbeat_s=30)
    bench.write(miss_workers, heartbeat_s=30)
    assert open_kinds(bench) == ["worker_offline"]
    bench.join()
    assert open_kinds(bench) == []
    told = bench.read(
        lambda c: c.execute(select(events.c.name).where(events.c.name.like("notice%"))).scalars().all()
    )
    assert told == ["notice_opened", "notice_closed"]


def test_worker_that_is_stopped_on_purpose_is_no_news(bench: Bench) -> None:
    bench.write(leave_worker, Heartbeat(worker="one", session="session-1", hardware=HARDWARE))
    assert standing(bench, "one")["reason"] == "it was stopped"
    assert open_kinds(bench) == []


def test_outdated_worker_is_announced_unless_it_updates_itself(bench: Bench) -> None:
    join(bench, "auto", build="a" * 12, can_update=True, auto_update=True)
    join(bench, "old", build="a" * 12)
    assert [notice.subject for notice in bench.read(list_notices)] == ["worker:old"]


def test_clock_that_is_off_is_noticed_and_harms_nothing(bench: Bench) -> None:
    message = Heartbeat(
        worker="one", session="session-1", hardware=HARDWARE, sent_at=bench.now + timedelta(hours=1)
    )
    bench.write(hear_worker, message, heartbeat_s=30)
    assert standing(bench, "one")["clock_skew_s"] == 3600
    bench.start(steps=1)
    (posting,) = bench.publish()
    assert isinstance(bench.claim(posting.ticket), Grant)
