"""Follows persons through a stretch of frames.

Greedy linking by overlap is enough here: the frames of a stretch are about 0.13 s apart, and a wrong link
costs one mean over frames, not an identity.

Not covered: persons who cross each other, cuts inside a stretch (they end a track, as they should).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .faces import Box

LINK_OVERLAP = 0.25  # intersection over union below which two boxes are two persons
GAP_FRAMES = 4  # a track survives this many frames without a detection


@dataclass(kw_only=True)
class Track:
    """One person: boxes by frame number, growing while it is linked."""

    boxes: dict[int, Box] = field(default_factory=dict)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    left, top = np.maximum(a[:2], b[:2])
    right, bottom = np.minimum(a[:2] + a[2:], b[:2] + b[2:])
    common = max(0.0, float(right - left)) * max(0.0, float(bottom - top))
    union = float(a[2] * a[3] + b[2] * b[3]) - common
    return common / union if union > 0 else 0.0


def link(sightings: Sequence[tuple[int, Sequence[Box]]]) -> list[Track]:
    """Links the boxes of (frame number, boxes) pairs, in order of frame, into tracks; best overlaps first.

    Every box lands in exactly one track; a track has at most one box per frame.
    """
    tracks: list[Track] = []
    for frame, boxes in sightings:
        live = [t for t in tracks if frame - max(t.boxes) <= GAP_FRAMES]
        pairs = sorted(
            (
                (overlap(track.boxes[max(track.boxes)], box), i, j)
                for i, track in enumerate(live)
                for j, box in enumerate(boxes)
            ),
            key=lambda pair: (-pair[0], pair[1], pair[2]),
        )
        used_tracks: set[int] = set()
        used_boxes: set[int] = set()
        for score, i, j in pairs:
            if score < LINK_OVERLAP or i in used_tracks or j in used_boxes:
                continue
            live[i].boxes[frame] = boxes[j]
            used_tracks.add(i)
            used_boxes.add(j)
        tracks += [Track(boxes={frame: box}) for j, box in enumerate(boxes) if j not in used_boxes]
    return tracks
