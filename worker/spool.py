"""Reports that the master could not take yet, kept on disk until it can."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from tasks.errors import D8Error, Unreachable
from tasks.log import say
from tasks.protocol import Report
from worker.master_client import MasterClient

log = logging.getLogger("d8.spool")


class Spool:
    """A folder with one file per report. Many processes may put; one delivers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, report: Report) -> None:
        """Keep the report; on disk, whole, when this returns. Raises ``OSError`` when the disk is full."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(report.model_dump_json())
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._folder / f"{report.step}-{report.attempt}.json")
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        say(log, logging.WARNING, "report_spooled", step=report.step, attempt=report.attempt)

    def deliver(self, client: MasterClient) -> int:
        """Send what is kept, oldest first. ``Unreachable`` leaves the rest for later; a report that
        the master refuses is over. Returns how many left the spool."""
        delivered = 0
        for path in sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime):
            try:
                report = Report.model_validate_json(path.read_text(encoding="utf-8"))
                client.report(report)
                say(log, logging.INFO, "report_delivered_late", step=report.step, attempt=report.attempt)
            except Unreachable:
                raise
            except ValidationError:
                # Written by another build, or damaged: kept aside for a person.
                say(log, logging.ERROR, "report_unreadable", file=path)
                path.rename(path.with_suffix(".unreadable"))
                continue
            except D8Error as error:
                say(log, logging.WARNING, "report_refused", file=path.name, error=str(error))
            path.unlink(missing_ok=True)
            delivered += 1
        return delivered
