"""The fleet: invites, updates, trials, notices, paces; what a step asks of a machine."""

import sqlalchemy as sa
from alembic import op

from master.store.metadata import Number
from master.store.types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXTS = {
    "steps": ("needs", "only_worker", "sent_to"),
    "workers": ("note", "update_to", "update_error", "trial_from"),
    "tokens": ("worker",),
}
_FLAGS = {"workers": ("local", "can_update", "auto_update")}


def upgrade() -> None:
    for table, names in _TEXTS.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.Text(), nullable=False, server_default=""))
    for table, names in _FLAGS.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("workers", sa.Column("clock_skew_s", sa.Float(), nullable=False, server_default="0"))
    op.create_table(
        "notices",
        sa.Column("id", Number, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_notices_open",
        "notices",
        ["subject"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "paces",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("task", "worker", name=op.f("pk_paces")),
    )
