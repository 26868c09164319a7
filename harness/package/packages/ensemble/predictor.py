"""Several members, each of which says P(fake); their mean in log-odds is the answer."""

import math
from pathlib import Path

import cv2
import numpy as np
from members import MEMBERS

FRAMES = 16


class Predictor:
    def __init__(self, package: Path) -> None:
        self.members = [member(package) for member in MEMBERS]

    def predict(self, video: Path) -> float:
        frames = read_frames(video, FRAMES)
        if not frames:
            raise ValueError("no frame can be decoded")
        odds = [log_odds(member(frames)) for member in self.members]
        return 1 / (1 + math.exp(-sum(odds) / len(odds)))


def log_odds(probability: float) -> float:
    inside = min(max(probability, 0.01), 0.99)  # a sure member that is wrong costs too much
    return math.log(inside / (1 - inside))


def read_frames(video: Path, count: int) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(video))
    frames = []
    while len(frames) < count:
        there, frame = capture.read()
        if not there:
            break
        frames.append(frame)
    capture.release()
    return frames
