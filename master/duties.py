"""What the master does by the clock. Each duty finds its work in the database."""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from master.approvals import PolicyFile, expire_approvals
from master.clients.watch import close_orphans, take_pending
from master.clock import Clock
from master.dispatch.bell import Bell
from master.dispatch.conductor import Conductor
from master.dispatch.publish import Posting, fleet_value, ring_again
from master.dispatch.reap import reap_leases
from master.fleet.deaf import known_builds, long_active, note_deaf
from master.fleet.notices import close_notice, open_notice
from master.fleet.paces import note_paces
from master.fleet.samples import tend_samples
from master.fleet.workers import miss_workers
from master.flows.engine import Engine
from master.flows.runs import start_run
from master.idempotency import forget_old_keys
from master.ledger.costs import post_costs
from master.rabbitmq import Management, clear_old_queues, install_topology, silent_workers
from master.schedules.executions import forget_executions
from master.schedules.tick import do_duties, tick
from master.settings import Settings
from master.store import Database
from master.traces import tell_traces
from master.trials import close_canaries, start_canaries
from master.webhooks.deliver import deliver_due
from master.webhooks.fan_out import fan_out
from master.webhooks.signing import SEALED_UNDER, Sealer
from master.webhooks.store import forget_deliveries
from tasks.errors import InvalidInput
from tasks.log import say
from tasks.tracing import Tracer

log = logging.getLogger("d8.duties")


class Duties:
    def __init__(
        self,
        database: Database,
        engine: Engine,
        conductor: Conductor,
        bell: Bell,
        settings: Settings,
        clock: Clock,
        rabbitmq: Management | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer
        self._policy = PolicyFile(settings.policy_path)
        self._rabbitmq = rabbitmq
        self._database = database
        self._engine = engine
        self._conductor = conductor
        self._bell = bell
        self._settings = settings
        self._clock = clock
        #: Runs being advanced by a thread of this process; True when they were rung meanwhile.
        self._advancing: dict[str, bool] = {}
        self._lock = threading.Lock()

    def advance(self, run_id: str) -> None:
        """Advance a run. A thread of this process that does so already is told to look once more."""
        with self._lock:
            if run_id in self._advancing:
                self._advancing[run_id] = True
                return
            self._advancing[run_id] = False
        try:
            while True:
                self._engine.advance(run_id)
                with self._lock:
                    if not self._advancing[run_id]:
                        break
                    self._advancing[run_id] = False
        finally:
            with self._lock:
                self._advancing.pop(run_id, None)

    def sweep(self) -> None:
        """Leases, silent workers, late answers, unclaimed tickets, runs whose bell was lost."""
        with self._database.write() as connection:
            postings = self._sweep(connection)
        if postings:
            say(log, logging.INFO, "rung_again", tickets=len(postings))
        self._bell.send_tickets(postings)
        self._conductor.publish()
        for run_id in self._engine.due_runs():
            try:
                self.advance(run_id)
            except InvalidInput as error:
                # Of what it asks for, or of the owner's rules: its pass stays due, the others go on.
                say(log, logging.ERROR, "pass_put_off", run=run_id, why=error)

    def note_paces(self) -> None:
        """Learn how fast each worker is at each task."""
        with self._database.write(durable=False) as connection:
            note_paces(connection)

    def tend_samples(self) -> None:
        """The machines' numbers of long ago take less room, then none."""
        with self._database.write(durable=False) as connection:
            tend_samples(connection, now=self._clock())

    def tend_broker(self) -> None:
        """RabbitMQ has what the fleet's build needs, and no more; who is active listens to it."""
        if self._rabbitmq is None:
            return
        with self._database.read() as connection:
            build = fleet_value(connection, "build")
            known = known_builds(connection)
            active = long_active(connection, now=self._clock())
        install_topology(self._rabbitmq, build)
        if cleared := clear_old_queues(self._rabbitmq, {build, *known}):
            say(log, logging.INFO, "old_queues_deleted", queues=",".join(cleared))
        deaf = silent_workers(self._rabbitmq, active)
        with self._database.write() as connection:
            note_deaf(connection, deaf, set(active) - set(deaf), now=self._clock())

    def post_costs(self) -> None:
        """What ended runs have cost goes to the ledger. Nothing is asked of the database without prices."""
        prices = self._policy().prices
        if not prices.set:
            return
        while True:
            with self._database.write() as connection:
                costed = post_costs(connection, prices, self._clock())
            if costed == 0:
                return
            say(log, logging.INFO, "costs_posted", runs=costed)

    def tell_traces(self) -> None:
        """Steps that have ended are told to the owner's collector, where there is one."""
        while self._tracer is not None and tell_traces(self._database, self._tracer):
            pass

    def tick(self) -> None:
        """What is due by its schedule is started."""
        if started := tick(self._database, self._clock):
            say(log, logging.INFO, "schedules_due", schedules=started)

    def do_scheduled(self) -> None:
        """What the master does itself on a schedule; it may take minutes."""
        do_duties(self._database, self._settings, self._clock)

    def tell_webhooks(self) -> None:
        """What happened goes to the addresses that want to hear of it."""
        fan_out(self._database, self._clock())
        sealer = Sealer(self._settings.secrets_folder / SEALED_UNDER)
        while deliver_due(self._database, sealer, self._clock):
            fan_out(self._database, self._clock())

    def forget(self) -> None:
        """Callers' keys, deliveries and executions whose time is over."""
        with self._database.write(durable=False) as connection:
            forget_old_keys(connection, now=self._clock())
            forget_deliveries(connection, now=self._clock())
            forget_executions(connection, now=self._clock())

    def watch_clients(self) -> None:
        """Every pending client gets its run."""
        now = self._clock()
        with self._database.write() as connection:
            taken = take_pending(connection, partial(start_run, now=now), now=now)
            close_orphans(connection, now=now)
        if taken:
            say(log, logging.INFO, "clients_taken", clients=",".join(taken))

    def _expire(self, connection: Connection, now: datetime) -> int:
        """Under rules that cannot be read nothing is denied either; the owner is told."""
        try:
            policy = self._policy()
        except InvalidInput as error:
            open_notice(connection, "policy", "policy_wrong", now, worker="policy.toml", reason=str(error))
            return 0
        close_notice(connection, "policy", now)
        return expire_approvals(connection, policy=policy, now=now)

    def _sweep(self, connection: Connection) -> list[Posting]:
        now = self._clock()
        reaped = reap_leases(connection, now=now)
        missed = miss_workers(connection, now=now, heartbeat_s=self._settings.heartbeat_s)
        expired = self._expire(connection, now)
        start_canaries(connection, now=now)
        close_canaries(connection, now=now)
        if reaped or missed or expired:
            say(log, logging.WARNING, "swept", leases=reaped, workers=missed, approvals=expired)
        return ring_again(connection, now=now, ring_again_s=self._settings.ring_again_s)
