"""Indexes for pages: what they show must not cost more with every year of history."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_runs_state_created_at", "runs", ["state", "created_at"])
    waiting, not_done = sa.text("state = 'waiting'"), sa.text("state <> 'done'")
    op.create_index("ix_steps_waiting", "steps", ["run_id"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_index(
        "ix_outcomes_not_done",
        "outcomes",
        ["run_id", "state"],
        sqlite_where=not_done,
        postgresql_where=not_done,
    )
    op.create_index("ix_approvals_decided_at", "approvals", ["decided_at"])
