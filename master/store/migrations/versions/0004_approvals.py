"""Approvals: what a yes leads to, several who must say it, what was asked before, who waits."""

import sqlalchemy as sa
from alembic import op

from master.store.metadata import Number
from master.store.types import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TEXTS = {
    "category": "other",
    "project": "",
    "urgency": "normal",
    "need": "",
    "until": "decided",
    "asked_for": "",
    "executed_by": "",
    "reference": "",
    "replaced_by": "",
}
_WAITS = sa.text("state = 'pending' AND need <> ''")
_TO_DO = sa.text("state = 'approved' AND execute_by IS NOT NULL")


def upgrade() -> None:
    op.add_column("runs", sa.Column("started_by", sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table("approvals") as batch:
        for name, value in _TEXTS.items():
            batch.add_column(sa.Column(name, sa.Text(), nullable=False, server_default=value))
        batch.add_column(sa.Column("expected", sa.JSON(none_as_null=True), nullable=True))
        batch.add_column(sa.Column("payload", sa.JSON(), nullable=False, server_default="{}"))
        batch.add_column(sa.Column("quorum", sa.Integer(), nullable=False, server_default="1"))
        batch.add_column(sa.Column("asked_at", UtcDateTime(), nullable=True))
        batch.add_column(sa.Column("execute_by", UtcDateTime(), nullable=True))
        batch.add_column(sa.Column("executed_at", UtcDateTime(), nullable=True))
        batch.add_column(sa.Column("actual_minor", sa.BigInteger(), nullable=True))
    op.execute("UPDATE approvals SET asked_at = created_at")
    with op.batch_alter_table("approvals") as batch:
        batch.alter_column("asked_at", nullable=False)
    for name, column, unique, where in (
        ("uq_approvals_need", "need", True, _WAITS),
        ("ix_approvals_to_do", "execute_by", False, _TO_DO),
    ):
        op.create_index(
            name, "approvals", [column], unique=unique, sqlite_where=where, postgresql_where=where
        )
    _create_tables()
    op.execute(
        "INSERT INTO approval_steps (step_id, approval_id, run_id, until) "
        "SELECT step_id, id, run_id, 'decided' FROM approvals"
    )


def _create_tables() -> None:
    op.create_table(
        "approval_steps",
        sa.Column("step_id", Number, nullable=False),
        sa.Column("approval_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("until", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["step_id"], ["steps.id"], name=op.f("fk_approval_steps_step_id")),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approvals.id"], name=op.f("fk_approval_steps_approval_id")
        ),
        sa.PrimaryKeyConstraint("step_id", name=op.f("pk_approval_steps")),
    )
    op.create_index(op.f("ix_approval_steps_approval_id"), "approval_steps", ["approval_id"])
    op.create_index(op.f("ix_approval_steps_run_id"), "approval_steps", ["run_id"])
    op.create_table(
        "approval_votes",
        sa.Column("approval_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approvals.id"], name=op.f("fk_approval_votes_approval_id")
        ),
        sa.PrimaryKeyConstraint("approval_id", "revision", "person", name=op.f("pk_approval_votes")),
    )
    op.create_table(
        "approval_revisions",
        sa.Column("approval_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("question", sa.JSON(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("superseded_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approvals.id"], name=op.f("fk_approval_revisions_approval_id")
        ),
        sa.PrimaryKeyConstraint("approval_id", "revision", name=op.f("pk_approval_revisions")),
    )
