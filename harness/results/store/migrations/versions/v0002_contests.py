"""Contests: challenges, events, teams, entries, sets and jobs; runs say which result holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0002"
down_revision = "v0001"

_NAME, _ID, _MOMENT, _SHA256, _WORD = (
    sa.String(64),
    sa.String(128),
    sa.String(40),
    sa.String(64),
    sa.String(40),
)


def upgrade() -> None:
    """Add the tables, and drop the old index's own table of its version."""
    op.add_column("harness_runs", sa.Column("result_sha256", _SHA256))
    op.add_column("harness_runs", sa.Column("regrade", _ID))
    if sa.inspect(op.get_bind()).has_table("harness_store"):
        op.drop_table("harness_store")
    _results()
    _contests()
    _jobs()


def _results() -> None:
    op.create_table(
        "harness_sets",
        sa.Column("run_id", _ID, primary_key=True),
        sa.Column("regrade", _ID, primary_key=True),
        sa.Column("set_name", _WORD, primary_key=True),
        sa.Column("verdict", _WORD, nullable=False),
        sa.Column("videos", sa.Integer, nullable=False),
        sa.Column("predicted", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("log_loss", sa.Double),
        sa.Column("roc_auc", sa.Double),
        sa.Column("billed_seconds", sa.Double, nullable=False),
        sa.Column("prepared_sha256", _SHA256, nullable=False),
    )


def _contests() -> None:
    op.create_table(
        "harness_challenges",
        sa.Column("challenge", _NAME, primary_key=True),
        sa.Column("challenge_sha256", _SHA256, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("phase", _WORD, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("head_sha256", _SHA256, nullable=False),
    )
    op.create_table(
        "harness_events",
        sa.Column("challenge", _NAME, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("previous", _SHA256, nullable=False),
        sa.Column("sha256", _SHA256, nullable=False, unique=True),
    )
    op.create_table(
        "harness_teams",
        sa.Column("challenge", _NAME, primary_key=True),
        sa.Column("team", _NAME, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("registered", _MOMENT, nullable=False),
        sa.Column("finals", sa.Text, nullable=False),
        sa.Column("granted", sa.Integer, nullable=False),
        sa.Column("merged_into", _NAME),
        sa.Column("disqualified", sa.Text),
        sa.Column("best_shown", sa.Double),
    )
    op.create_table(
        "harness_entries",
        sa.Column("challenge", _NAME, primary_key=True),
        sa.Column("entry", _NAME, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("team", _NAME, nullable=False),
        sa.Column("package_sha256", _SHA256, nullable=False),
        sa.Column("submitted", _MOMENT, nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("phase", _WORD, nullable=False),
        sa.Column("paid_by", _WORD, nullable=False),
        sa.Column("status", _WORD, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("run_id", _ID),
        sa.Column("verdict", _WORD),
        sa.Column("result_sha256", _SHA256),
        sa.Column("public_loss", sa.Double),
        sa.Column("shown", sa.Double),
        sa.Column("disqualified", sa.Text),
    )
    op.create_index("ix_harness_entries_team", "harness_entries", ["challenge", "team"])
    op.create_index("ix_harness_entries_status", "harness_entries", ["challenge", "status"])
    op.create_index("ix_harness_entries_run_id", "harness_entries", ["run_id"])


def _jobs() -> None:
    op.create_table(
        "harness_jobs",
        sa.Column("run_id", _ID, primary_key=True),
        sa.Column("set_name", _WORD, primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("challenge", _NAME, nullable=False),
        sa.Column("entry", _NAME),
        sa.Column("team", _NAME),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("enqueued", _MOMENT, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("claimed", _MOMENT),
        sa.Column("heartbeat", _MOMENT),
        sa.Column("lease_until", _MOMENT),
        sa.Column("finished", _MOMENT),
        sa.Column("outcome", sa.Text),
        sa.Column("note", sa.Text),
    )
    op.create_index("ix_harness_jobs_claim", "harness_jobs", ["challenge", "state", "turn", "enqueued"])
    op.create_index("ix_harness_jobs_lease", "harness_jobs", ["state", "lease_until"])
