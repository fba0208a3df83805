"""The core tables. A capability adds its own in its folder's ``tables.py``, on the same metadata."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from master.store.metadata import Number, metadata
from master.store.types import UtcDateTime

#: Facts about the fleet as a whole: its build, whether dispatch is paused.
fleet = Table(
    "fleet",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

#: Conditions in the very words of the partial indexes below: SQLite takes such an index for these words only,
#: and for none that come as parameters.
RUNS_OPEN = text("runs.state IN ('running','waiting')")
STEPS_IN_FLIGHT = text("steps.state IN ('ready','queued','running')")
STEPS_WAITING = text("steps.state = 'waiting'")
OUTCOMES_NOT_DONE = text("outcomes.state <> 'done'")

_UNCOSTED = text("NOT costed AND finished_at IS NOT NULL")

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("flow", Text, nullable=False),
    Column("params", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    # Who asked for it, as the doors know them ("token:owner"); empty for the master itself.
    Column("started_by", Text, nullable=False, default=""),
    # Two starts with one key are one run.
    Column("idempotency_key", Text, unique=True),
    Column("result", JSON),
    Column("error", Text, nullable=False, default=""),
    Column("progress", Float, nullable=False, default=0.0),
    Column("note", Text, nullable=False, default=""),
    # A pass is due while ``wake`` is ahead of ``seen``; ``version`` lets only one of two passes count.
    Column("wake", Integer, nullable=False, default=1),
    Column("seen", Integer, nullable=False, default=0),
    Column("woken_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False, default=0),
    # Whether the last pass waits for all of the steps that it awaits, or for any.
    Column("wake_on", Text, nullable=False, default="all"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    # Whether the ledger has what it cost.
    Column("costed", Boolean, nullable=False, default=False),
    Index("ix_runs_created_at", "created_at"),
    Index("ix_runs_state_created_at", "state", "created_at"),
    Index("ix_runs_uncosted", "finished_at", sqlite_where=_UNCOSTED, postgresql_where=_UNCOSTED),
    Index(
        "ix_runs_open",
        "state",
        sqlite_where=text("state IN ('running','waiting')"),
        postgresql_where=text("state IN ('running','waiting')"),
    ),
)

_OPEN = text("awaited AND state IN ('ready','queued','running','waiting')")
_IN_FLIGHT = text("state IN ('ready','queued','running')")
_WAITING = text("state = 'waiting'")
_NOT_DONE = text("state <> 'done'")

steps = Table(
    "steps",
    metadata,
    Column("id", Number, primary_key=True),
    Column("run_id", Text, ForeignKey("runs.id"), nullable=False),
    Column("key", Text, nullable=False),
    # task: run by a worker; approval: answered by a human; act: done by a flow pass itself.
    Column("kind", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    # Lanes that can run it, best first, separated by commas; ``lane`` is the one it was sent to.
    Column("lanes", Text, nullable=False, default=""),
    Column("lane", Text, nullable=False, default=""),
    # What it asks of a machine, as JSON; empty for nothing in particular.
    Column("needs", Text, nullable=False, default=""),
    # The only worker that may run it; empty for any.
    Column("only_worker", Text, nullable=False, default=""),
    # The worker whose own queue holds the current ticket; empty for the lane's.
    Column("sent_to", Text, nullable=False, default=""),
    Column("request", Text, nullable=False, default="{}"),
    Column("request_digest", Text, nullable=False, default=""),
    Column("result", Text),
    Column("error", Text, nullable=False, default=""),
    Column("usage", Text, nullable=False, default="{}"),
    Column("progress", Float, nullable=False, default=0.0),
    Column("note", Text, nullable=False, default=""),
    Column("awaited", Boolean, nullable=False, default=False),
    Column("attempt", Integer, nullable=False, default=1),
    Column("failures", Integer, nullable=False, default=0),
    Column("max_attempts", Integer, nullable=False, default=1),
    Column("deadline_s", Integer, nullable=False, default=0),
    # The build that the current ticket is for, and then the build that ran it.
    Column("build", Text, nullable=False, default=""),
    Column("worker", Text, nullable=False, default=""),
    Column("session", Text, nullable=False, default=""),
    Column("claim", Text, nullable=False, default=""),
    Column("token", Text, nullable=False, default=""),
    Column("lease_until", UtcDateTime),
    # Not sent before: the back-off after a failure.
    Column("not_before", UtcDateTime),
    # When the current ticket is sent again if nobody has claimed it, and how often it was sent.
    Column("ring_at", UtcDateTime),
    Column("rings", Integer, nullable=False, default=0),
    Column("created_at", UtcDateTime, nullable=False),
    Column("claimed_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    # The run's carried state accounts for its outcome: passes do not load it any more.
    Column("folded", Boolean, nullable=False, default=False, server_default=false()),
    UniqueConstraint("run_id", "key"),
    Index("ix_steps_run_id_folded", "run_id", "folded"),
    Index("ix_steps_awaited", "run_id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index(
        "ix_steps_in_flight",
        "state",
        "run_id",
        "priority",
        "id",
        sqlite_where=_IN_FLIGHT,
        postgresql_where=_IN_FLIGHT,
    ),
    Index("ix_steps_waiting", "run_id", sqlite_where=_WAITING, postgresql_where=_WAITING),
)

#: What a run carries from pass to pass: packed JSON, replaced as a whole.
carried = Table(
    "carried",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("state", Text, nullable=False),
)

_FAILED = text("outcome NOT IN ('', 'done')")

attempts = Table(
    "attempts",
    metadata,
    Column("step_id", Number, ForeignKey("steps.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("worker", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("build", Text, nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    # done, or the kind of failure; empty while it runs.
    Column("outcome", Text, nullable=False, default=""),
    Column("error", Text, nullable=False, default=""),
    # Of the few that failed: what succeeded costs no second page.
    Index("ix_attempts_failed", "worker", "claimed_at", sqlite_where=_FAILED, postgresql_where=_FAILED),
)

#: One row for each step that has ended: the primary key is what makes an outcome final and single,
#: and ``seq`` is the order in which flows see them.
outcomes = Table(
    "outcomes",
    metadata,
    Column("seq", Number, primary_key=True),
    Column("step_id", Number, ForeignKey("steps.id"), nullable=False, unique=True),
    Column("run_id", Text, nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    # What did not end well is counted here; what did, by the difference.
    Index("ix_outcomes_not_done", "run_id", "state", sqlite_where=_NOT_DONE, postgresql_where=_NOT_DONE),
    # A number is never given twice, even after the newest row was deleted by a retry.
    sqlite_autoincrement=True,
)

workers = Table(
    "workers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("session", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("build", Text, nullable=False),
    Column("commit", Text, nullable=False, default=""),
    Column("dirty", Boolean, nullable=False, default=False),
    Column("lanes", JSON, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("hardware", JSON, nullable=False),
    Column("joined_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    # Runs on the master's own machine.
    Column("local", Boolean, nullable=False, default=False),
    # How far its clock is ahead of the master's.
    Column("clock_skew_s", Float, nullable=False, default=0.0),
    # What it is busy with beside steps, for people.
    Column("note", Text, nullable=False, default=""),
    Column("can_update", Boolean, nullable=False, default=False),
    Column("auto_update", Boolean, nullable=False, default=False),
    # The build that it was asked to change to; empty when it was not.
    Column("update_to", Text, nullable=False, default=""),
    # Why the last change of build was undone; empty when it was not.
    Column("update_error", Text, nullable=False, default=""),
    # The build that it goes back to unless the new one proves itself; empty when not on trial.
    Column("trial_from", Text, nullable=False, default=""),
    # Its model server's numbers of the last heartbeat; null when it has none, or is not heard from.
    Column("model_server", JSON(none_as_null=True)),
    # Its numbers of the current minute (master.fleet.readings); null before the first heartbeat.
    Column("gathered", JSON(none_as_null=True)),
)

#: What the owner must act on: opened once, told once, closed when it is over.
notices = Table(
    "notices",
    metadata,
    Column("id", Number, primary_key=True),
    # What it is about ("worker:garage"): at most one is open about it.
    Column("subject", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # Values for the text, such as the worker's name and the reason.
    Column("data", JSON, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Index(
        "uq_notices_open",
        "subject",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)

#: How long a worker takes for a step of a task: a moving average.
paces = Table(
    "paces",
    metadata,
    Column("task", Text, primary_key=True),
    Column("worker", Text, primary_key=True),
    Column("seconds", Float, nullable=False),
    Column("steps", Integer, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", Number, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("name", Text, nullable=False),
    Column("run_id", Text, nullable=False, default=""),
    Column("step_id", Number),
    Column("worker", Text, nullable=False, default=""),
    Column("data", JSON, nullable=False),
    Index("ix_events_run_id_seq", "run_id", "seq"),
    sqlite_autoincrement=True,
)

#: Bearer tokens, by their SHA-256; the token itself is only ever with its holder.
tokens = Table(
    "tokens",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("name", Text, nullable=False),
    # The only worker that it speaks for; empty for every worker of the master's own machine.
    Column("worker", Text, nullable=False, default=""),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
)

#: Bytes in the artifact folder, by their SHA-256.
artifacts = Table(
    "artifacts",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("run_id", Text, nullable=False, default="", index=True),
    Column("created_at", UtcDateTime, nullable=False),
)
