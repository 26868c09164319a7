"""Runs as a worker leaves them, written without running anything."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from harness.contest.state import Entry
from harness.core.types import Outcome, OutcomeKind, PreparedVideo, SetName
from harness.gateway.journal import Header, Journal, Line
from harness.results.run_row import RunRow
from harness.videos.labels import Label, Labels
from harness.videos.ready_set import ReadySet

MOMENT = datetime(2026, 11, 27, tzinfo=UTC)


def made_challenge() -> Any:
    """Return what a board asks of a challenge, and no more."""
    scoring = SimpleNamespace(
        failed_probability=0.5, epsilon=1e-15, bootstrap_samples=2000, public_decimals=4
    )
    return SimpleNamespace(name="speed", title="Speed", sha256="0" * 64, scoring=scoring)


def ready_of(ids: tuple[str, ...], fake: np.ndarray) -> ReadySet:
    """Return a set of videos that nobody has to render."""
    videos = tuple(PreparedVideo(video_id=one, path=Path(one), source_id=one, sha256="0" * 64) for one in ids)
    labels = Labels({one: Label(fake=bool(truth)) for one, truth in zip(ids, fake, strict=True)})
    return ReadySet(name=SetName.PUBLIC, videos=videos, labels=labels, sha256="", manifest_path=Path())


def row_of(one: Entry) -> RunRow:
    """Return a run's row."""
    return RunRow(
        run_id=one.run_id or "",
        created="",
        challenge="speed",
        challenge_sha256="",
        package="p",
        package_sha256="",
        image_digest="",
        isolation="docker",
        public_verdict="OK",
        private_verdict="OK",
        public_log_loss=0.5,
        private_log_loss=0.5,
        eligible=True,
        result_sha256=one.entry,
    )


def write_journal(path: Path, ids: tuple[str, ...], probability: np.ndarray) -> None:
    """Write a journal as the gateway does."""
    header = Header(order_seed=1, videos_sha256="0" * 64, limits_sha256="0" * 64)
    outcomes = (
        Outcome(
            video_id=video,
            kind=OutcomeKind.PREDICTED,
            probability=float(answer),
            wall_seconds=0.8813445000000115,
            cpu_seconds=1.5279215609999994,
        )
        for video, answer in zip(ids, probability, strict=True)
    )
    with Journal(path, header) as journal:
        journal.append(Line(outcome=one) for one in outcomes)
