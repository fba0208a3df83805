"""A thread in the worker's parent process that keeps the master informed."""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tasks.build import Build
from tasks.errors import D8Error, NotFound, Refused, Unreachable
from tasks.log import say
from tasks.protocol import (
    MOST_LOG,
    Hardware,
    Heartbeat,
    Join,
    Lost,
    ModelServerStats,
    Welcome,
    WorkerLog,
)
from worker.agent.updater import Updater
from worker.master_client import MasterClient
from worker.runner import Identity
from worker.spool import Spool

log = logging.getLogger("d8.agent")

#: Until the first welcome, and while something waits to be delivered, it tries this often.
_EAGER_S = 1.0
_LATER_S = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Circumstances:
    """How this worker process was started."""

    lanes: tuple[str, ...]
    slots: int
    host: str
    #: Under a keeper, which can change its code.
    kept: bool = False
    auto_update: bool = False
    #: The build that it goes back to unless this one proves itself; "" when not on trial.
    trial_from: str = ""
    #: Why the last change of build was undone.
    update_error: str = ""


class Agent:
    """Joins and then repeats: heartbeat, deliver the spool, report lost attempts."""

    def __init__(
        self,
        identity: Identity,
        build: Build,
        circumstances: Circumstances,
        client: MasterClient,
        spool: Spool,
        probe: Callable[[], Hardware],
        updater: Updater,
        end_trial: Callable[[str], None],
        read_models: Callable[[], ModelServerStats | None],
        read_log: Callable[[], str],
    ) -> None:
        """``end_trial`` is called with "" or the error when this build has proved itself, or not.
        ``read_models`` is quick and never raises. ``read_log`` gives the end of the log, without secrets."""
        self._identity = identity
        self._build = build
        self._circumstances = circumstances
        self._client = client
        self._spool = spool
        self._probe = probe
        self._updater = updater
        self._end_trial = end_trial
        self._read_models = read_models
        self._read_log = read_log
        self._update_error = circumstances.update_error
        self._losses: queue.SimpleQueue[Lost] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = False
        self._joined = False
        self._welcome: Welcome | None = None
        self._trouble = "it has not reached the master yet"
        self._thread = threading.Thread(target=self._work, name="agent", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye, so that nobody waits for a lease to run out. A master that is away will find out."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=10)
        try:
            self._client.leave(self._heartbeat())
        except D8Error as error:
            say(log, logging.WARNING, "goodbye_failed", error=str(error))

    def report_lost(self, lost: Lost) -> None:
        """Called when a process of this worker died or was killed with a step in hand."""
        self._losses.put(lost)
        self._wake.set()

    def describe(self) -> dict[str, Any]:
        """How the worker stands, for ``/api/health``. Not healthy: somebody should look."""
        welcome, trouble = self._welcome, self._trouble
        standing = welcome.state if welcome is not None else "joining"
        return {
            "healthy": not trouble and standing in ("active", "draining", "joining"),
            "worker": self._identity.name,
            "state": standing,
            "reason": trouble or (welcome.reason if welcome is not None else ""),
            "note": self._updater.note,
        }

    def _work(self) -> None:
        wait_s = 0.0
        while not self._stopping:
            self._wake.wait(wait_s)
            self._wake.clear()
            if self._stopping:
                return
            try:
                wait_s = self._one_round()
                self._trouble = ""
            except Unreachable as error:
                self._trouble = str(error)
                wait_s = min(_LATER_S, max(_EAGER_S, wait_s * 1.5))
                say(log, logging.WARNING, "master_away", error=str(error), wait_s=round(wait_s, 1))
            except (NotFound, Refused) as error:
                # The master does not know this session (any more): introduce ourselves again.
                self._trouble = str(error)
                say(log, logging.WARNING, "not_known", error=str(error))
                self._joined, wait_s = False, _EAGER_S * 5
            except D8Error as error:
                self._trouble = str(error)
                say(log, logging.WARNING, "agent_held_up", error=str(error))
                wait_s = _EAGER_S * 5
            except Exception:
                log.exception("agent_failed")
                wait_s = _EAGER_S * 5

    def _one_round(self) -> float:
        """Seconds until the next one is due."""
        if self._updater.error:
            self._update_error, self._joined = self._updater.error, False
            self._updater.forget()
        welcome = self._beat() if self._joined else self._join()
        self._joined = True
        self._take_note(welcome)
        while not self._losses.empty():
            lost = self._losses.get()
            try:
                self._client.lost(lost)
            except Unreachable:
                self._losses.put(lost)
                raise
        self._spool.deliver(self._client)
        if welcome.log_wanted:
            self._send_log()
        if self._circumstances.kept:
            self._updater.ask(welcome.update_to)
        return welcome.heartbeat_s

    def _join(self) -> Welcome:
        how = self._circumstances
        return self._client.join(
            Join(
                worker=self._identity.name,
                session=self._identity.session,
                build=self._build.id,
                commit=self._build.commit,
                dirty=self._build.dirty,
                lanes=how.lanes,
                slots=how.slots,
                host=how.host,
                hardware=self._probe(),
                can_update=how.kept,
                auto_update=how.auto_update,
                trial_from=how.trial_from,
                update_error=self._update_error[:2000],
                sent_at=datetime.now(UTC),
            )
        )

    def _beat(self) -> Welcome:
        return self._client.heartbeat(self._heartbeat(self._read_models()))

    def _heartbeat(self, models: ModelServerStats | None = None) -> Heartbeat:
        return Heartbeat(
            worker=self._identity.name,
            session=self._identity.session,
            hardware=self._probe(),
            sent_at=datetime.now(UTC),
            note=self._updater.note,
            models=models,
        )

    def _send_log(self) -> None:
        """It is asked for again as long as it has not come: what goes wrong here stops nothing else."""
        try:
            text = self._read_log()[-MOST_LOG:]
            self._client.send_log(
                WorkerLog(worker=self._identity.name, session=self._identity.session, text=text)
            )
        except (D8Error, OSError) as error:
            say(log, logging.WARNING, "log_not_sent", error=str(error))

    def _take_note(self, welcome: Welcome) -> None:
        before, self._welcome = self._welcome, welcome
        if before is not None and welcome.state == before.state:
            return
        level = logging.INFO if welcome.state == "active" else logging.WARNING
        say(
            log,
            level,
            "worker_state",
            worker=self._identity.name,
            state=welcome.state,
            build=self._build,
            fleet_build=welcome.fleet_build,
            **({"reason": welcome.reason} if welcome.reason else {}),
        )
        if self._circumstances.trial_from and welcome.state != "joining":
            passed = welcome.state in ("active", "draining")
            self._end_trial("" if passed else welcome.reason or f"it became {welcome.state}")
            # From now on it is a worker like any other.
            self._circumstances = dataclasses.replace(self._circumstances, trial_from="")
