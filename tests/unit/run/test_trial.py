"""What a trial on a few videos tells: true counts, in words that a contestant knows."""

from __future__ import annotations

import io

from rich.console import Console

from harness.cli.views.check import render_report
from harness.core.types import Limits, Outcome, OutcomeKind, Verdict
from harness.gateway.set_run import SetRun
from harness.package.check import CheckReport
from harness.package.findings import found
from harness.run.trial import AGAIN, smoke_findings


def told(*video_ids: str) -> list[str]:
    """Return the messages about a trial on two videos, the first asked twice, in which these failed."""
    outcomes = tuple(
        Outcome(video_id=one, kind=OutcomeKind.RUNTIME_ERROR, message="ValueError: no face")
        if one in video_ids
        else Outcome(video_id=one, kind=OutcomeKind.PREDICTED, probability=0.25)
        for one in ("a.mp4", "b.mp4", f"{AGAIN}a.mp4")
    )
    run = SetRun(
        verdict=Verdict.RUNTIME_ERROR,
        detail="",
        outcomes=outcomes,
        isolation="docker",
        startup_seconds=1.0,
        billed_seconds=2.0,
        budget_seconds=8.0,
    )
    return [one.message for one in smoke_findings(run, limits=Limits()) if one.code == "P602"]


def test_a_video_that_was_asked_for_twice_counts_once() -> None:
    (message,) = told("a.mp4", "b.mp4", f"{AGAIN}a.mp4")
    assert message.startswith("RUNTIME_ERROR on 2 of 2 videos (a.mp4, b.mp4)")


def test_a_video_that_fails_only_the_second_time_is_told() -> None:
    (message,) = told(f"{AGAIN}a.mp4")
    assert message.startswith("RUNTIME_ERROR on 1 of 2 videos (a.mp4 when asked again)")


def test_what_fails_only_when_tried_is_not_said_to_be_refused() -> None:
    report = CheckReport(
        source="p",
        name="p",
        sha256="",
        size_bytes=1,
        file_count=1,
        findings=(found("P603", "no probability: 3"),),
    )
    console = Console(width=80, file=io.StringIO(), color_system=None)
    console.print(render_report(report))
    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO given above
    assert "This package fails when it is run" in text
