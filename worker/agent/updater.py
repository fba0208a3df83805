"""Brings this worker to the build that the master asks for, while it finishes what it runs."""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path

from tasks.errors import D8Error
from tasks.log import say
from worker.master_client import MasterClient
from worker.release import clear_releases, install, verify
from worker.switch import SwitchFiles

log = logging.getLogger("d8.update")


class Updater:
    """Prepares one build at a time, in a thread of its own."""

    def __init__(self, client: MasterClient, files: SwitchFiles, folder: Path, public_key: str) -> None:
        """``folder``: where releases are kept."""
        self._client = client
        self._files = files
        self._folder = folder
        self._public_key = public_key
        self._asked = ""
        #: What it is busy with, for people; "" for nothing.
        self.note = ""
        #: Why the last preparation failed, until it has been told.
        self.error = ""

    def ask(self, build: str) -> None:
        """Begin to prepare ``build``, unless that was begun already."""
        if build and build != self._asked:
            self._asked = build
            threading.Thread(target=self._prepare, args=(build,), name="update", daemon=True).start()

    def forget(self) -> None:
        """The failure has been told: the next request is a new one."""
        self._asked, self.error = "", ""

    def _prepare(self, build: str) -> None:
        say(log, logging.INFO, "update_began", build=build)
        try:
            self.note = f"fetching build {build}"
            release, archive = self._client.release()
            verify(release, archive, build, self._public_key)
            code = install(release, archive, self._folder, self._take_note)
            clear_releases(self._folder, keep={code.root} | self._referred_to())
            self._files.ask_switch(code)
        except (D8Error, OSError) as error:
            self.note, self.error = "", str(error)
            say(log, logging.WARNING, "update_failed", build=build, error=error)
            return
        except Exception as error:
            self.note, self.error = "", f"{type(error).__name__}: {error}"
            log.exception("update_failed build=%s", build)
            return
        self.note = f"finishes what it runs, then changes to build {build}"
        say(log, logging.INFO, "update_prepared", build=build)
        # Celery's warm shutdown; the keeper goes on from there.
        os.kill(os.getpid(), signal.SIGTERM)

    def _take_note(self, note: str) -> None:
        self.note = note
        say(log, logging.INFO, "update_goes_on", note=note)

    def _referred_to(self) -> set[str]:
        """Folders that this or another worker of the home runs, or would go back to."""
        kept: set[str] = set()
        for folder in (self._folder.parent / "worker").glob("*"):
            standing = SwitchFiles(folder).read_standing()
            if standing is not None:
                kept.add(standing.code.root)
                kept.update([standing.previous.root] if standing.previous is not None else [])
        return kept
