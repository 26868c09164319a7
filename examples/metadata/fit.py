"""Fits the weights of `predictor.py` on folders of clips (their tables: submission/training/clips.py).

PYTHONPATH=submission:examples/metadata python examples/metadata/fit.py --clips FOLDER --output model.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from container import describe
from sklearn.linear_model import LogisticRegression
from training.clips import read_clips


def main() -> None:
    """Write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    clips = read_clips(arguments.clips)
    rows = np.array([describe(clip.video) for clip in clips])
    labels = np.array([clip.label for clip in clips])
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    found = LogisticRegression(class_weight="balanced").fit((rows - mean) / spread, labels)
    model = {
        "mean": mean.round(5).tolist(),
        "spread": spread.round(5).tolist(),
        "weights": found.coef_[0].round(5).tolist(),
        "offset": round(float(found.intercept_[0]), 5),
        "clips": len(clips),
    }
    arguments.output.write_text(json.dumps(model, indent=1) + "\n")


if __name__ == "__main__":
    main()
