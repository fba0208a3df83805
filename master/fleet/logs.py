"""The end of a worker's log: asked for with the answer to its heartbeat, sent once, kept until the next."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from master.events import record_event
from master.fleet.states import WorkerState
from master.fleet.tables import worker_logs
from master.fleet.workers import get_worker
from tasks.errors import Refused
from tasks.protocol import WorkerLog
from tasks.record import Record

_ASK = {
    name: (made := dialect.insert(worker_logs)).on_conflict_do_update(
        index_elements=["worker"], set_={"asked_at": made.excluded.asked_at}
    )
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


class KeptLog(Record):
    """What is known of a worker's log."""

    #: When it was asked for and has not come yet.
    asked_at: datetime | None = None
    sent_at: datetime | None = None
    #: Of a session that is over: the worker was started again since.
    earlier_session: bool = False
    text: str = ""


def ask_log(connection: Connection, worker: str, *, by: str, now: datetime) -> None:
    """The worker sends the end of its log with its next heartbeat. ``NotFound``; ``Refused`` for one that is
    not heard from."""
    row = get_worker(connection, worker)
    if row.state in (WorkerState.OFFLINE, WorkerState.REMOVED) or not row.session:
        raise Refused(
            f"worker {worker!r} is {row.state} and sends nothing: look at its log on its machine, where it "
            f"was started"
        )
    connection.execute(
        _ASK[connection.dialect.name], {"worker": worker, "asked_at": now, "session": "", "text": ""}
    )
    record_event(connection, "worker_log_asked", now, worker=worker, by=by)


def take_log(connection: Connection, message: WorkerLog, *, now: datetime) -> None:
    """Keep what a worker sent. ``Refused``: nobody asked for it, or another session is the worker."""
    row = get_worker(connection, message.worker)
    if row.session != message.session:
        raise Refused(
            f"worker {message.worker!r} has been started again since: this process is not it any more"
        )
    taken = connection.execute(
        update(worker_logs)
        .where(worker_logs.c.worker == message.worker, worker_logs.c.asked_at.is_not(None))
        .values(asked_at=None, sent_at=now, session=message.session, text=message.text)
    ).rowcount
    if not taken:
        raise Refused(f"nobody asked for the log of worker {message.worker!r}")
    record_event(connection, "worker_log_came", now, worker=message.worker)


def find_log(connection: Connection, worker: str) -> KeptLog:
    """The end of the worker's log as it came last. ``NotFound``: there is no such worker."""
    session = get_worker(connection, worker).session
    row = connection.execute(select(worker_logs).where(worker_logs.c.worker == worker)).first()
    if row is None:
        return KeptLog()
    earlier = row.sent_at is not None and row.session != session
    return KeptLog(asked_at=row.asked_at, sent_at=row.sent_at, earlier_session=earlier, text=row.text)


def forget_log(connection: Connection, worker: str) -> None:
    """Another machine gets this name."""
    connection.execute(delete(worker_logs).where(worker_logs.c.worker == worker))
