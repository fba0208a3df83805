"""The numbers of each worker's model server."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("model_server", sa.JSON(none_as_null=True), nullable=True))
