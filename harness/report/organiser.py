"""The organiser's page: everything that is known about a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.core.types import OutcomeKind, SetName
from harness.report import plots, words
from harness.report.data import SetData
from harness.report.frames import frame_data_uri
from harness.report.group_plots import group_plots
from harness.report.pages import own_script, render
from harness.report.repeats import repeat_view
from harness.report.set_plots import Plot, answer_plots, resource_plots, slice_plots
from harness.report.video_table import VideoTable, video_table
from harness.results.failures import FailureGroup, grouped
from harness.results.result import NO_ISOLATION, Result, SetResult, limits_of
from harness.scoring.curves import calibration_error
from harness.scoring.metrics import all_metrics
from harness.scoring.score import MetricScore
from harness.scoring.slices import Slice, SliceKind

WORST_VIDEOS = 6
FAILURES_SHOWN = 50
VIDEOS_NAMED = 3
SET_ORDER = (SetName.PUBLIC, SetName.PRIVATE, SetName.CONTROL)


@dataclass(frozen=True, kw_only=True)
class WorstVideo:
    """One of the videos that cost the most, with a frame of it."""

    video_id: str
    source_id: str
    truth: str
    fake: bool
    probability: float
    log_loss: float
    failed: bool
    perturbations: str
    frame: str | None


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Videos that failed in one way, and what is known about it; the table of all videos has each."""

    kind: str
    words: str
    videos: int
    named: tuple[str, ...]  # the first of them
    seconds: tuple[float, float] | None  # the shortest and the longest; None if their turn never came
    message: str  # the package's own words, the frames of libraries folded
    remedy: str


@dataclass(frozen=True, kw_only=True)
class HeatRow:
    """One perturbation's log loss at each severity, None if there was no such video."""

    name: str
    cells: tuple[HeatCell | None, ...]


@dataclass(frozen=True, kw_only=True)
class HeatCell:
    """The log loss at one severity; `heat` says how bad it is, from 0 to 100, the baseline being 50."""

    log_loss: float
    heat: int
    videos: int


@dataclass(frozen=True, kw_only=True)
class SetView:
    """One set as the page shows it."""

    name: str
    title: str
    result: SetResult
    words: str
    metrics: tuple[tuple[str, str, MetricScore], ...]
    perturbations: tuple[Plot, ...]
    groups: tuple[Plot, ...]
    severities: tuple[int, ...]
    heat: tuple[HeatRow, ...]
    answers: tuple[Plot, ...]
    calibration_error: float | None
    resources: tuple[Plot, ...]
    failures: tuple[Failures, ...]
    failures_left_out: int  # ways, not videos
    worst: tuple[WorstVideo, ...]
    table: VideoTable | None
    log: str


def organiser_page(result: Result, data: Mapping[SetName, SetData]) -> str:
    """Return the page as HTML."""
    sets = [_set_view(result, result.sets[name], data.get(name)) for name in SET_ORDER if name in result.sets]
    return render(
        "organiser.html",
        {
            "result": result,
            "sets": sets,
            "repeats": [view for one in sets if (view := repeat_view(one.result))],
            "strip": _strip(result),
            "no_isolation": result.isolation == NO_ISOLATION,
            "created": result.created.strftime("%Y-%m-%d %H:%M UTC"),
            "limits": words.limits(result.limits),
            "script": own_script("video_table.js"),
        },
    )


def _strip(result: Result) -> Markup | None:
    rows = [
        plots.Dot(
            name=words.SET_WORDS[name],
            value=score.value,
            interval=score.interval,
            note=words.score(score.value),
            colour=plots.SET_COLOURS[name.value],
        )
        for name in SET_ORDER
        if name in result.sets
        and (score := result.sets[name].score.metrics.get("log_loss")) is not None
        and score.value is not None
    ]
    anchor = next(iter(result.sets.values())).score.anchors.constant_half if result.sets else 0.0
    return plots.dots(rows, title="Log loss of each set", baseline=anchor) if rows else None


def _set_view(result: Result, one: SetResult, data: SetData | None) -> SetView:
    name = one.set_name
    failures = _failures(result, one, data)
    return SetView(
        name=name.value,
        title=words.SET_WORDS[name],
        result=one,
        words=words.verdict_in_words(one),
        metrics=tuple(
            (metric.title, metric.direction.value, one.score.metrics[key])
            for key, metric in all_metrics().items()
            if key in one.score.metrics
        ),
        perturbations=tuple(slice_plots(one)),
        groups=tuple(group_plots(one, data)),
        severities=_severities(one),
        heat=_heat(one),
        answers=tuple(answer_plots(one, data)),
        calibration_error=calibration_error(one.score.calibration) if one.score.calibration else None,
        resources=tuple(resource_plots(result, one, data)),
        failures=failures[:FAILURES_SHOWN],
        failures_left_out=max(0, len(failures) - FAILURES_SHOWN),
        worst=_worst(data) if one.score.scored else (),
        table=video_table(data.rows) if data else None,
        log=words.clean(data.log_tail if data else "", characters=words.LOG_CHARACTERS, keep_end=True),
    )


def _severities(one: SetResult) -> tuple[int, ...]:
    cuts = [cut for cut in one.score.slices if cut.kind is SliceKind.PERTURBATION_SEVERITY]
    return tuple(sorted({cut.severity for cut in cuts if cut.severity is not None}))


def _heat(one: SetResult) -> tuple[HeatRow, ...]:
    cuts = [cut for cut in one.score.slices if cut.kind is SliceKind.PERTURBATION_SEVERITY]
    by_key = {(cut.name, cut.severity): cut for cut in cuts if cut.log_loss is not None}
    if len(by_key) < 2:
        return ()
    levels, baseline = _severities(one), one.score.anchors.constant_half
    return tuple(
        HeatRow(name=name, cells=tuple(_heat_cell(by_key.get((name, level)), baseline) for level in levels))
        for name in sorted({name for name, _ in by_key})
    )


def _heat_cell(cut: Slice | None, baseline: float) -> HeatCell | None:
    if cut is None or cut.log_loss is None:
        return None
    return HeatCell(
        log_loss=cut.log_loss, heat=round(min(100.0, 50.0 * cut.log_loss / baseline)), videos=cut.videos
    )


def _failures(result: Result, one: SetResult, data: SetData | None) -> tuple[Failures, ...]:
    if data is None:
        return ()
    groups = grouped(data.rows, limits=limits_of(result), usage=one.resources, log_tail=data.log_tail)
    seconds = {row.video_id: row.wall_seconds for row in data.rows}
    return tuple(
        Failures(
            kind=group.kind.value,
            words=words.OUTCOME_WORDS[group.kind],
            videos=group.count,
            named=group.video_ids[:VIDEOS_NAMED],
            seconds=_range(group, seconds),
            message=words.clean(group.message),
            remedy=words.clean(group.remedy),
        )
        for group in sorted(groups, key=lambda group: group.kind is OutcomeKind.NOT_REACHED)
    )


def _range(group: FailureGroup, seconds: Mapping[str, float]) -> tuple[float, float] | None:
    if group.kind is OutcomeKind.NOT_REACHED:
        return None
    taken = [seconds[name] for name in group.video_ids]
    return min(taken), max(taken)


def _worst(data: SetData | None) -> tuple[WorstVideo, ...]:
    rows = sorted(data.rows, key=lambda row: -row.log_loss)[:WORST_VIDEOS] if data else []
    return tuple(
        WorstVideo(
            video_id=row.video_id,
            source_id=row.source_id,
            truth=(row.label.method or "fake") if row.label.fake else "real",
            fake=row.label.fake,
            probability=row.probability,
            log_loss=row.log_loss,
            failed=row.failed,
            perturbations=_perturbation_words([(one.name, one.severity) for one in row.perturbations]),
            frame=frame_data_uri(data.videos[row.video_id]) if data and row.video_id in data.videos else None,
        )
        for row in rows
    )


def _perturbation_words(applied: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {severity}" for name, severity in applied) or "unperturbed"
