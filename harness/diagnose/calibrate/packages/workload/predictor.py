"""The standard workload: what entries of this challenge spend their time on, in known amounts.

Runs inside a container, like any entry. Times are taken in here because the parts are told apart in here.
That is fine for comparing machines with our own program; no entry is ever timed this way.

One thread each: cores are compared, and how many there are is the limit's to say. Threads that wait for each
other would measure the machine's other work instead.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import timm
import torch

CALLS = 10  # detections in a round
BATCH = 4  # pictures of a face, as one forward pass


class Predictor:
    """Decodes, looks for faces and runs a network, each a known number of times."""

    def __init__(self, package: Path) -> None:
        torch.manual_seed(0)
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        # Weights do not change the time that a network takes; these are drawn, not fetched.
        network = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=1).eval()
        self.network = network.to(self.device)
        self.faces = torch.rand(BATCH, 3, 224, 224, device=self.device)
        self.detector = cv2.FaceDetectorYN.create(str(package / "detector.onnx"), "", (320, 180))
        noise = np.random.default_rng(0).integers(0, 256, (180, 320, 3), dtype=np.uint8)
        self.picture = cv2.GaussianBlur(noise, (9, 9), 3)

    def predict(self, video: Path) -> float:
        """Run one round and say what it took."""
        seconds = {}
        for name, work in (("decode", self._decode), ("detect", self._detect), ("network", self._forward)):
            started = time.perf_counter()
            work(video)
            seconds[name] = time.perf_counter() - started
        said = {"device": self.device, "seconds": seconds}
        sys.stderr.write(f"harness-calibration {json.dumps(said)}\n")
        sys.stderr.flush()
        return 0.5

    def _decode(self, video: Path) -> None:
        with av.open(str(video)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for frame in container.decode(video=0):
                frame.to_ndarray(format="rgb24")

    def _detect(self, video: Path) -> None:
        for _ in range(CALLS):
            self.detector.detect(self.picture)

    def _forward(self, video: Path) -> None:
        with torch.inference_mode():
            self.network(self.faces)
        if self.device == "cuda":
            torch.cuda.synchronize()
