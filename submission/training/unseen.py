"""A challenge of clips that a fold's detector never saw: not the person, the generator or the repository.

    python -m training.unseen --clips FOLDER --output UNSEEN --recipes sample_videos/recipes

Every clip, real or generated, goes through the same law: its face at FACE_PIXELS in a window that stands
still, SIDE x SIDE pixels, RATE frames per second, SECONDS long, one encoder at one bit rate, no sound and no
metadata. What a repository's size, rate, length and encoder were cannot be read off what comes out: `harness
audit` says whether anything but the picture still tells the label.

UNSEEN/foldN holds the clips that fold N's detector is judged on, as a challenge of three sets: `control`
(re-encoded only), `public` and `private` (by the recipes; the private one is seen in no training).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from detector.faces import FaceFinder, cut, square_around
from tqdm import tqdm

from .clips import FOLDS, Clip, read_clips, split
from .fakes import Crop
from .places import PACKAGE

SIDE = 224
WINDOW = 1.9  # in units of the face: about the tightest that the clips come in
RATE = 25
SECONDS = 3.0
BITS_PER_SECOND = 400_000
LOOKED_AT = 9  # frames in which the face is looked for
CHALLENGE = """\
# Made by training.unseen: clips of people, generators and repositories that this fold's detector never saw.
schema = 1
name = "unseen-{fold}"
title = "Unseen people, generators and repositories: fold {fold}"

[sets.public]
videos = "videos"
labels = "videos/labels.csv"
recipe = "public.toml"
seed = 11

[sets.private]
videos = "videos"
labels = "videos/labels.csv"
recipe = "private.toml"
seed = 12

[sets.control]
videos = "videos"
labels = "videos/labels.csv"
recipe = "clean"
seed = 13

[scoring]
failure_rule = "lenient"
"""


def pictures_of(video: Path) -> list[Crop]:
    """SECONDS of a clip at RATE frames per second: the nearest frame in time, the last one held."""
    pictures: list[Crop] = []
    times: list[float] = []
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            times.append(float(frame.time if frame.time is not None else len(times) / RATE))
            pictures.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            if times[-1] - times[0] > SECONDS:
                break
    wanted = np.arange(round(SECONDS * RATE)) / RATE
    nearest = np.abs(np.array(times)[None, :] - times[0] - wanted[:, None]).argmin(axis=1)
    return [pictures[i] for i in nearest]


def window_of(pictures: Sequence[Crop], finder: FaceFinder) -> tuple[float, float, float] | None:
    """The square around the middle of where the largest face was, for all pictures; None for no face."""
    boxes = []
    for number in np.linspace(0, len(pictures) - 1, LOOKED_AT).round().astype(int):
        finder.start_video()
        boxes += [face.box for face in finder.find(pictures[number])[:1]]
    return square_around(np.median(boxes, axis=0), WINDOW) if boxes else None


def encode(pictures: Sequence[Crop], path: Path) -> None:
    """H.264 at a set bit rate, one thread, no notes of the encoder."""
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = BITS_PER_SECOND
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, RATE)
        rate = BITS_PER_SECOND // 1000
        stream.options = {
            "preset": "veryfast",
            "x264-params": f"nal-hrd=cbr:vbv-maxrate={rate}:vbv-bufsize={rate}:force-cfr=1:filler=1",
        }
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def neutral_name(clip: Clip) -> str:
    """A name that says nothing: a collection's own numbers run by repository, and so by label."""
    return hashlib.sha256(f"{clip.repository}/{clip.name}".encode()).hexdigest()[:12]


def make(clips: Sequence[Clip], output: Path, recipes: Path, *, always: Sequence[str]) -> None:
    """Writes every fold's challenge; videos that are there are left as they are."""
    finder = FaceFinder(PACKAGE)
    for fold in range(FOLDS):
        _, held_out = split(clips, fold, always=always)
        videos = output / f"fold{fold}" / "videos"
        videos.mkdir(parents=True, exist_ok=True)
        rows = []
        for clip in tqdm(held_out, desc=f"fold {fold}", unit="clip"):
            target = videos / f"{neutral_name(clip)}.mp4"
            if not target.exists():
                pictures = pictures_of(clip.video)
                window = window_of(pictures, finder)
                if window is None:
                    tqdm.write(f"{clip.video.name}: no face, left out")
                    continue
                part = target.with_suffix(".part.mp4")
                encode([cut(picture, window, SIDE) for picture in pictures], part)
                part.rename(target)
            rows.append(
                (
                    target.name,
                    clip.label,
                    clip.generator if clip.label else "",
                    clip.recording,
                    clip.identity,
                    clip.repository,
                )
            )
        with (videos / "labels.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("filename", "label", "method", "source", "identity", "repository"))
            writer.writerows(sorted(rows))
        for name in ("public.toml", "private.toml"):
            shutil.copy2(recipes / name, output / f"fold{fold}" / name)
        (output / f"fold{fold}" / "challenge.toml").write_text(CHALLENGE.format(fold=fold))


def main(command_line: Sequence[str] | None = None) -> None:
    """Makes the challenges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="folders given to train.py")
    parser.add_argument("--always", nargs="+", default=[], help="as given to train.py")
    parser.add_argument("--recipes", type=Path, required=True, help="folder of public.toml and private.toml")
    parser.add_argument("--output", type=Path, required=True, help="a folder outside the repository")
    arguments = parser.parse_args(command_line)
    make(read_clips(arguments.clips), arguments.output, arguments.recipes, always=arguments.always)


if __name__ == "__main__":
    main()
