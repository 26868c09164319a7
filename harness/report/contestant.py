"""The contestant's page: their public score, their own logs, and of the private set one bit.

The page is rendered from a value that holds nothing else, so no template can give more away. Exact scores
are an oracle for labels (Whitehill 2017): the public one is rounded, there is one metric, no breakdown, no
name of a video and no count by truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.core.types import FailureRule, SetName
from harness.report import words
from harness.report.data import SetData
from harness.report.pages import render
from harness.report.repeats import RepeatView, repeat_view
from harness.results.result import NO_ISOLATION, Result
from harness.scoring.scored import ScoredVideo

FAILURES_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class PublicFailure:
    """Failures of one kind with one message, which is the package's own."""

    kind: str
    words: str
    videos: int
    message: str


@dataclass(frozen=True, kw_only=True)
class ContestantView:
    """All that the page may say."""

    challenge: str
    package: str
    package_sha256: str
    package_bytes: int
    created: str
    image: str
    no_isolation: bool
    lenient: bool
    failed_probability: float
    epsilon: float
    verdict: str
    verdict_words: str
    public_log_loss: str | None
    why_no_score: str
    baseline: str
    better_than_baseline: bool
    videos: int
    failed: int
    failures: tuple[PublicFailure, ...]
    startup: str
    mean: str
    longest: str
    total: str
    budget: str
    peak_memory: str
    cpu: str
    limits: tuple[tuple[str, str], ...]
    log: str
    repeat: RepeatView | None  # of the public set
    private_valid: bool


def contestant_page(result: Result, public: SetData | None) -> str:
    """Return the page as HTML. `public` is the public set's; no other may be given."""
    return render("contestant.html", {"view": contestant_view(result, public)})


def contestant_view(result: Result, public: SetData | None) -> ContestantView:
    """Choose what the contestant may see."""
    one, private = result.sets.get(SetName.PUBLIC), result.sets.get(SetName.PRIVATE)
    decimals = result.challenge.public_decimals
    log_loss = one.score.log_loss if one else None
    baseline = one.score.anchors.constant_half if one else 0.0
    clocks = one.clocks if one else None
    return ContestantView(
        challenge=result.challenge.name,
        package=words.one_line(result.package.name),
        package_sha256=result.package.sha256,
        package_bytes=result.package.size_bytes,
        created=result.created.strftime("%Y-%m-%d %H:%M UTC"),
        image=result.image.label,
        no_isolation=result.isolation == NO_ISOLATION,
        lenient=result.failure_rule is FailureRule.LENIENT,
        failed_probability=result.failed_probability,
        epsilon=result.epsilon,
        verdict=one.verdict.value if one else "not run",
        verdict_words=words.VERDICT_WORDS[one.verdict] if one else "The public set was not run.",
        public_log_loss=None if log_loss is None else words.score(log_loss, decimals),
        why_no_score=words.clean(one.score.reason) if one else "",
        baseline=words.score(baseline, decimals),
        better_than_baseline=log_loss is not None and round(log_loss, decimals) < round(baseline, decimals),
        videos=one.videos if one else 0,
        failed=one.score.failed if one else 0,
        failures=_failures(public.rows if public else ()),
        startup=words.seconds(clocks.startup_seconds if clocks else None),
        mean=words.seconds(clocks.video_mean_seconds if clocks else None),
        longest=words.seconds(clocks.video_longest_seconds if clocks else None),
        total=words.seconds(clocks.billed_seconds if clocks else None),
        budget=words.seconds(clocks.budget_seconds if clocks else None),
        peak_memory=words.size(one.resources.peak_memory_bytes if one else None),
        cpu=words.cpu(one.resources) if one else "–",
        limits=words.limits(result.limits),
        log=words.clean(public.log_tail if public else "", characters=words.LOG_CHARACTERS, keep_end=True),
        repeat=repeat_view(one),
        private_valid=private is not None and private.score.scored,
    )


def _failures(rows: Sequence[ScoredVideo]) -> tuple[PublicFailure, ...]:
    counted = Counter((row.kind, words.clean(row.message)) for row in rows if row.failed)
    return tuple(
        PublicFailure(kind=kind.value, words=words.OUTCOME_WORDS[kind], videos=videos, message=message)
        for (kind, message), videos in counted.most_common(FAILURES_SHOWN)
    )
