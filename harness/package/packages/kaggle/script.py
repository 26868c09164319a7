"""A script as that site ran it: videos in /kaggle/input, the table beside where it runs."""

import csv
from pathlib import Path

import cv2
import numpy as np

INPUT = Path("/kaggle/input/deepfake-detection-challenge")


def main() -> None:
    with open("submission.csv", "w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["filename", "label"])
        for video in sorted((INPUT / "test_videos").glob("*.mp4")):
            table.writerow([video.name, judge(video)])
            stream.flush()  # what is written counts even if the time runs out


def judge(video: Path, frames: int = 16) -> float:
    """Return P(fake). Replace it: blurred pictures are a little suspicious here, and nothing else is known."""
    capture = cv2.VideoCapture(str(video))
    sharpness = []
    while len(sharpness) < frames:
        there, frame = capture.read()
        if not there:
            break
        sharpness.append(cv2.Laplacian(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cv2.CV_64F).var())
    capture.release()
    return 0.5 + 0.1 / (1.0 + float(np.mean(sharpness)) / 100.0) if sharpness else 0.5


if __name__ == "__main__":
    main()
