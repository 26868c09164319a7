"""The clip that perturbations are timed on: a face that a detector finds, over texture, with faint noise."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np


def make_clip(path: Path, frames: int, first: int = 0) -> Path:
    """1920x1080, 30 frames/s: a textured background, a head that nods and speaks, noise; a tone.

    `first` is where in the story it begins, in frames.
    """
    rng = np.random.Generator(np.random.Philox(key=1))
    scene: Any = sum(
        cv2.resize(rng.random((1200 // step, 2000 // step, 3)), (2000, 1200), interpolation=2) * step
        for step in (2, 5, 20, 100)
    )
    scene = np.clip(scene / np.max(scene) * 255, 0, 255).astype(np.uint8)
    bank = (rng.standard_normal((1144, 1984, 1)) * 1.5).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "21"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        sound: Any = container.add_stream("aac", rate=48_000)
        for index in range(first, first + frames):
            x, y = round(30 + 20 * np.sin(index / 25)), round(30 + 8 * np.cos(index / 11))
            picture = scene[y : y + 1080, x : x + 1920].copy()
            draw_head(picture, (960 + round(80 * np.sin(index / 20)), 560), 6 * np.sin(index / 9), index % 14)
            grain = bank[(index * 7) % 64 :, (index * 13) % 64 :][:1080, :1920]
            grainy = np.clip(picture + grain, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grainy, "bgr24")))
        container.mux(stream.encode(None))
        # Over noise, low pitches louder as in speech: a pure tone is an odd case for AAC's coders.
        noise = np.convolve(rng.standard_normal(frames * 1600 + 1024), 0.85 ** np.arange(40), "same") * 0.04
        for start in range(0, frames * 1600, 1024):
            wave = 0.2 * np.sin(np.arange(start, start + 1024) / 20) + noise[start : start + 1024]
            frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]).astype(np.float32), "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def draw_head(picture: Any, centre: tuple[int, int], degrees: float, open_mouth: int) -> None:
    """A drawn face, 460 pixels wide, turned about its middle; BGR."""
    turn = cv2.getRotationMatrix2D((0, 0), -degrees, 4.9)[:, :2]

    def oval(place: tuple[float, float], axes: tuple[float, float], colour: tuple[int, int, int]) -> None:
        x, y = turn @ np.array(place) + np.array(centre)
        lengths = (max(1, round(axes[0] * 4.9)), max(1, round(axes[1] * 4.9)))
        cv2.ellipse(picture, (round(x), round(y)), lengths, degrees, 0, 360, colour, cv2.FILLED, cv2.LINE_AA)

    oval((0, -12), (56, 74), (30, 40, 60))
    oval((0, 5), (47, 62), (150, 178, 222))
    for side in (-1, 1):
        oval((side * 20, -8), (10, 5), (250, 250, 250))
        oval((side * 20, -8), (5, 5), (30, 35, 50))
        oval((side * 20, -20), (12, 2.5), (35, 45, 70))
    oval((0, 14), (7, 9), (125, 150, 200))
    oval((-4, 20), (2, 1.5), (60, 70, 120))
    oval((4, 20), (2, 1.5), (60, 70, 120))
    oval((0, 38), (17, 4 + open_mouth / 3), (70, 70, 180))
