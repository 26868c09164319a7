"""Says how likely it is that a video is fake. Replace `judge`: it is an example that works, and knows nothing."""

from pathlib import Path

import cv2
import numpy as np

FRAMES = 16  # looked at in each video, evenly spread


class Predictor:
    def __init__(self, package: Path) -> None:
        """Called once, before the first video: load weights here, from `package / "weights.safetensors"`."""

    def predict(self, video: Path) -> float:
        """Called once for each video: return P(fake), a number from 0 to 1."""
        frames = read_frames(video, FRAMES)
        if not frames:
            raise ValueError("no frame can be decoded")  # counted and shown; a guess would hide it
        return float(np.mean([judge(frame) for frame in frames]))


def judge(frame: np.ndarray) -> float:
    """Return P(fake) of one frame, (height, width, 3), BGR. Here: blurred pictures are a little suspicious."""
    sharpness = cv2.Laplacian(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cv2.CV_64F).var()
    return 0.5 + 0.1 / (1.0 + sharpness / 100.0)


def read_frames(video: Path, count: int) -> list[np.ndarray]:
    """Read up to `count` frames in one pass; a header may claim more frames than the file holds."""
    capture = cv2.VideoCapture(str(video))
    step = max(1, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) // count)
    frames = []
    number = 0
    while len(frames) < count and capture.grab():
        if number % step == 0:
            there, frame = capture.retrieve()
            if there:
                frames.append(frame)
        number += 1
    capture.release()
    return frames
