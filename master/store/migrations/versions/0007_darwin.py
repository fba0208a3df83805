"""Evolutions: candidates, trials, answers, agents; and what runs carry from pass to pass."""

import sqlalchemy as sa
from alembic import op

from master.store.types import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("steps", sa.Column("folded", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_steps_run_id_folded", "steps", ["run_id", "folded"])
    op.create_table(
        "carried",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_carried_run_id")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_carried")),
    )
    _create_records()
    op.create_table(
        "darwin_answers",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_darwin_answers")),
    )
    op.create_table(
        "darwin_stops",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_darwin_stops_run_id")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_darwin_stops")),
    )
    op.create_table(
        "darwin_agents",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("artifact", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("in_use", sa.Boolean(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_darwin_agents")),
    )
    op.create_index(
        "uq_darwin_agents_in_use",
        "darwin_agents",
        ["name"],
        unique=True,
        sqlite_where=sa.text("in_use"),
        postgresql_where=sa.text("in_use"),
    )


def _create_records() -> None:
    op.create_table(
        "darwin_candidates",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("genome", sa.Text(), nullable=False),
        sa.Column("parents", sa.Text(), nullable=False),
        sa.Column("operators", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_darwin_candidates_run_id")),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_darwin_candidates")),
    )
    op.create_table(
        "darwin_trials",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("told", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("asked_after", sa.Integer(), nullable=False),
        sa.Column("candidate", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("best", sa.Float(), nullable=True),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("cached", sa.Boolean(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_darwin_trials_run_id")),
        sa.PrimaryKeyConstraint("run_id", "told", name=op.f("pk_darwin_trials")),
    )
