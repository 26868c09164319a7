"""Drivers: who works through a contest at present, and what the organiser wishes of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0003"
down_revision = "v0002"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "harness_drivers",
        sa.Column("challenge", sa.String(64), primary_key=True),
        sa.Column("wish", sa.String(40), nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("driver", sa.Text),
        sa.Column("since", sa.String(40)),
        sa.Column("heartbeat", sa.String(40)),
    )
