"""Where each entry is good and where it is not, side by side.

By perturbation, severity and subgroup; and how far its probabilities mean what they say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.contest.board.answers import BoardInput
from harness.scoring.against_rest import against_rest
from harness.scoring.clusters import Floats, Integers, Sampling
from harness.scoring.curves import (
    BrierParts,
    CalibrationBin,
    brier_parts,
    calibration_bins,
    calibration_error,
)
from harness.scoring.intervals import excess_of, skewed_bounds, spread_of
from harness.scoring.slices import UNPERTURBED, subgroups

PERTURBATION, SEVERITY = "perturbation", "severity"


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Some of the set's videos, and every entry's log loss on them; arrays have an item per entry."""

    column: str  # perturbation, severity, or a column of the labels
    name: str
    severity: int | None
    videos: int
    clusters: int
    log_loss: Floats
    low: Floats  # of the 95% interval; NaN if there is too little to draw from
    high: Floats
    above_rest: Floats  # log loss on these videos less that on all others; NaN if there are none
    told: Integers  # 1 if it is surely higher, -1 surely lower, 0 if it cannot be told


@dataclass(frozen=True, kw_only=True)
class Profiles:
    """Every entry's strengths and weaknesses; tuples have an item per entry."""

    cuts: tuple[Cut, ...]
    calibration: tuple[tuple[CalibrationBin, ...], ...]
    calibration_error: tuple[float, ...]
    brier: tuple[BrierParts, ...]
    curve_severities: tuple[int, ...]  # the strongest severity of a video; 0 is unperturbed
    curve: Floats  # (severities, entries): log loss
    curve_area: tuple[float, ...] | None  # mean height of the curve; None with fewer than two severities


def profiles_of(given: BoardInput, columns: Sequence[int]) -> Profiles:
    """Describe entries.

    Args:
        given: The answers of all.
        columns: Which entries of it, in the order wanted.
    """
    chosen = list(columns)
    losses, probability = given.losses[:, chosen], given.probability[:, chosen]
    bins = tuple(calibration_bins(given.fake, one) for one in probability.T)
    severities, curve = _curve(given, losses)
    return Profiles(
        cuts=tuple(_cuts(given, losses)),
        calibration=bins,
        calibration_error=tuple(calibration_error(one) for one in bins),
        brier=tuple(brier_parts(given.fake, one) for one in probability.T),
        curve_severities=severities,
        curve=curve,
        curve_area=_area(severities, curve) if len(severities) > 1 else None,
    )


def worst_cuts(profiles: Profiles, entry: int) -> tuple[Cut, ...]:
    """Return, of each column, the cut on which an entry surely does worse than on the rest, if there is one.

    "Surely" is at 5% over all cuts of the column (Bonferroni): the worst of many groups looks bad by chance.
    """
    found: dict[str, Cut] = {}
    for cut in profiles.cuts:
        if cut.told[entry] > 0:
            before = found.get(cut.column)
            if before is None or cut.above_rest[entry] > before.above_rest[entry]:
                found[cut.column] = cut
    return tuple(found.values())


def _cuts(given: BoardInput, losses: Floats) -> Iterator[Cut]:
    by_column: dict[str, list[tuple[str, int | None, Integers]]] = {}
    for (name, severity), shown in _by_perturbation(given).items():
        by_column.setdefault(PERTURBATION, []).append((name, severity, np.array(shown)))
    strongest = _strongest(given)
    levels = np.unique(strongest)
    if levels.size > 1:
        by_column[SEVERITY] = [
            (f"severity {level}", int(level), np.flatnonzero(strongest == level)) for level in levels
        ]
    for column, groups in subgroups(given.facts.cells).items():
        by_column[column] = [(name, None, np.array(places)) for name, places in groups.items()]
    for column, rows in by_column.items():
        for name, severity, videos in rows:
            yield _cut(given, losses, column, (name, severity), videos, comparisons=len(rows))


def _cut(
    given: BoardInput,
    losses: Floats,
    column: str,
    key: tuple[str, int | None],
    videos: Integers,
    *,
    comparisons: int,
) -> Cut:
    inside = losses[videos]
    means = inside.mean(axis=0)
    sampling = _part(given.sampling, videos)
    nothing = np.full(means.size, np.nan)
    low, high, above, told = nothing, nothing, nothing, np.zeros(means.size, dtype=np.int64)
    if sampling.enough:
        low, high = skewed_bounds(means, spread_of(excess_of(inside, sampling), sampling))
        low = np.maximum(low, 0.0)
    rest = against_rest(losses, videos, given.sampling, comparisons=comparisons)
    if rest is not None:
        above, told = rest.above, rest.told
    return Cut(
        column=column,
        name=key[0],
        severity=key[1],
        videos=int(videos.size),
        clusters=sampling.clusters,
        log_loss=means,
        low=low,
        high=high,
        above_rest=above,
        told=told,
    )


def _part(sampling: Sampling, videos: Integers) -> Sampling:
    """Return how some of the videos are drawn: their clusters, in the strata they have."""
    kept, cluster = np.unique(sampling.cluster[videos], return_inverse=True)
    _, stratum = np.unique(sampling.stratum[kept], return_inverse=True)
    return Sampling(
        cluster=np.asarray(cluster, dtype=np.int64),
        stratum=np.asarray(stratum, dtype=np.int64),
        unit=sampling.unit,
    )


def _by_perturbation(given: BoardInput) -> dict[tuple[str, int | None], list[int]]:
    found: dict[tuple[str, int | None], list[int]] = {}
    for index, applied in enumerate(given.facts.perturbations):
        for name, severity in (applied or {UNPERTURBED: 0}).items():
            found.setdefault((name, None), []).append(index)
            if applied:
                found.setdefault((name, severity), []).append(index)
    names = {name for name, _ in found}
    return {} if names <= {UNPERTURBED} else dict(_sortable(found))


def _sortable(
    found: dict[tuple[str, int | None], list[int]],
) -> Iterator[tuple[tuple[str, int | None], list[int]]]:
    for key in sorted(found, key=lambda key: (key[0], -1 if key[1] is None else key[1])):
        yield key, found[key]


def _strongest(given: BoardInput) -> Integers:
    applied = given.facts.perturbations or ({},) * given.fake.size
    return np.array([max(one.values(), default=0) for one in applied], dtype=np.int64)


def _curve(given: BoardInput, losses: Floats) -> tuple[tuple[int, ...], Floats]:
    strongest = _strongest(given)
    levels = np.unique(strongest)
    heights = np.array([losses[strongest == level].mean(axis=0) for level in levels])
    return tuple(int(level) for level in levels), heights.reshape(levels.size, losses.shape[1])


def _area(severities: tuple[int, ...], curve: Floats) -> tuple[float, ...]:
    """Return the mean height of the curve of log loss over severity, by trapezes: lower is more robust."""
    steps = np.diff(np.array(severities, dtype=np.float64))
    areas = (steps[:, None] * (curve[1:] + curve[:-1]) / 2.0).sum(axis=0) / steps.sum()
    return tuple(float(one) for one in areas)
