"""Plots as inline SVG: pure functions of numbers, coloured through the page's CSS variables.

A figure is drawn with placeholder colours that are then replaced by `var(--…)`, so that one picture serves
light and dark. Drawn about as wide as a phone shows them, so that their text stays readable there.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import TightLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.core.limits import seconds_in_words
from harness.report import words
from harness.scoring.curves import CalibrationBin
from harness.scoring.intervals import Interval

INK, MUTED, LINE, ACCENT = "#000001", "#000002", "#000003", "#000004"
REAL, FAKE, LIMIT, CARD = "#000005", "#000006", "#000007", "#000008"
PUBLIC, PRIVATE, CONTROL = "#000009", "#00000a", "#00000b"
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    ACCENT: "--accent",
    REAL: "--real",
    FAKE: "--fake",
    LIMIT: "--limit",
    CARD: "--card",
    PUBLIC: "--public",
    PRIVATE: "--private",
    CONTROL: "--control",
}
SET_COLOURS = {"public": PUBLIC, "private": PRIVATE, "control": CONTROL}
_WIDTH = 5.2  # inches of 72 units: 374 units, about what a phone has
_MARGIN = 0.35  # around a picture, in heights of its text
_VECTOR_POINTS_MAX = 3000  # above it points are drawn as a picture, so that the page stays small


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One line of a dot plot: a name, a value, and how sure it is."""

    name: str
    value: float
    interval: Interval | None
    note: str = ""
    colour: str = ACCENT


def dots(
    rows: Sequence[Dot], *, title: str, baseline: float, axis: str = "log loss (lower is better)"
) -> Markup:
    """Values with their intervals, one below the other, against the baseline."""
    with drawing():
        figure, axes = figure_of(0.31 * len(rows) + 0.95)
        for place, row in enumerate(rows):
            if row.interval is not None:
                ends = [row.interval.low, row.interval.high]
                axes.plot(
                    ends, [place, place], color=row.colour, linewidth=3.2, alpha=0.35, solid_capstyle="round"
                )
            axes.plot([row.value], [place], "o", color=row.colour, markersize=7)
        highest = max([baseline, *(r.value for r in rows), *(r.interval.high for r in rows if r.interval)])
        axes.set_xlim(0, highest * 1.06)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(range(len(rows)), [short(row.name) for row in rows])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.axvline(baseline, color=LIMIT, linewidth=1.4, linestyle=(0, (4, 3)))
        axes.annotate(
            "constant ½",
            (baseline, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right" if baseline > 0.8 * highest else "center",
            color=LIMIT,
            fontsize=9,
        )
        for place, row in enumerate(rows):
            if row.note:
                axes.annotate(
                    row.note, (1.0, place), xycoords=("axes fraction", "data"), xytext=(4, 0),
                    textcoords="offset points", va="center_baseline", color=MUTED,
                )  # fmt: skip
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_xlabel(axis)
        return svg_of(figure, title)


def times(
    seconds: Sequence[float],
    failed: Sequence[bool],
    *,
    title: str,
    hard_limit: float,
    mean_limit: float,
    colour: str,
) -> Markup:
    """Seconds per video in the order of the set, on a logarithmic axis, under both limits."""
    with drawing():
        figure, axes = figure_of(2.6)
        place = np.arange(1, len(seconds) + 1)
        shown = np.maximum(np.asarray(seconds, dtype=np.float64), 1e-3)
        lost = np.asarray(failed, dtype=np.bool_)
        raster = len(seconds) > _VECTOR_POINTS_MAX
        axes.plot(
            place[~lost], shown[~lost], "o", color=colour, markersize=3.6, alpha=0.75, rasterized=raster
        )
        axes.plot(place[lost], shown[lost], "X", color=FAKE, markersize=7, rasterized=raster)
        axes.set_yscale("log")
        for limit, text in ((hard_limit, "limit of one video"), (mean_limit, "limit of the mean")):
            axes.axhline(limit, color=LIMIT, linewidth=1.3, linestyle=(0, (4, 3)))
            label = f"{text}, {seconds_in_words(limit)}"
            axes.annotate(
                label, (1.0, limit), xycoords=("axes fraction", "data"), xytext=(0, 3),
                textcoords="offset points", ha="right", color=LIMIT, fontsize=9,
            )  # fmt: skip
        axes.set_ylim(min(0.01, shown.min(initial=1.0) / 1.5), max(hard_limit, shown.max(initial=0.0)) * 2.5)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))
        axes.minorticks_off()
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(axis="y")
        axes.set_xlabel("video")
        return svg_of(figure, title)


def memory(
    seconds: Sequence[float], used_bytes: Sequence[int], *, title: str, limit_bytes: float, colour: str
) -> Markup:
    """Memory of the container over time, under its limit."""
    with drawing():
        figure, axes = figure_of(2.6)
        gigabytes = np.asarray(used_bytes, dtype=np.float64) / 1e9
        axes.fill_between(seconds, gigabytes, color=colour, alpha=0.18, linewidth=0)
        axes.plot(seconds, gigabytes, color=colour, linewidth=1.8)
        axes.axhline(limit_bytes / 1e9, color=LIMIT, linewidth=1.3, linestyle=(0, (4, 3)))
        axes.annotate(
            f"limit, {words.size(limit_bytes)}", (1.0, limit_bytes / 1e9), xycoords=("axes fraction", "data"),
            xytext=(0, 3), textcoords="offset points", ha="right", color=LIMIT, fontsize=9,
        )  # fmt: skip
        axes.set_ylim(0, max(limit_bytes / 1e9, gigabytes.max(initial=0.0)) * 1.12)
        axes.set_xlim(left=0)
        axes.set_ylabel("GB")
        axes.set_xlabel("seconds since the container started")
        axes.grid(axis="y")
        return svg_of(figure, title)


def distribution(fake: Sequence[bool], probability: Sequence[float], *, title: str) -> Markup:
    """How the answers are spread, reals and fakes apart."""
    with drawing():
        figure, axes = figure_of(2.6)
        truth, values = np.asarray(fake, dtype=np.bool_), np.asarray(probability, dtype=np.float64)
        edges = [place / 20 for place in range(21)]
        for inside, colour, name in ((~truth, REAL, "real videos"), (truth, FAKE, "fake videos")):
            axes.hist(values[inside], edges, color=colour, alpha=0.3, histtype="stepfilled")
            axes.hist(values[inside], edges, color=colour, linewidth=1.6, histtype="step", label=name)
        axes.set_xlim(0, 1)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(axis="y")
        axes.set_xlabel("P(fake) as answered")
        axes.set_ylabel("videos")
        legend(axes)
        return svg_of(figure, title)


def calibration(bins: Sequence[CalibrationBin], *, title: str, colour: str) -> Markup:
    """Plot the share of fakes against what the package said: on the diagonal it means what it says."""
    with drawing():
        figure, axes = figure_of(2.6)
        axes.plot([0, 1], [0, 1], color=LIMIT, linewidth=1.3, linestyle=(0, (4, 3)), label="as it should be")
        stated = [one.mean_probability for one in bins]
        observed = [one.fake_share for one in bins]
        most = max((one.videos for one in bins), default=1)
        axes.plot(stated, observed, color=colour, linewidth=1.2, alpha=0.6)
        sizes = [25 + 130 * one.videos / most for one in bins]
        axes.scatter(stated, observed, s=sizes, color=colour, alpha=0.85, linewidths=0)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.06, 1.06)
        axes.grid()
        axes.set_xlabel("P(fake) as answered, in ten bins; a larger dot holds more videos")
        axes.set_ylabel("share of fakes")
        legend(axes)
        return svg_of(figure, title)


def drawing() -> AbstractContextManager[None]:
    """Return the look of every plot; it is put back on exit, so that nothing global changes."""
    return mpl.rc_context(
        {
            "svg.fonttype": "none",  # text stays text: selectable, and in the page's font
            "font.family": "sans-serif",
            "font.size": 10,
            "text.parse_math": False,
            "axes.edgecolor": LINE,
            "axes.labelcolor": MUTED,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "text.color": INK,
            "xtick.color": LINE,
            "ytick.color": LINE,
            "xtick.labelcolor": MUTED,
            "ytick.labelcolor": MUTED,
            "grid.color": LINE,
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
        }
    )


def figure_of(height: float) -> tuple[Figure, Axes]:
    """Return an empty figure as wide as a phone shows it, `height` inches high."""
    # the constrained layout measures every text twice and solves for what one pair of axes does not need
    figure = Figure(figsize=(_WIDTH, height), layout=TightLayoutEngine(pad=_MARGIN))
    return figure, figure.add_subplot()


def legend(axes: Axes) -> None:
    """Add a legend without a frame."""
    axes.legend(frameon=False, loc="best", fontsize=9, labelcolor=MUTED)


def short(name: str) -> str:
    """Return a name that fits beside an axis."""
    text = words.one_line(name, characters=200)
    return text if len(text) <= 24 else f"{text[:23]}…"


def svg_of(figure: Figure, title: str) -> Markup:
    """Render deterministically, strip what a page does not need, and hand the colours to the page."""
    stream = io.BytesIO()
    salt = re.sub(r"[^a-z0-9]+", "-", title.lower())
    with mpl.rc_context({"svg.hashsalt": salt, "svg.id": salt}):
        # not `savefig`, which draws everything once before it draws it
        FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]  # public, and without types
            stream, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = stream.getvalue().decode()
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    opening_end = body.index(">")
    opening = re.sub(r' (width|height|id)="[^"]*"', "", body[:opening_end])
    # ids of groups (`axes_1`) repeat from plot to plot; those of markers and clip paths are salted hashes
    inside = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", body[opening_end:])
    for placeholder, variable in _VARIABLES.items():
        inside = inside.replace(placeholder, f"var({variable})")
    label = Markup.escape(title)
    return Markup(f'{opening} role="img" aria-label="{label}"{inside}')  # noqa: S704 (our own SVG: no package text)
