"""A notebook of the 2020 contest, exported as a script: it knows that site's paths and nothing else."""

import glob
import json
import os
import sys

import numpy as np
import pandas as pd

sys.path.insert(0, "/kaggle/input/helper-code")

from frames import read_frames  # noqa: E402  (as notebooks of 2020 did)

TEST_DIR = "/kaggle/input/deepfake-detection-challenge/test_videos/"
assert os.getcwd() == "/kaggle/working", os.getcwd()

with open("/kaggle/input/dfdc-weights/model.json") as f:
    weights = json.load(f)

submission = pd.read_csv(
    "/kaggle/input/deepfake-detection-challenge/sample_submission.csv", index_col="filename"
)
submission["label"] = 0.5
assert sorted(os.path.basename(p) for p in glob.glob(TEST_DIR + "*")) == sorted(submission.index)

os.makedirs("/kaggle/working/faces", exist_ok=True)
for filename in submission.index:
    frames = read_frames(os.path.join(TEST_DIR, filename), 5)
    if len(frames) == 0:
        continue
    np.save("/kaggle/working/faces/" + filename + ".npy", frames)
    features = np.array([frames.mean(), frames.std(), np.abs(np.diff(frames, axis=2)).mean(), 255.0]) / 255.0
    score = 1.0 / (1.0 + np.exp(-features.dot(weights["coefficients"])))
    submission.loc[filename, "label"] = np.clip(score, 0.01, 0.99)

submission.to_csv("submission.csv")
