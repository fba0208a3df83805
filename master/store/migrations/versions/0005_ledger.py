"""The ledger; which runs are costed."""

import sqlalchemy as sa
from alembic import op

from master.store.metadata import Number
from master.store.types import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("costed", sa.Boolean(), nullable=False, server_default=sa.false()))
    ended = sa.text("NOT costed AND finished_at IS NOT NULL")
    op.create_index("ix_runs_uncosted", "runs", ["finished_at"], sqlite_where=ended, postgresql_where=ended)
    _create_journal()
    _create_derived()


def _create_journal() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("seq", Number, autoincrement=False, nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        *_texts(
            "approval_id", "run_id", "project", "category", "month", "note", "reference", "by", "details"
        ),
        sa.Column("reverses", Number, nullable=True),
        *_texts("previous_hash", "hash"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ledger_entries")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_ledger_entries_idempotency_key")),
        sa.UniqueConstraint("reverses", name=op.f("uq_ledger_entries_reverses")),
        sa.ForeignKeyConstraint(
            ["reverses"], ["ledger_entries.seq"], name=op.f("fk_ledger_entries_reverses")
        ),
    )
    op.create_index("ix_ledger_entries_month", "ledger_entries", ["month"])
    op.create_index("ix_ledger_entries_approval_id", "ledger_entries", ["approval_id"])
    op.create_table(
        "ledger_postings",
        sa.Column("seq", Number, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", "number", name=op.f("pk_ledger_postings")),
        sa.ForeignKeyConstraint(["seq"], ["ledger_entries.seq"], name=op.f("fk_ledger_postings_seq")),
    )
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_head")),
    )


def _create_derived() -> None:
    op.create_table(
        "ledger_reservations",
        *_texts("approval_id", "state"),
        *_amounts("amount_minor", "actual_minor"),
        *_texts("currency", "category", "month", "project", "run_id"),
        sa.PrimaryKeyConstraint("approval_id", name=op.f("pk_ledger_reservations")),
    )
    op.create_table(
        "ledger_budget_use",
        *_texts("category", "month", "currency"),
        *_amounts("held_minor", "spent_minor"),
        sa.PrimaryKeyConstraint("category", "month", "currency", name=op.f("pk_ledger_budget_use")),
    )
    op.create_table(
        "ledger_run_costs",
        *_texts("run_id", "project", "currency"),
        *_amounts("micros", "api_micros", "posted_minor"),
        sa.Column("gpu_s", sa.Float(53), nullable=False),
        *_amounts("prompt_tokens", "generated_tokens"),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_ledger_run_costs")),
    )


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _amounts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]
