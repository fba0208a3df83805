"""Telegram: what was refused is counted, photos can be edited, long silences are noticed."""

import sqlalchemy as sa
from alembic import op

from master.store.types import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("telegram_messages") as batch:
        batch.add_column(sa.Column("photo", sa.Text(), nullable=False, server_default=""))
        batch.add_column(sa.Column("language", sa.Text(), nullable=False, server_default=""))
    # Approved, and still to be done: such a card gets its buttons at the next pass.
    op.execute(
        "UPDATE telegram_messages SET shown = 'to_do' WHERE shown = 'approved' AND approval_id IN "
        "(SELECT id FROM approvals WHERE execute_by IS NOT NULL)"
    )
    op.create_table(
        "telegram_refusals",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.Column("sample", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "reason", name=op.f("pk_telegram_refusals")),
    )
    op.create_table(
        "telegram_moments",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_telegram_moments")),
    )
