"""Invites: a single-use, expiring permission to become a worker.

An invite's code is ``<token>.<fingerprint>``: the token lets one machine in, once; the fingerprint lets
that machine check the key that the fleet's releases are signed with.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from master.events import record_event
from master.fleet.logs import forget_log
from master.fleet.samples import forget_samples
from master.fleet.states import WorkerState
from master.store.tables import tokens, workers
from master.tokens import Scope, create_token, use_token_once
from tasks.errors import NotFound, Refused
from tasks.protocol import Redeem
from tasks.record import Record

MOST_HOURS = 24 * 30
#: Digits of an invite's id: of its token's digest, which tells nothing of the token.
_ID = 16


class Invite(Record):
    """What is known of an invite: not its code."""

    id: str
    #: Whom it is for; "" where the machine names itself.
    worker: str
    created_at: datetime
    expires_at: datetime


def create_invite(
    connection: Connection, worker: str, *, by: str, now: datetime, lasts: timedelta
) -> tuple[str, datetime]:
    """A new invite and when it expires. ``worker`` empty: the machine names itself."""
    if worker:
        _check_free(connection, worker)
    expires_at = now + lasts
    token = create_token(connection, Scope.INVITE, "invite", now=now, expires_at=expires_at, worker=worker)
    record_event(connection, "worker_invited", now, worker=worker, by=by, expires_at=expires_at.isoformat())
    return token, expires_at


def list_invites(connection: Connection, *, now: datetime) -> list[Invite]:
    """Those that are good now, oldest first."""
    query = select(tokens).where(tokens.c.scope == Scope.INVITE, tokens.c.expires_at > now)
    return [
        Invite(id=row.digest[:_ID], worker=row.worker, created_at=row.created_at, expires_at=row.expires_at)
        for row in connection.execute(query.order_by(tokens.c.created_at, tokens.c.digest))
    ]


def revoke_invite(connection: Connection, invite_id: str, *, by: str, now: datetime) -> None:
    """The invite is worth nothing from this commit on. ``NotFound``: there is none, or it was used."""
    known = [each for each in list_invites(connection, now=now) if each.id == invite_id]
    if not known:
        raise NotFound(
            f"no invite {invite_id[:_ID]!r} is good now: it was used, taken back or has expired. "
            f"'d8 worker invites' lists those that are"
        )
    connection.execute(
        delete(tokens).where(tokens.c.scope == Scope.INVITE, tokens.c.digest.startswith(invite_id))
    )
    record_event(connection, "invite_revoked", now, worker=known[0].worker, by=by)


def redeem_invite(connection: Connection, redeem: Redeem, *, now: datetime) -> str:
    """Turn an invite into a worker's own token, which is returned. The invite is used up even if two
    machines show it at the same moment; the other one is refused."""
    principal = use_token_once(connection, redeem.invite, Scope.INVITE, now=now)
    if principal is None:
        raise Refused(
            "this invite is not known here: it was used, has expired or is of another fleet. "
            "Make a new one on the master with 'd8 worker invite'"
        )
    if principal.worker and principal.worker != redeem.worker:
        raise Refused(f"this invite is for worker {principal.worker!r}, not for {redeem.worker!r}")
    _check_free(connection, redeem.worker)
    connection.execute(delete(workers).where(workers.c.name == redeem.worker))
    connection.execute(delete(tokens).where(tokens.c.worker == redeem.worker, tokens.c.scope == Scope.WORKER))
    connection.execute(insert(workers).values(_not_heard_from_yet(redeem.worker, now)))
    forget_samples(connection, redeem.worker)
    forget_log(connection, redeem.worker)
    record_event(connection, "invite_redeemed", now, worker=redeem.worker)
    return create_token(connection, Scope.WORKER, "worker", now=now, worker=redeem.worker)


def fingerprint(release_key: str) -> str:
    """What an invite carries of the key (hexadecimal): enough that nobody finds another key for it."""
    return hashlib.sha256(bytes.fromhex(release_key)).hexdigest()[:32]


def _check_free(connection: Connection, worker: str) -> None:
    """A name is free when nobody has it, or whoever had it was removed or never started."""
    row = connection.execute(
        select(workers.c.state, workers.c.session).where(workers.c.name == worker)
    ).first()
    if row is not None and row.state != WorkerState.REMOVED and row.session:
        raise Refused(
            f"there is a worker {worker!r} already ({row.state}): choose another name, or 'd8 worker remove {worker}' "
            f"first"
        )


def _not_heard_from_yet(worker: str, now: datetime) -> dict[str, object]:
    return {
        "name": worker,
        "state": WorkerState.JOINING,
        "reason": "invited, not started yet: 'd8 worker start' on its machine",
        "session": "",
        "build": "",
        "lanes": [],
        "slots": 0,
        "host": "",
        "hardware": {"machine": "", "cpus": 0, "memory_mib": 0, "disk_free_mib": 0},
        "joined_at": now,
        "seen_at": now,
    }
