"""A thread in the worker's parent process that keeps the master informed."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from tasks.build import Build
from tasks.errors import D8Error, NotFound, Refused, Unreachable
from tasks.log import say
from tasks.protocol import Hardware, Heartbeat, Join, Lost, Welcome
from worker.master_client import MasterClient
from worker.runner import Identity
from worker.spool import Spool

log = logging.getLogger("d8.agent")

#: Until the first welcome, and while something waits to be delivered, it tries this often.
_EAGER_S = 1.0
_LATER_S = 30.0


class Agent:
    """Joins and then repeats: heartbeat, deliver the spool, report lost attempts."""

    def __init__(
        self,
        identity: Identity,
        build: Build,
        lanes: list[str],
        slots: int,
        host: str,
        client: MasterClient,
        spool: Spool,
        probe: Callable[[], Hardware],
    ) -> None:
        self._identity = identity
        self._build = build
        self._lanes = lanes
        self._slots = slots
        self._host = host
        self._client = client
        self._spool = spool
        self._probe = probe
        self._losses: queue.SimpleQueue[Lost] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = False
        self._joined = False
        self._state = ""
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

    def _work(self) -> None:
        wait_s = 0.0
        while not self._stopping:
            self._wake.wait(wait_s)
            self._wake.clear()
            if self._stopping:
                return
            try:
                wait_s = self._one_round()
            except Unreachable as error:
                wait_s = min(_LATER_S, max(_EAGER_S, wait_s * 1.5))
                say(log, logging.WARNING, "master_away", error=str(error), wait_s=round(wait_s, 1))
            except (NotFound, Refused) as error:
                # The master does not know this session (any more): introduce ourselves again.
                say(log, logging.WARNING, "not_known", error=str(error))
                self._joined, wait_s = False, _EAGER_S * 5
            except D8Error as error:
                say(log, logging.WARNING, "agent_held_up", error=str(error))
                wait_s = _EAGER_S * 5
            except Exception:
                log.exception("agent_failed")
                wait_s = _EAGER_S * 5

    def _one_round(self) -> float:
        """Seconds until the next one is due."""
        welcome = self._client.heartbeat(self._heartbeat()) if self._joined else self._join()
        self._joined = True
        self._note_state(welcome)
        while not self._losses.empty():
            lost = self._losses.get()
            try:
                self._client.lost(lost)
            except Unreachable:
                self._losses.put(lost)
                raise
        self._spool.deliver(self._client)
        return welcome.heartbeat_s

    def _join(self) -> Welcome:
        return self._client.join(
            Join(
                worker=self._identity.name,
                session=self._identity.session,
                build=self._build.id,
                commit=self._build.commit,
                dirty=self._build.dirty,
                lanes=tuple(self._lanes),
                slots=self._slots,
                host=self._host,
                hardware=self._probe(),
            )
        )

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(worker=self._identity.name, session=self._identity.session, hardware=self._probe())

    def _note_state(self, welcome: Welcome) -> None:
        if welcome.state == self._state:
            return
        self._state = welcome.state
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
