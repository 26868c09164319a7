"""Jobs without leases: what a driver had claimed is given back by the driver that follows it."""

from __future__ import annotations

from alembic import op

revision = "v0008"
down_revision = "v0007"


def upgrade() -> None:
    """Drop the columns, which nothing read any more, and their index; jobs that are claimed stay so."""
    op.drop_index("ix_harness_jobs_lease", "harness_jobs")
    op.drop_column("harness_jobs", "lease_until")
    op.drop_column("harness_jobs", "heartbeat")
