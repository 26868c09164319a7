"""The index of runs, as releases before migrations made it: adopted with its rows if it is there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0001"
down_revision = None


def upgrade() -> None:
    """Make the table if it is not there."""
    if sa.inspect(op.get_bind()).has_table("harness_runs"):
        return
    op.create_table(
        "harness_runs",
        sa.Column("run_id", sa.String(128), primary_key=True),
        sa.Column("created", sa.String(40), nullable=False),
        sa.Column("challenge", sa.String(64), nullable=False),
        sa.Column("challenge_sha256", sa.String(64), nullable=False),
        sa.Column("package", sa.Text, nullable=False),
        sa.Column("package_sha256", sa.String(64), nullable=False),
        sa.Column("image_digest", sa.Text, nullable=False),
        sa.Column("isolation", sa.String(40), nullable=False),
        sa.Column("public_verdict", sa.String(40)),
        sa.Column("private_verdict", sa.String(40)),
        sa.Column("public_log_loss", sa.Double),
        sa.Column("private_log_loss", sa.Double),
        sa.Column("eligible", sa.Boolean, nullable=False),
        sa.Column("team", sa.Text),
        sa.Column("submitted", sa.String(40)),
    )
    for column in ("challenge_sha256", "team"):
        op.create_index(f"ix_harness_runs_{column}", "harness_runs", [column])
