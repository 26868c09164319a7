"""Recognises a copy of a video after re-encoding, resizing, a small crop, a mirror or a cut: by what moves.

A hash of still frames cannot tell two takes of one person before one wall from two copies of one take. So a
fingerprint keeps small grey pictures at fixed times, and two of them are compared by what is left when each
clip's mean picture is taken away: the motion, which copies share and other takes do not. The thresholds, and
the distances they were chosen from, are in docs/audit.md.

What it does not see through: perturbations that move or hide the picture (rotation, padding, overlays,
speed), clips with less than 1.5 s in common, and reuse of a still background.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import av
import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 24  # pixels: a face that fills half of the picture is 12 across, and a crop of 8% moves it by one
PICTURES_PER_SECOND = 4
PICTURES_MAX = 48  # the first twelve seconds
OVERLAP_MIN = 6  # pictures that two clips must share: 1.5 s
SMOOTHING = 0.7  # pixels: forgives the shifts that small crops make
STILL_LEVELS = 0.25  # grey levels of motion below which a clip is a still picture

# Measured: copies 0.82-1.00 (a nearly still clip under noise: 0.67), fakes and their real videos 0.84-1.00,
# other takes of one shot up to 0.69, other people up to 0.48. docs/audit.md has the table.
MOTION_MIN = 0.76
MEAN_PICTURE_MIN = 0.5
STILL_MEAN_PICTURE_MIN = 0.98

# All pairs are screened by matrix products; only these few are compared in full.
_SCREEN_MEAN_PICTURE = 0.4
_SCREEN_MOTION = 0.2
_SCREEN_SAME_SHOT = 0.9  # a cut copy: alike on the whole, not in step
_SCREEN_LENGTHS = (12, PICTURES_MAX)  # pictures, so that a short clip is found within a long one
_BLOCK = 512  # fingerprints at a time: bounds memory to some 60 MB per block

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Grey pictures (count, 24, 24), uint8, one every quarter of a second from the clip's first frame."""

    pictures: Pictures


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How alike two clips are: correlations in [-1, 1] at the mirror, crop and shift that fit best."""

    motion: float
    mean_picture: float
    mirrored: bool = False
    shift_seconds: float = 0.0  # how far into the first clip the second begins
    still: bool = False  # one of them moves too little to compare motion

    @property
    def same(self) -> bool:
        """Whether one is taken for a copy of the other."""
        if self.still:
            return self.mean_picture >= STILL_MEAN_PICTURE_MIN
        return self.mean_picture >= MEAN_PICTURE_MIN and self.motion >= MOTION_MIN


class FrameSampler:
    """Collects a fingerprint from decoded frames, given in order of presentation."""

    def __init__(self) -> None:
        self._pictures: list[Pictures] = []
        self._start: float | None = None

    @property
    def full(self) -> bool:
        """Whether further frames would change nothing."""
        return len(self._pictures) >= PICTURES_MAX

    def add(self, frame: av.VideoFrame, *, seconds: float) -> None:
        """Take a frame that is shown from `seconds` on, if a picture is due."""
        if self._start is None:
            self._start = seconds
        if not self.full and seconds - self._start >= len(self._pictures) / PICTURES_PER_SECOND:
            grey = np.rot90(frame.to_ndarray(format="gray"), round(frame.rotation / 90) % 4)
            small = cv2.resize(np.ascontiguousarray(grey), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            self._pictures.append(small.astype(np.uint8))

    def fingerprint(self) -> Fingerprint:
        """Return what was collected so far."""
        empty = np.zeros((0, SIDE, SIDE), dtype=np.uint8)
        return Fingerprint(pictures=np.stack(self._pictures) if self._pictures else empty)


def compare(first: Fingerprint, second: Fingerprint) -> Likeness:
    """Compare two clips in full: mirrored or not, at every shift in time, under small crops of either."""
    left = first.pictures.astype(np.float32)
    best = Likeness(motion=-1.0, mean_picture=-1.0)
    if min(len(first.pictures), len(second.pictures)) == 0:
        return best
    for mirrored in (False, True):
        right = (
            second.pictures[:, :, ::-1].astype(np.float32) if mirrored else second.pictures.astype(np.float32)
        )
        shift = max(
            _shifts(len(left), len(right)), key=lambda at: _likeness(left, right, at, mirrored).motion
        )
        for window in _WINDOWS:
            for pair in ((_crop(left, window), right), (left, _crop(right, window))):
                for at in {shift, 0}:
                    found = _likeness(*pair, at, mirrored)
                    best = max(best, found, key=lambda one: (one.same, one.motion, one.mean_picture))
    return best


def copies(
    left: Sequence[Fingerprint], right: Sequence[Fingerprint] | None = None
) -> Iterator[tuple[int, int, Likeness]]:
    """Yield every pair taken for copies: (index in `left`, index in `right`, likeness).

    Without `right`, the pairs within `left`, each once. All pairs are screened by matrix products first.
    """
    other = left if right is None else right
    for row in range(0, len(left), _BLOCK):
        rows = _Screen.of(left[row : row + _BLOCK])
        for column in range(0 if right is not None else row, len(other), _BLOCK):
            for i, j in rows.candidates(_Screen.of(other[column : column + _BLOCK])):
                if right is None and column + j <= row + i:
                    continue
                likeness = compare(left[row + i], other[column + j])
                if likeness.same:
                    yield row + i, column + j, likeness


@dataclass(frozen=True, kw_only=True)
class _Screen:
    """Unit vectors of many clips, so that one matrix product correlates them all; mirrored ones beside."""

    means: tuple[Floats, Floats]
    motions: tuple[tuple[Floats, Floats], ...]  # one pair for each of _SCREEN_LENGTHS

    @classmethod
    def of(cls, prints: Sequence[Fingerprint]) -> _Screen:
        both = [[one.pictures.astype(np.float32)[:, :, ::step] for one in prints] for step in (1, -1)]
        means = tuple(_rows([_centred(_mean(clip)) for clip in side]) for side in both)
        motions = tuple(
            tuple(_rows([_padded(_motion(clip[:length]), length) for clip in side]) for side in both)
            for length in _SCREEN_LENGTHS
        )
        return cls(means=(means[0], means[1]), motions=tuple((one[0], one[1]) for one in motions))

    def candidates(self, other: _Screen) -> list[tuple[int, int]]:
        found = np.zeros((len(self.means[0]), len(other.means[0])), dtype=np.bool_)
        for side in (0, 1):
            mean = self.means[0] @ other.means[side].T
            motion = np.max(
                [ours[0] @ theirs[side].T for ours, theirs in zip(self.motions, other.motions, strict=True)],
                axis=0,
            )
            still = (self._norm() == 0)[:, None] | (other._norm() == 0)[None, :]
            alike = (mean >= _SCREEN_MEAN_PICTURE) & ((motion >= _SCREEN_MOTION) | still)
            found |= alike | (mean >= _SCREEN_SAME_SHOT)
        return [(int(i), int(j)) for i, j in np.argwhere(found)]

    def _norm(self) -> Floats:
        return np.asarray(np.linalg.norm(self.motions[-1][0], axis=1), dtype=np.float32)


def _rows(vectors: Sequence[Floats]) -> Floats:
    """Stack as unit rows; a vector of nothing stays zero."""
    table = np.stack([vector.ravel() for vector in vectors])
    norms = np.linalg.norm(table, axis=1, keepdims=True)
    return np.where(norms > 1e-3, table / np.maximum(norms, 1e-3), 0).astype(np.float32)


def _padded(motion: Floats, length: int) -> Floats:
    whole = np.zeros((length, SIDE, SIDE), dtype=np.float32)
    whole[: len(motion)] = motion
    return whole


def _mean(clip: Floats) -> Floats:
    return clip.mean(axis=0) if len(clip) else np.zeros((SIDE, SIDE), dtype=np.float32)


def _centred(picture: Floats) -> Floats:
    return np.asarray(picture - picture.mean(), dtype=np.float32)


def _motion(clip: Floats) -> Floats:
    """Return what moves: the clip less its mean picture, smoothed, less each picture's mean (flicker)."""
    if not len(clip):
        return clip
    rest = clip - clip.mean(axis=0)
    rest = (
        cv2.GaussianBlur(rest.transpose(1, 2, 0), (0, 0), SMOOTHING)
        .reshape(SIDE, SIDE, -1)
        .transpose(2, 0, 1)
    )
    return np.asarray(rest - rest.mean(axis=(1, 2), keepdims=True), dtype=np.float32)


def _correlation(first: Floats, second: Floats) -> float:
    norms = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float((first * second).sum()) / norms if norms > 1e-6 else 0.0


def _shifts(first: int, second: int) -> list[int]:
    """Every shift, in pictures, at which the clips share enough of the shorter one."""
    needed = max(min(OVERLAP_MIN, first, second), min(first, second) // 2)
    return list(range(-(second - needed), first - needed + 1))


def _likeness(first: Floats, second: Floats, shift: int, mirrored: bool) -> Likeness:
    start, skipped = max(0, shift), max(0, -shift)
    count = min(len(first) - start, len(second) - skipped)
    left, right = first[start : start + count], second[skipped : skipped + count]
    ours, theirs = _motion(left), _motion(right)
    level = min(float(ours.std()), float(theirs.std()))
    return Likeness(
        motion=_correlation(ours, theirs),
        mean_picture=_correlation(_centred(_mean(left)), _centred(_mean(right))),
        mirrored=mirrored,
        shift_seconds=shift / PICTURES_PER_SECOND,
        still=level < STILL_LEVELS,
    )


@dataclass(frozen=True, kw_only=True)
class _Window:
    """A crop: its size as a share of the picture, and where it sits (0 left or top, 1 right or bottom)."""

    scale: float
    x: float = 0.5
    y: float = 0.5


_WINDOWS = (
    _Window(scale=1.0),
    *(_Window(scale=scale) for scale in (0.92, 0.84)),
    *(_Window(scale=scale, x=x, y=y) for scale in (0.92, 0.84) for x in (0.0, 1.0) for y in (0.0, 1.0)),
)


def _crop(clip: Floats, window: _Window) -> Floats:
    if window.scale == 1.0:
        return clip
    room = SIDE * (1 - window.scale)
    matrix = np.array(
        [[window.scale, 0, room * window.x], [0, window.scale, room * window.y]], dtype=np.float32
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cropped = [
        cv2.warpAffine(one, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for one in clip
    ]
    return np.stack(cropped).astype(np.float32)
