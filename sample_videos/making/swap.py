"""Face swaps: another person's face, bent to this one's landmarks, coloured like it and blended in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sample_videos.making.compose import (
    BLENDS,
    ColourStatistics,
    colour_statistics,
    feather_of,
    outline,
    polygon_mask,
    smooth_statistics,
    transfer_colour,
)
from sample_videos.making.geometry import Image, face_triangles, mesh_map, remap
from sample_videos.making.layout import (
    INNER_LIPS,
    JAW,
    LEFT_EYE,
    MOUTH,
    RIGHT_EYE,
    Points,
    similarity,
    transform,
)
from sample_videos.making.mean_face import MEAN_FACE


@dataclass(frozen=True, kw_only=True)
class SwapSettings:
    """How a face is swapped.

    Attributes:
        shape: how much of the donor's own shape is kept: 0 takes the target's landmarks as they are.
        colour: how far the donor's colours are moved to the target's.
        blend: a name in `compose.BLENDS`.
        feather: width of the soft border, in distances between the eyes.
        forehead: how far up the swap goes, see `compose.outline`.
    """

    shape: float = 0.25
    colour: float = 1.0
    blend: str = "poisson"
    feather: float = 0.25
    forehead: float = 0.45


def shared_shape(points: Points, donor: Points, share: float) -> Points:
    """The target's landmarks, moved by `share` towards the donor's laid over them; the jaw stays.

    The jaw stays because the picture around it is the target's.
    """
    laid = transform(similarity(donor, points), donor)
    weight = np.full((len(points), 1), share, dtype=np.float32)
    weight[JAW] = 0
    return (points + (laid - points) * weight).astype(np.float32)


def warped_donor(frame: Image, points: Points, donor: Image, donor_points: Points, *, shape: float) -> Image:
    """The donor's picture bent so that its landmarks lie on the target's, in the target's frame size."""
    goal = shared_shape(points, donor_points, shape)
    mapping = mesh_map(donor_points, goal, face_triangles(), height=frame.shape[0], width=frame.shape[1])
    return remap(donor, mapping)


def lay_over(
    frame: Image,
    points: Points,
    face: Image,
    settings: SwapSettings,
    *,
    colours: tuple[ColourStatistics, ColourStatistics] | None = None,
) -> Image:
    """A face that already lies in place, coloured like the frame's own and blended over it.

    Args:
        frame: target frame, H × W × 3 BGR.
        points: its landmarks.
        face: picture of the frame's size that holds the new face where the old one is.
        settings: see `SwapSettings`.
        colours: statistics of `face` and of the frame, where the caller smoothed them over a clip; taken
            from this frame alone otherwise.
    """
    height, width = frame.shape[:2]
    border = outline(points, forehead=settings.forehead)
    mask = polygon_mask(border, height=height, width=width, feather=feather_of(points, settings.feather))
    source, target = colours or (colour_statistics(face, mask), colour_statistics(frame, mask))
    coloured = transfer_colour(face, source, target, amount=settings.colour)
    return BLENDS[settings.blend](coloured, frame, mask)


def swap_face(
    frame: Image, points: Points, donor: Image, donor_points: Points, settings: SwapSettings
) -> Image:
    """One frame with the donor's face in place of its own; the donor frame may have any size."""
    face = warped_donor(frame, points, donor, donor_points, shape=settings.shape)
    return lay_over(frame, points, face, settings)


def expression(points: Points) -> npt.NDArray[np.float64]:
    """Landmarks in the mean face's frame, mouth and eyes weighted up: what two frames should agree in."""
    local = transform(similarity(points, MEAN_FACE), points).astype(np.float64)
    weight = np.ones((len(points), 1))
    weight[MOUTH] = 2.0
    weight[INNER_LIPS] = 3.0
    weight[LEFT_EYE] = weight[RIGHT_EYE] = 2.0
    return (local * weight).ravel()


def match_frames(target: Sequence[Points], donors: Sequence[Points], *, jump: float = 0.3) -> list[int]:
    """For each target frame, the donor frame of the most alike expression, in runs that play on.

    Viterbi over the donor frames: going to the next frame, one back or staying costs nothing, any jump costs
    `jump` (in squared distance per landmark of the mean face's unit, its height being about 1).
    Each person's own mean is taken off first, so that expressions are compared and not faces.
    """
    a = np.stack([expression(points) for points in target])
    b = np.stack([expression(points) for points in donors])
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    cost = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    total = cost[0].copy()
    came_from = np.zeros(cost.shape, dtype=np.int64)
    for step in range(1, len(cost)):
        best = np.full(len(total), int(total.argmin()))
        best_cost = np.full(len(total), total.min() + jump)
        for shift in (1, 0, -1):
            near = np.clip(np.arange(len(total)) - shift, 0, len(total) - 1)
            better = total[near] < best_cost
            best[better], best_cost[better] = near[better], total[near][better]
        came_from[step], total = best, best_cost + cost[step]
    path = [int(total.argmin())]
    for step in range(len(cost) - 1, 0, -1):
        path.append(int(came_from[step][path[-1]]))
    return path[::-1]


def fade_jumps(path: Sequence[int], *, fade: int = 3) -> list[tuple[int, int, float]]:
    """For each frame two donor frames and the weight of the second, so that jumps become cross-fades.

    A jump is a step of more than one frame. `fade` frames on each side of it take part.
    """
    mixed = [(index, index, 0.0) for index in path]
    for step in range(1, len(path)):
        if abs(path[step] - path[step - 1]) <= 1:
            continue
        for frame in range(max(0, step - fade), min(len(path), step + fade)):
            weight = (frame - step + fade + 0.5) / (2 * fade)
            before, after = min(frame, step - 1), max(frame, step)
            mixed[frame] = (path[before], path[after], weight)
    return mixed


def swap_clip(
    frames: Sequence[Image],
    track: Sequence[Points],
    donors: Sequence[Image],
    donor_track: Sequence[Points],
    settings: SwapSettings,
) -> list[Image]:
    """A clip with the donor's face throughout, donor frames chosen by `match_frames`, colours smoothed."""
    mixed = fade_jumps(match_frames(track, donor_track))
    warped: list[Image] = []
    statistics: list[tuple[ColourStatistics, ColourStatistics]] = []
    for frame, points, (first, second, weight) in zip(frames, track, mixed, strict=True):
        face = warped_donor(frame, points, donors[first], donor_track[first], shape=settings.shape)
        if second != first:
            other = warped_donor(frame, points, donors[second], donor_track[second], shape=settings.shape)
            face = np.round(face * (1 - weight) + other * weight).astype(np.uint8)
        border = outline(points, forehead=settings.forehead)
        mask = polygon_mask(border, height=frame.shape[0], width=frame.shape[1], feather=0)
        warped.append(face)
        statistics.append((colour_statistics(face, mask), colour_statistics(frame, mask)))
    sources = smooth_statistics([pair[0] for pair in statistics], 8.0)
    targets = smooth_statistics([pair[1] for pair in statistics], 8.0)
    return [
        lay_over(frame, points, face, settings, colours=(source, target))
        for frame, points, face, source, target in zip(frames, track, warped, sources, targets, strict=True)
    ]
