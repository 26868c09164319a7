"""The portal: who may enter it, the boards that it shows, and how far a running job is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0004"
down_revision = "v0003"

_NAME, _MOMENT, _SHA256, _WORD = sa.String(64), sa.String(40), sa.String(64), sa.String(40)


def upgrade() -> None:
    """Add the tables and the column."""
    op.add_column("harness_jobs", sa.Column("videos", sa.Integer))
    op.add_column("harness_jobs", sa.Column("videos_done", sa.Integer))
    op.create_table(
        "harness_access",
        sa.Column("access", _NAME, primary_key=True),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("secret_sha256", _SHA256, nullable=False),
        sa.Column("role", _WORD, nullable=False),
        sa.Column("challenge", _NAME),
        sa.Column("team", _NAME),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("parent", _NAME),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("expires", _MOMENT, nullable=False),
        sa.Column("used", _MOMENT),
        sa.Column("revoked", _MOMENT),
    )
    op.create_index("ix_harness_access_team", "harness_access", ["challenge", "team"])
    op.create_index("ix_harness_access_parent", "harness_access", ["parent"])
    op.create_table(
        "harness_boards",
        sa.Column("challenge", _NAME, primary_key=True),
        sa.Column("set_name", _WORD, primary_key=True),
        sa.Column("version", _NAME, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("computed", _MOMENT, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
