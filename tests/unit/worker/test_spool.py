"""Reports that wait on disk for the master."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import StaleToken, Unreachable
from tasks.protocol import Recorded, Report
from worker.spool import Spool


class Master:
    """Takes reports, unless it is away or says no."""

    def __init__(self) -> None:
        self.away = False
        self.refused: set[int] = set()
        self.reports: list[int] = []

    def report(self, report: Report) -> Recorded:
        if self.away:
            raise Unreachable("the master is away")
        if report.step in self.refused:
            raise StaleToken("too late")
        self.reports.append(report.step)
        return Recorded()


def a_report(step: int) -> Report:
    return Report(step=step, attempt=1, token="t" * 24, worker="one", result={"n": step})


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def test_reports_are_kept_while_the_master_is_away_and_delivered_once(spool: Spool) -> None:
    master = Master()
    master.away = True
    for step in (1, 2):
        spool.put(a_report(step))
    with pytest.raises(Unreachable):
        spool.deliver(master)  # type: ignore[arg-type]
    master.away = False
    assert spool.deliver(master) == 2  # type: ignore[arg-type]
    assert spool.deliver(master) == 0  # type: ignore[arg-type]
    assert sorted(master.reports) == [1, 2]


def test_report_that_comes_too_late_does_not_hold_up_the_others(spool: Spool) -> None:
    master = Master()
    master.refused = {1}
    for step in (1, 2):
        spool.put(a_report(step))
    assert spool.deliver(master) == 2  # type: ignore[arg-type]
    assert master.reports == [2]


def test_damaged_report_is_put_aside_for_a_person(spool: Spool, tmp_path: Path) -> None:
    spool.put(a_report(1))
    (tmp_path / "spool" / "9-1.json").write_text("{half")
    master = Master()
    spool.deliver(master)  # type: ignore[arg-type]
    assert master.reports == [1]
    assert (tmp_path / "spool" / "9-1.unreadable").exists()
