"""Brings reports to the master while the next step runs already."""

from __future__ import annotations

import logging
import queue
import threading

from tasks.errors import D8Error, Unreachable
from tasks.log import say
from tasks.protocol import Report
from worker.attempt import TRIES, Attempt, LeaseKeeper
from worker.master_client import MasterClient, patiently
from worker.spool import Spool

log = logging.getLogger("d8.courier")

#: With so many reports on their way, the next one waits: the master is slower than the work.
_ON_THE_WAY = 4


class Courier:
    """One thread per process. A report is on its way until the master has recorded it or it is on disk;
    until then its lease is kept."""

    def __init__(self, client: MasterClient, spool: Spool, keeper: LeaseKeeper) -> None:
        self._client = client
        self._spool = spool
        self._keeper = keeper
        self._reports: queue.Queue[tuple[Report, Attempt]] = queue.Queue(maxsize=_ON_THE_WAY)
        self._thread: threading.Thread | None = None

    def send(self, report: Report, attempt: Attempt) -> None:
        """Hand over a report; returns at once unless several are on their way."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="courier", daemon=True)
            self._thread.start()
        self._reports.put((report, attempt))

    def wait(self) -> None:
        """Until nothing is on its way: before the process ends."""
        if self._thread is not None:
            self._reports.join()

    def _work(self) -> None:
        while True:
            report, attempt = self._reports.get()
            try:
                self._deliver(report)
            except Exception:
                log.exception("courier_failed step=%s", report.step)
            finally:
                self._keeper.release(attempt)
                self._reports.task_done()

    def _deliver(self, report: Report) -> None:
        """To the master, or to the spool, or (with a full disk) to the master whenever it is back."""
        tries = TRIES
        while True:
            try:
                patiently(lambda: self._client.report(report), tries=tries, what="report")
                return
            except Unreachable:
                try:
                    self._spool.put(report)
                    return
                except OSError as error:
                    say(log, logging.ERROR, "spool_failed", step=report.step, error=error.strerror)
                    tries = 10
            except D8Error as error:
                say(log, logging.WARNING, "report_refused", step=report.step, error=str(error))
                return
