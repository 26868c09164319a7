"""From clips of real people to face crops, at their own resolution: what fakes are forged from.

    python -m training.prepare --clips FOLDER --cache CACHE

One .npz per real clip in CACHE/faces: `crops` (WebP, see album.py) of FACE_SIDE pixels with a generous
margin, `landmarks` (n, 5, 2) in pixels of the crop. Clips that are there are left as they are.

Only the largest face of a frame is taken, and frames on which YuNet's first step finds none are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from detector.faces import FaceFinder, cut, square_around
from numpy.typing import NDArray
from tqdm import tqdm

from . import album
from .clips import read_clips
from .fakes import Crop
from .forge import FACE_MARGIN, FACE_SIDE
from .places import PACKAGE

FRAMES = 14  # per clip, evenly spaced


def crops_of(
    video: Path, finder: FaceFinder, *, frames: int = FRAMES
) -> tuple[list[Crop], NDArray[np.float32]]:
    """The largest face of evenly spaced frames of a video, decoded from start to end, and its landmarks."""
    crops, landmarks = [], []
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        total = stream.frames or frames
        wanted = set(np.linspace(0, total - 1, min(frames, total)).round().astype(int).tolist())
        for number, frame in enumerate(container.decode(stream)):
            if number not in wanted:
                continue
            picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            finder.start_video()
            faces = finder.find(picture)
            if not faces:
                continue
            left, top, side = square_around(faces[0].box, FACE_MARGIN)
            crops.append(cut(picture, (left, top, side), FACE_SIDE))
            landmarks.append((faces[0].landmarks - [left, top]) * (FACE_SIDE / side))
    return crops, np.asarray(landmarks, np.float32).reshape(-1, 5, 2)


def main(command_line: Sequence[str] | None = None) -> None:
    """Prepares every real clip of the folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="folders of clips: see clips.py")
    parser.add_argument("--cache", type=Path, required=True, help="outside the package and the repository")
    parser.add_argument("--frames", type=int, default=FRAMES, help="per clip")
    arguments = parser.parse_args(command_line)
    folder = arguments.cache / "faces"
    folder.mkdir(parents=True, exist_ok=True)
    clips = [clip for clip in read_clips(arguments.clips) if clip.label == 0]
    if not clips:
        sys.exit(f"no real clip in {', '.join(map(str, arguments.clips))}: fakes are made from real ones")
    finder = FaceFinder(PACKAGE)
    for clip in tqdm(clips, unit="clip", desc="faces"):
        target = folder / f"{clip.name}.npz"
        if target.exists():
            continue
        crops, landmarks = crops_of(clip.video, finder, frames=arguments.frames)
        album.save(target, {**album.pack("crops", crops), "landmarks": landmarks})


if __name__ == "__main__":
    main()
