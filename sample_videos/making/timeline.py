"""Slow random movement, so that a fake's parameters drift over a clip and never jump from frame to frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sample_videos.making.compose import smooth_over_time


def drift(rng: np.random.Generator, frames: int, *, sigma: float) -> npt.NDArray[np.float64]:
    """A smooth random curve of `frames` values in [-1, 1], wandering on a scale of `sigma` frames.

    Its largest magnitude is 1, so an amplitude that multiplies it is kept.
    """
    noise = rng.standard_normal(frames + int(8 * sigma) + 2)
    curve = smooth_over_time(noise, sigma)[int(4 * sigma) : int(4 * sigma) + frames]
    return np.asarray(curve / max(float(np.abs(curve).max()), 1e-9), dtype=np.float64)


def pulses(rng: np.random.Generator, frames: int, *, period: float) -> npt.NDArray[np.float64]:
    """Speech-like openings: raised cosines in [0, 1], about one in `period` frames, with pauses."""
    curve = np.zeros(frames)
    start = float(rng.uniform(0, period))
    while start < frames:
        length = period * float(rng.uniform(0.7, 1.3))
        height = float(rng.uniform(0.4, 1.0))
        phase = (np.arange(frames) - start) / length
        inside = (phase >= 0) & (phase <= 1)
        curve[inside] = np.maximum(curve[inside], height * 0.5 * (1 - np.cos(2 * np.pi * phase[inside])))
        start += length * float(rng.choice([0.9, 1.0, 1.8]))
    return curve
