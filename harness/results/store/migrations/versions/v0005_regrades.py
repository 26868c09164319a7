"""Regrades that an organiser asked for on a page: what of, what they would move, and what came of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0005"
down_revision = "v0004"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "harness_regrades",
        sa.Column("challenge", sa.String(64), primary_key=True),
        sa.Column("regrade", sa.String(128), primary_key=True),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("asked", sa.String(40), nullable=False),
        sa.Column("changed", sa.String(40), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("preview", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
