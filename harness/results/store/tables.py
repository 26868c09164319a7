"""The store's tables, as the newest migration leaves them; a test holds the two together.

`runs` and `sets` are an index of the run folders; `events` are the truth of what a contest decided; `teams`
and `entries` can be rebuilt from them; `jobs` is what a driver wants done and what is done; `access` says who
may enter the portal, `boards` what it shows, `regrades` what was requested on its pages. Times are ISO 8601
in UTC as text: they sort as text in any database.
"""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()
_NAME, _ID, _MOMENT, _SHA256 = sa.String(64), sa.String(128), sa.String(40), sa.String(64)

RUNS = sa.Table(
    "harness_runs",
    METADATA,
    sa.Column("run_id", _ID, primary_key=True),
    sa.Column("created", _MOMENT, nullable=False),
    sa.Column("challenge", _NAME, nullable=False),
    sa.Column("challenge_sha256", _SHA256, nullable=False, index=True),
    sa.Column("package", sa.Text, nullable=False),
    sa.Column("package_sha256", _SHA256, nullable=False),
    sa.Column("image_digest", sa.Text, nullable=False),
    sa.Column("isolation", sa.String(40), nullable=False),
    sa.Column("public_verdict", sa.String(40)),
    sa.Column("private_verdict", sa.String(40)),
    sa.Column("public_log_loss", sa.Double),
    sa.Column("private_log_loss", sa.Double),
    sa.Column("eligible", sa.Boolean, nullable=False),
    sa.Column("team", sa.Text, index=True),  # None: a run that was not submitted by `harness submit`
    sa.Column("submitted", _MOMENT),
    sa.Column("result_sha256", _SHA256),  # of the result in force; None if indexed by an older release
    sa.Column("regrade", _ID),  # that made it; None: the run itself did
)
SETS = sa.Table(
    "harness_sets",
    METADATA,
    sa.Column("run_id", _ID, primary_key=True),
    sa.Column("regrade", _ID, primary_key=True),  # empty: as the run itself scored it
    sa.Column("set_name", sa.String(40), primary_key=True),
    sa.Column("verdict", sa.String(40), nullable=False),
    sa.Column("videos", sa.Integer, nullable=False),
    sa.Column("predicted", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("log_loss", sa.Double),
    sa.Column("roc_auc", sa.Double),
    sa.Column("billed_seconds", sa.Double, nullable=False),
    sa.Column("prepared_sha256", _SHA256, nullable=False),
)
CHALLENGES = sa.Table(
    "harness_challenges",
    METADATA,
    sa.Column("challenge", _NAME, primary_key=True),  # its name: also the contest's
    sa.Column("challenge_sha256", _SHA256, nullable=False),
    sa.Column("path", sa.Text, nullable=False),  # of its challenge.toml, where the contest was made
    sa.Column("created", _MOMENT, nullable=False),
    sa.Column("phase", sa.String(40), nullable=False),  # as last written down
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("head_sha256", _SHA256, nullable=False),  # of the last event
)
EVENTS = sa.Table(
    "harness_events",
    METADATA,
    sa.Column("challenge", _NAME, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # 1, 2, 3 …
    sa.Column("event", sa.Text, nullable=False),  # canonical JSON
    sa.Column("previous", _SHA256, nullable=False),  # sha256 of its predecessor
    sa.Column("sha256", _SHA256, nullable=False, unique=True),
)
TEAMS = sa.Table(
    "harness_teams",
    METADATA,
    sa.Column("challenge", _NAME, primary_key=True),
    sa.Column("team", _NAME, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("registered", _MOMENT, nullable=False),
    sa.Column("finals", sa.Text, nullable=False),  # ids of entries, a blank between
    sa.Column("granted", sa.Integer, nullable=False),
    sa.Column("merged_into", _NAME),
    sa.Column("disqualified", sa.Text),  # the public note
    sa.Column("best_shown", sa.Double),
)
ENTRIES = sa.Table(
    "harness_entries",
    METADATA,
    sa.Column("challenge", _NAME, primary_key=True),
    sa.Column("entry", _NAME, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("team", _NAME, nullable=False),
    sa.Column("package_sha256", _SHA256, nullable=False),
    sa.Column("submitted", _MOMENT, nullable=False),
    sa.Column("day", sa.String(10), nullable=False),
    sa.Column("phase", sa.String(40), nullable=False),
    sa.Column("paid_by", sa.String(40), nullable=False),
    sa.Column("status", sa.String(40), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("run_id", _ID),
    sa.Column("verdict", sa.String(40)),
    sa.Column("result_sha256", _SHA256),
    sa.Column("public_loss", sa.Double),  # exact: for the organiser
    sa.Column("shown", sa.Double),  # what contestants see
    sa.Column("disqualified", sa.Text),
    sa.Index("ix_harness_entries_team", "challenge", "team"),
    sa.Index("ix_harness_entries_status", "challenge", "status"),
    sa.Index("ix_harness_entries_run_id", "run_id"),
)
JOBS = sa.Table(
    "harness_jobs",
    METADATA,
    sa.Column("run_id", _ID, primary_key=True),
    sa.Column("set_name", sa.String(40), primary_key=True),
    sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("challenge", _NAME, nullable=False),
    sa.Column("entry", _NAME),
    sa.Column("team", _NAME),
    sa.Column("turn", sa.Integer, nullable=False),  # jobs are given out by turn: teams take turns
    sa.Column("enqueued", _MOMENT, nullable=False),
    sa.Column("state", sa.String(40), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),  # its number, from 1
    sa.Column("token", sa.BigInteger, nullable=False),  # fencing: grows with every change of hands
    sa.Column("worker", sa.Text),
    sa.Column("claimed", _MOMENT),
    sa.Column("finished", _MOMENT),
    sa.Column("outcome", sa.Text),  # what was accepted: JSON of the driver's
    sa.Column("note", sa.Text),  # why it was given back or failed
    sa.Column("videos", sa.Integer),  # of the shard; None if it was queued by an older release
    sa.Column("videos_done", sa.Integer),  # so far, of the attempt that runs; None: nobody counts
    sa.Column("faults", sa.Integer, nullable=False, server_default="0"),  # attempts that failed by our fault
    sa.Column("not_before", _MOMENT),  # a pause after a fault; None: at any time
    sa.Index("ix_harness_jobs_claim", "challenge", "state", "turn", "enqueued"),
)
DRIVERS = sa.Table(
    "harness_drivers",
    METADATA,
    sa.Column("challenge", _NAME, primary_key=True),
    sa.Column("wish", sa.String(40), nullable=False),  # of the organiser: run, pause or drain
    sa.Column("token", sa.BigInteger, nullable=False),  # fencing: grows with every driver
    sa.Column("driver", sa.Text),  # None: nobody is at work
    sa.Column("since", _MOMENT),
    sa.Column("heartbeat", _MOMENT),
    sa.Column("places", sa.Integer),  # shards at a time, as it last said
    sa.Column("unseen", sa.Integer),  # entries that wait and have no job yet, as it last said
)
ACCESS = sa.Table(
    "harness_access",
    METADATA,
    sa.Column("access", _NAME, primary_key=True),  # its id, which is no secret
    sa.Column("kind", sa.String(40), nullable=False),  # token, link or session
    sa.Column("secret_sha256", _SHA256, nullable=False),  # the secret itself is kept nowhere
    sa.Column("role", sa.String(40), nullable=False),
    sa.Column("challenge", _NAME),  # None: of an organiser of all
    sa.Column("team", _NAME),
    sa.Column("label", sa.Text, nullable=False),  # whose it is, in words
    sa.Column("scopes", sa.Text, nullable=False),  # a blank between
    sa.Column("parent", _NAME),  # the link that a session came by: revoked with it
    sa.Column("created", _MOMENT, nullable=False),
    sa.Column("expires", _MOMENT, nullable=False),
    sa.Column("used", _MOMENT),  # of a link: when it was followed; it works once
    sa.Column("revoked", _MOMENT),
    sa.Index("ix_harness_access_team", "challenge", "team"),
    sa.Index("ix_harness_access_parent", "parent"),
)
BOARDS = sa.Table(
    "harness_boards",
    METADATA,
    sa.Column("challenge", _NAME, primary_key=True),
    sa.Column("set_name", sa.String(40), primary_key=True),
    sa.Column("version", _NAME, nullable=False),
    sa.Column("events", sa.Integer, nullable=False),  # of the contest, when it was worked out
    sa.Column("computed", _MOMENT, nullable=False),
    sa.Column("document", sa.Text, nullable=False),  # JSON: what everybody may see, and nothing else
)
REGRADES = sa.Table(
    "harness_regrades",
    METADATA,
    sa.Column("challenge", _NAME, primary_key=True),
    sa.Column("regrade", _ID, primary_key=True),  # as results and the contest's log call it
    sa.Column("state", sa.String(40), nullable=False),
    sa.Column("by", sa.Text, nullable=False),  # who asked for it, or decided last
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("asked", _MOMENT, nullable=False),
    sa.Column("changed", _MOMENT, nullable=False),
    sa.Column("document", sa.Text, nullable=False),  # JSON: the correction; empty once it is over
    sa.Column("preview", sa.Text, nullable=False),  # JSON: what it would move; empty until it is worked out
    sa.Column("note", sa.Text, nullable=False),  # why it failed
)
