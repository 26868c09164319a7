"""The plots of one set, each with its values in a table for those who cannot see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from harness.core.types import OutcomeKind
from harness.report import plots, words
from harness.report.data import SetData
from harness.results.result import Result, SetResult
from harness.scoring.scored import ScoredVideo
from harness.scoring.slices import Slice, SliceKind

SPREAD_BINS = 20  # as many as the picture has
MEMORY_ROWS = 20


@dataclass(frozen=True, kw_only=True)
class Values:
    """What a plot shows, as a table: the first column names the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A picture with the sentence that says what it shows."""

    title: str
    caption: str
    svg: Markup
    values: Values


def slice_plots(one: SetResult) -> list[Plot]:
    """Return log loss by perturbation, by severity and by method, if there are any."""
    titles = {
        SliceKind.PERTURBATION: ("By perturbation", "A video with several is counted in each of them."),
        SliceKind.SEVERITY: ("By severity", "Under the strongest perturbation of each video."),
        SliceKind.METHOD: ("By fake method", "The fakes of each method, and all the reals."),
    }
    found = []
    for kind, (title, caption) in titles.items():
        rows = [cut for cut in one.score.slices if cut.kind is kind and cut.log_loss is not None]
        if kind is not SliceKind.SEVERITY:
            rows.sort(key=lambda cut: -(cut.log_loss or 0.0))
        if len(rows) > 1:  # a single one is the whole set again
            picture = plots.dots(
                [_dot(cut, plots.SET_COLOURS[one.set_name.value]) for cut in rows],
                title=f"{one.set_name}: log loss {title.lower()}",
                baseline=one.score.anchors.constant_half,
            )
            found.append(Plot(title=title, caption=caption, svg=picture, values=_slice_values(rows)))
    return found


def _slice_values(rows: Sequence[Slice]) -> Values:
    return Values(
        columns=("part", "log loss", "95% interval", "videos"),
        rows=tuple(
            (
                words.one_line(cut.name.replace("_", " ")),
                words.score(cut.log_loss),
                words.interval(cut.interval),
                f"{cut.videos:,}",
            )
            for cut in rows
        ),
    )


def _dot(cut: Slice, colour: str) -> plots.Dot:
    return plots.Dot(
        name=cut.name.replace("_", " "),
        value=cut.log_loss or 0.0,
        interval=cut.interval,
        note=f"{words.score(cut.log_loss, 3)}  ·  {cut.videos}",
        colour=colour,
    )


def answer_plots(one: SetResult, data: SetData | None) -> list[Plot]:
    """Return how the answers are spread, and whether they mean what they say."""
    predicted = [row for row in data.rows if not row.failed] if data else []
    if not predicted:
        return []
    found = [
        Plot(
            title="Answers",
            caption="The further apart the two, the better; few at the wrong end matters most.",
            svg=plots.distribution(
                [row.label.fake for row in predicted],
                [row.probability for row in predicted],
                title=f"{one.set_name}: answers by truth",
            ),
            values=_spread(predicted),
        )
    ]
    if one.score.calibration:
        found.append(
            Plot(
                title="Calibration",
                caption="Below the line it calls too many fake, above it too few.",
                svg=plots.calibration(
                    one.score.calibration,
                    title=f"{one.set_name}: calibration",
                    colour=plots.SET_COLOURS[one.set_name.value],
                ),
                values=_calibration_values(one),
            )
        )
    return found


def _spread(predicted: Sequence[ScoredVideo]) -> Values:
    edges = [place / SPREAD_BINS for place in range(SPREAD_BINS + 1)]
    counts = [[0, 0] for _ in range(SPREAD_BINS)]
    for row in predicted:
        counts[min(int(row.probability * SPREAD_BINS), SPREAD_BINS - 1)][row.label.fake] += 1
    return Values(
        columns=("P(fake) as answered", "real videos", "fake videos"),
        rows=tuple(
            (f"{low:.2f} to {high:.2f}", f"{reals:,}", f"{fakes:,}")
            for (low, high), (reals, fakes) in zip(pairwise(edges), counts, strict=True)
            if reals or fakes
        ),
    )


def _calibration_values(one: SetResult) -> Values:
    return Values(
        columns=("P(fake) as answered", "mean answer", "share of fakes", "videos"),
        rows=tuple(
            (
                f"{part.lowest:.1f} to {part.highest:.1f}",
                words.score(part.mean_probability, 3),
                words.percent(part.fake_share),
                f"{part.videos:,}",
            )
            for part in one.score.calibration
        ),
    )


def resource_plots(result: Result, one: SetResult, data: SetData | None) -> list[Plot]:
    """Return time per video and memory over time, under their limits."""
    colour, found = plots.SET_COLOURS[one.set_name.value], []
    reached = [row for row in data.rows if row.kind is not OutcomeKind.NOT_REACHED] if data else []
    if reached and {"video_seconds", "mean_video_seconds"} <= set(result.limits):
        found.append(
            Plot(
                title="Time per video",
                caption="On the host's clock, in the order of the set; a cross is a failed video.",
                svg=plots.times(
                    [row.wall_seconds for row in reached],
                    [row.failed for row in reached],
                    title=f"{one.set_name}: seconds per video",
                    hard_limit=result.limits["video_seconds"],
                    mean_limit=result.limits["mean_video_seconds"],
                    colour=colour,
                ),
                values=_time_values(result, one),
            )
        )
    samples = (
        [(one.seconds, one.memory_bytes) for one in data.samples if one.memory_bytes is not None]
        if data
        else []
    )
    if samples and "memory_bytes" in result.limits:
        found.append(
            Plot(
                title="Memory",
                caption="Of the whole container, as its cgroup counts it.",
                svg=plots.memory(
                    [at for at, _ in samples],
                    [used for _, used in samples],
                    title=f"{one.set_name}: memory over time",
                    limit_bytes=result.limits["memory_bytes"],
                    colour=colour,
                ),
                values=_memory_values(samples, result.limits["memory_bytes"]),
            )
        )
    return found


def _time_values(result: Result, one: SetResult) -> Values:
    clocks = one.clocks
    return Values(
        columns=("of a video", "time"),
        rows=(
            ("mean", words.seconds(clocks.video_mean_seconds)),
            ("limit of the mean", words.seconds(result.limits["mean_video_seconds"])),
            ("median", words.seconds(clocks.video_median_seconds)),
            ("95% within", words.seconds(clocks.video_p95_seconds)),
            ("longest", words.seconds(clocks.video_longest_seconds)),
            ("limit of one video", words.seconds(result.limits["video_seconds"])),
        ),
    )


def _memory_values(samples: Sequence[tuple[float, int]], limit_bytes: float) -> Values:
    step = max(1, len(samples) // MEMORY_ROWS)
    rows = [(words.seconds(at), words.size(used)) for at, used in samples[::step]]
    return Values(columns=("since the start", "memory"), rows=(*rows, ("limit", words.size(limit_bytes))))
