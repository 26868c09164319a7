"""What a driver says of itself: how many shards it runs at a time, and what it has not opened yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0007"
down_revision = "v0006"


def upgrade() -> None:
    """Add the columns; a driver of an older release has said nothing."""
    op.add_column("harness_drivers", sa.Column("places", sa.Integer))
    op.add_column("harness_drivers", sa.Column("unseen", sa.Integer))
