"""The contestant's page: their public score, their own logs, and of the private set one bit.

The page is rendered from a value that contains nothing else, so no template can give more away. Exact scores
are an oracle for labels (Whitehill 2017): the public one, its interval and its AUC are rounded, there is no
breakdown, no name of a video and no count by truth.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.core.text import outcomes_in_words
from harness.core.types import FailureRule, SetName, Verdict
from harness.report import words
from harness.report.data import SetData
from harness.report.pages import render
from harness.report.repeats import RepeatView, repeat_view
from harness.report.set_plots import Plot, resource_plots
from harness.results.failures import grouped
from harness.results.result import NO_ISOLATION, Result, SetResult, limits_of

FAILURES_SHOWN = 20
AUC_DECIMALS = 2  # enough to see where one stands; an exact one would say more about the labels


@dataclass(frozen=True, kw_only=True)
class PublicFailure:
    """Failures of one kind with one message, which is the package's own."""

    kind: str
    words: str
    videos: int
    message: str


@dataclass(frozen=True, kw_only=True)
class PublicScore:
    """The public score, rounded, and what may be said of it."""

    verdict: str
    verdict_words: str
    good: bool  # the verdict is OK
    log_loss: str | None
    interval: str  # of the log loss, rounded like it; a dash if there is none
    auc: str
    against_half: str
    why_not: str  # why there is none, or why it does not count; empty if it does
    answered: str  # in words, with what failed
    failed: int


@dataclass(frozen=True, kw_only=True)
class PublicUse:
    """Time and memory of the public set, in words."""

    startup: str = "–"
    mean: str = "–"
    longest: str = "–"
    total: str = "–"
    budget: str = "–"
    peak_memory: str = "–"
    cpu: str = "–"


@dataclass(frozen=True, kw_only=True)
class ContestantView:
    """All that the page may say."""

    challenge: str
    run_id: str
    package: str
    package_sha256: str
    package_bytes: int
    created: str
    image: str
    no_isolation: bool
    failure_rule: str
    epsilon: float
    public: PublicScore
    use: PublicUse
    failures: tuple[PublicFailure, ...]
    limits: tuple[tuple[str, str], ...]
    log: str
    repeat: RepeatView | None  # of the public set
    plots: tuple[Plot, ...]  # of the public set: times and memory
    private_valid: bool
    practice: bool  # the challenge has no private set
    stopped_early: bool


def contestant_page(result: Result, public: SetData | None) -> str:
    """Return the page as HTML. `public` is the public set's; no other may be given."""
    return render("contestant.html", {"view": contestant_view(result, public)})


def contestant_view(result: Result, public: SetData | None) -> ContestantView:
    """Choose what the contestant may see."""
    one, private = result.sets.get(SetName.PUBLIC), result.sets.get(SetName.PRIVATE)
    return ContestantView(
        challenge=result.challenge.name,
        run_id=result.run_id,
        package=words.one_line(result.package.name),
        package_sha256=result.package.sha256,
        package_bytes=result.package.size_bytes,
        created=result.created.strftime("%Y-%m-%d %H:%M UTC"),
        image=result.image.label,
        no_isolation=result.isolation == NO_ISOLATION,
        failure_rule=_failure_rule(result, one),
        epsilon=result.epsilon,
        public=_public_score(one, result.challenge.public_decimals) if one else _NOT_RUN,
        use=_public_use(one) if one else PublicUse(),
        failures=_failures(result, one, public) if one and public else (),
        limits=words.limits(result.limits),
        log=words.clean(public.log_tail if public else "", characters=words.LOG_CHARACTERS, keep_end=True),
        repeat=repeat_view(one),
        plots=tuple(resource_plots(result, one, public)) if one else (),
        private_valid=private is not None and private.score.counts,
        practice=private is None and not result.stopped_early,
        stopped_early=bool(result.stopped_early),
    )


_NOT_RUN = PublicScore(
    verdict="not run",
    verdict_words="The public set was not run.",
    good=False,
    log_loss=None,
    interval="–",
    auc="–",
    against_half="",
    why_not="",
    answered="",
    failed=0,
)


def _public_score(one: SetResult, decimals: int) -> PublicScore:
    score = one.score
    loss, auc = score.metrics.get("log_loss"), score.metrics.get("roc_auc")
    return PublicScore(
        verdict=one.verdict.value,
        verdict_words=words.verdict_in_words(one),
        good=one.verdict is Verdict.OK,
        log_loss=None if score.log_loss is None else words.score(score.log_loss, decimals),
        interval=words.interval(loss.interval if loss else None, decimals),
        auc=words.score(auc.value if auc else None, min(decimals, AUC_DECIMALS)),
        against_half=words.against_half(score, decimals),
        why_not=words.clean(score.why_not),
        answered=outcomes_in_words(one.outcomes),
        failed=score.failed,
    )


def _public_use(one: SetResult) -> PublicUse:
    clocks = one.clocks
    return PublicUse(
        startup=words.seconds(clocks.startup_seconds),
        mean=words.seconds(clocks.video_mean_seconds),
        longest=words.seconds(clocks.video_longest_seconds),
        total=words.seconds(clocks.billed_seconds),
        budget=words.seconds(clocks.budget_seconds),
        peak_memory=words.size(one.resources.peak_memory_bytes),
        cpu=words.cpu(one.resources),
    )


def _failure_rule(result: Result, one: SetResult | None) -> str:
    if result.failure_rule is FailureRule.STRICT:
        return "Any failure spoils the run."
    most = f"; up to {words.percent(one.score.max_failed_share)} of a set may fail" if one else ""
    return f"A failed video scores {result.failed_probability:g} and is counted{most}."


def _failures(result: Result, one: SetResult, public: SetData) -> tuple[PublicFailure, ...]:
    groups = grouped(public.rows, limits=limits_of(result), usage=one.resources, log_tail=public.log_tail)
    return tuple(
        PublicFailure(
            kind=group.kind.value,
            words=words.OUTCOME_WORDS[group.kind],
            videos=group.count,
            message=words.clean("\n".join(filter(None, [group.message, group.remedy]))),
        )
        for group in groups[:FAILURES_SHOWN]
    )
