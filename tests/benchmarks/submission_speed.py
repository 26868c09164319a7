"""How fast the reference entry is against the order of work that won in 2020, on the same clips, in one run.

    PYTHONPATH=submission python tests/benchmarks/submission_speed.py [--threads 2] > speed.json

The baseline does what the winning recipe did, plainly: decodes from start to end for 32 evenly spaced frames,
runs MTCNN (facenet-pytorch, whose wheel carries the weights) on each at half size, and gives the crops to one
member of the entry in one pass, the mean over frames being the answer. The backbone is the same.

Two questions: seconds per 10-second 1080p video, for the whole entry and by stage; and log loss of both on
sample_videos, clean, so that speed is not bought with answers. The videos are made here from sample videos,
one key frame per 8 s as is common, in two ways, for what a video shows decides what it costs: `scene` is like
a contest's (somebody before a cluttered wall, camera noise, 4 MB), `enlarged` fills the frame with one soft
face, the easiest case for a full decode and for MTCNN. Prints JSON. The runtime image has everything this
needs; elsewhere the wheel of facenet-pytorch is fetched by pip and unpacked (its pins are stale: it cannot be
installed).
"""

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.util
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
import training  # noqa: F401  (lets timm be imported beside a CPU build of torch)
from detector import decoding, faces, models, pooling
from predictor import Predictor

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "submission"


FACENET = "facenet-pytorch==2.6.0"
CLIPS = 3  # of 1080p
SECONDS = 10
RATE = 30
KEY_EVERY = 8 * RATE
WIDTH, HEIGHT = 1920, 1080
KINDS = ("scene", "enlarged")
SCENE_BITS_PER_SECOND = 3_200_000  # 4 MB
THINGS = 400  # on the wall
CAMERA_NOISE = 3.0  # grey levels
REPEATS = 3
BASELINE_FRAMES = 32
BASELINE_MARGIN = 1 / 3  # on each side, as the winner cut


class WinningRecipe:
    """32 frames by sequential decoding, MTCNN at half size on each, one pass, mean."""

    def __init__(self, member: Path, threads: int) -> None:
        mtcnn = importlib.import_module("facenet_pytorch").MTCNN
        self._mtcnn: Any = mtcnn(margin=0, thresholds=[0.7, 0.8, 0.8], device="cpu")
        self._model, self._config = models.load(member)
        torch.set_num_threads(threads)

    def predict(self, video: Path) -> float:
        """P(fake); 0.5 where no face is found, as all of the first five did."""
        crops = []
        for picture in self._frames(video):
            half = np.ascontiguousarray(picture[::2, ::2])
            boxes, _ = self._mtcnn.detect(half)
            if boxes is None:
                continue
            x0, y0, x1, y1 = (2 * float(v) for v in boxes[0])
            width, height = x1 - x0, y1 - y0
            square = faces.square_around((x0, y0, width, height), 1 + 2 * BASELINE_MARGIN)
            crops.append(faces.cut(picture, square, self._config.input_size))
        if not crops:
            return 0.5
        with torch.inference_mode():
            logits = self._model(models.to_tensor(np.stack(crops))).numpy()
        calibrated = logits / self._config.temperature + self._config.bias
        return pooling.clip(float((1 / (1 + np.exp(-calibrated))).mean()))

    @staticmethod
    def _frames(video: Path) -> list[faces.Picture]:
        pictures = []
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            wanted = set(np.linspace(0, max(0, stream.frames - 1), BASELINE_FRAMES).astype(int).tolist())
            for number, frame in enumerate(container.decode(stream)):
                if number in wanted:
                    pictures.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
        return pictures


def find_facenet(folder: Path) -> None:
    """Makes facenet-pytorch importable; fetched into `folder` where it is not installed."""
    if importlib.util.find_spec("facenet_pytorch"):
        return
    command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "-d", str(folder), FACENET]
    subprocess.run(command, check=True, stdout=sys.stderr)
    with zipfile.ZipFile(next(folder.glob("facenet_pytorch-*.whl"))) as wheel:
        wheel.extractall(folder / "facenet")
    sys.path.append(str(folder / "facenet"))


def make_clips(folder: Path, sources: Sequence[Path], kind: str) -> list[Path]:
    """Ten seconds of 1080p from each source, played to and fro; `kind` is "scene" or "enlarged"."""
    clips = []
    for number, source in enumerate(sources):
        with av.open(str(source)) as container:
            pictures = [
                np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)
            ]
        order = [*range(len(pictures)), *range(len(pictures) - 2, 0, -1)]
        frame_of = _scene(pictures, number) if kind == "scene" else pictures.__getitem__
        target = folder / f"{source.stem}.{kind}.mp4"
        with av.open(str(target), "w") as container:
            stream = container.add_stream("libx264", rate=RATE)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.codec_context.time_base = Fraction(1, RATE)
            stream.options = {"preset": "veryfast", "x264-params": f"keyint={KEY_EVERY}:scenecut=0"}
            if kind == "scene":
                stream.bit_rate = SCENE_BITS_PER_SECOND
            for shown in range(SECONDS * RATE):
                picture = frame_of(order[shown % len(order)])
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame = frame.reformat(width=WIDTH, height=HEIGHT, format="yuv420p")
                frame.pts, frame.time_base = shown, Fraction(1, RATE)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        clips.append(target)
    return clips


def _scene(pictures: Sequence[faces.Picture], seed: int) -> Callable[[int], faces.Picture]:
    """Somebody, two thirds as high as the picture, before a wall full of things, with camera noise."""
    rng = np.random.default_rng(seed)
    wall = np.full((HEIGHT, WIDTH, 3), rng.integers(90, 170, 3), np.uint8)
    for _ in range(THINGS):
        (x, y), (width, height) = rng.integers(0, (WIDTH, HEIGHT)), rng.integers(8, 160, 2)
        wall[y : y + height, x : x + width] = rng.integers(20, 235, 3)
    noises = [rng.normal(0, CAMERA_NOISE, (HEIGHT, WIDTH, 1)).astype(np.float32) for _ in range(4)]
    high = HEIGHT * 2 // 3
    wide = min(WIDTH, round(pictures[0].shape[1] * high / pictures[0].shape[0]))
    left = (WIDTH - wide) // 3

    def frame(at: int) -> faces.Picture:
        picture = wall.copy()
        picture[HEIGHT - high :, left : left + wide] = cv2.resize(pictures[at], (wide, high))
        return np.asarray((picture + noises[at % len(noises)]).clip(0, 255), np.uint8)

    return frame


def seconds_of(work: Callable[[Path], object], clips: Sequence[Path]) -> dict[str, float]:
    """Wall seconds per video: minimum, median and maximum over clips and repeats."""
    taken = []
    for _ in range(REPEATS):
        for clip in clips:
            start = time.perf_counter()
            work(clip)
            taken.append(time.perf_counter() - start)
    return {"min": min(taken), "median": statistics.median(taken), "max": max(taken)}


def stages(predictor: Predictor, clips: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Each stage of the entry alone, without the overlap of decoding and judging."""
    finder = faces.FaceFinder(PACKAGE)
    decoded = {clip: list(decoding.read_frames(clip)) for clip in clips}

    def detect(clip: Path) -> None:
        finder.start_video()
        for frame in decoded[clip]:
            finder.find(frame.picture)

    def judge(clip: Path) -> None:
        for model, config in predictor._members:
            crops = np.zeros((decoding.FRAMES, config.input_size, config.input_size, 3), np.uint8)
            with torch.inference_mode():
                model.predict(models.to_tensor(crops))

    return {
        "decode": seconds_of(lambda clip: list(decoding.read_frames(clip)), clips),
        "detect": seconds_of(detect, clips),
        "judge": seconds_of(judge, clips),
    }


def sample_losses(predict: Callable[[Path], float]) -> dict[str, float]:
    """Log loss on the clean sample videos, by set."""
    out = {}
    for name in ("public", "private"):
        folder = ROOT / "sample_videos" / name
        with (folder / "labels.csv").open(newline="") as file:
            rows = [(row["filename"], int(row["label"])) for row in csv.DictReader(file)]
        answers = [(predict(folder / filename), label) for filename, label in rows]
        out[name] = float(-np.mean([np.log(p if label else 1 - p) for p, label in answers]))
    return out


def main() -> None:
    """Prints the comparison as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--member", type=Path, help="of the baseline; default: the entry's first")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]  # before this adds its own
    predictor = Predictor(PACKAGE)
    videos: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        find_facenet(Path(name))
        sources = sorted((ROOT / "sample_videos" / "public").glob("*.mp4"))[:CLIPS]
        # In a process of its own, or its memory would be counted as the entry's.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            made = {kind: pool.submit(make_clips, Path(name), sources, kind).result() for kind in KINDS}
        predictor.predict(made["scene"][0])  # warm
        entry = {kind: seconds_of(predictor.predict, clips) for kind, clips in made.items()}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        recipe = WinningRecipe(
            arguments.member or PACKAGE / "weights" / "generated.safetensors", arguments.threads
        )
        for kind, clips in made.items():
            baseline = seconds_of(recipe.predict, clips)
            videos[kind] = {
                "bytes": [clip.stat().st_size for clip in clips],
                "entry": entry[kind],
                "entry_stages_alone": stages(predictor, clips),
                "baseline": baseline,
                "ratio_of_medians": baseline["median"] / entry[kind]["median"],
            }
    print(
        json.dumps(
            {
                "what": "seconds per 10-second 1080p video",
                "threads": arguments.threads,
                "load_before": load,
                "baseline_name": "winning recipe's order of work, same backbone",
                "videos": videos,
                "entry_peak_memory_bytes": peak,
                "sample_log_loss_clean": {
                    "entry": sample_losses(predictor.predict),
                    "baseline": sample_losses(recipe.predict),
                    "constant_half": float(np.log(2)),
                },
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
