"""The machines' numbers over time, the end of a worker's log, and which attempts failed where."""

import sqlalchemy as sa
from alembic import op

from master.store.types import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_FAILED = sa.text("outcome NOT IN ('', 'done')")


def upgrade() -> None:
    op.add_column("workers", sa.Column("gathered", sa.JSON(none_as_null=True)))
    op.create_table(
        "host_samples",
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("span_s", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("reading", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("worker", "span_s", "at", name=op.f("pk_host_samples")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "worker_logs",
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("asked_at", UtcDateTime()),
        sa.Column("sent_at", UtcDateTime()),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_worker_logs")),
    )
    op.create_index(
        "ix_attempts_failed",
        "attempts",
        ["worker", "claimed_at"],
        sqlite_where=_FAILED,
        postgresql_where=_FAILED,
    )
