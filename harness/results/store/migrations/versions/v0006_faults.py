"""Faults of a job: counted apart from its attempts, and a pause after each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0006"
down_revision = "v0005"


def upgrade() -> None:
    """Add the columns; what was given back before counts as no fault."""
    op.add_column("harness_jobs", sa.Column("faults", sa.Integer, nullable=False, server_default="0"))
    op.add_column("harness_jobs", sa.Column("not_before", sa.String(40)))
