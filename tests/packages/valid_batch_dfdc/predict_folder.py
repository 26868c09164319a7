"""A script as entrants of the 2020 contest wrote them: a folder in, a CSV out, 0.5 where a video cannot be read.

Nothing in it knows this harness.
"""

import argparse
import os

import cv2
import numpy as np
import pandas as pd


def predict(path):
    capture = cv2.VideoCapture(path)
    try:
        frames = []
        while len(frames) < 5:
            ok, frame = capture.read()
            if not ok:
                break
            frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
    finally:
        capture.release()
    if not frames:
        return 0.5
    return float(np.clip(np.mean(frames) / 255.0, 0.01, 0.99))


if __name__ == "__main__":
    parser = argparse.ArgumentParser("Predict test videos")
    arg = parser.add_argument
    arg("--test-dir", type=str, required=True, help="path to directory with videos")
    arg("--output", type=str, required=True, help="path to output csv")
    args = parser.parse_args()

    test_videos = sorted(x for x in os.listdir(args.test_dir) if x[-4:] == ".mp4")
    print("Predicting {} videos".format(len(test_videos)))
    predictions = [predict(os.path.join(args.test_dir, name)) for name in test_videos]

    submission_df = pd.DataFrame({"filename": test_videos, "label": predictions})
    submission_df.to_csv(args.output, index=False)
