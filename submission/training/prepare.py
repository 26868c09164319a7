"""From videos of real people to face crops: run once per folder of videos.

    python submission/training/prepare.py --videos FOLDER --cache FOLDER

Decoding and face finding are the slow half of training on a CPU, and the same for every epoch; so they are
done once. One .npz per clip: `crops` (n, 256, 256, 3) RGB uint8 with a generous margin (training cuts smaller
squares out of them at random), `landmarks` (n, 5, 2) in pixels of the crop, `side` (n,) the side of the
square in the video's own pixels.

Only the largest face of a frame is taken, and frames on which YuNet's first step finds none are left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

PACKAGE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PACKAGE))

from detector.faces import FaceFinder, cut, square_around  # noqa: E402  (the package is no installed module)

CROP = 256  # pixels
MARGIN = 1.9  # of the face box: room for random squares of margin 1.25 to 1.7 around the face
FRAMES = 48  # per clip, evenly spaced


def crops_of(video: Path, finder: FaceFinder, *, frames: int = FRAMES) -> dict[str, NDArray[np.generic]]:
    """Cuts the largest face out of evenly spaced frames of a video, decoded from start to end."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        total = stream.frames or frames
        wanted = set(np.linspace(0, total - 1, min(frames, total)).round().astype(int).tolist())
        crops, landmarks, sides = [], [], []
        for number, frame in enumerate(container.decode(stream)):
            if number not in wanted:
                continue
            picture = np.asarray(frame.to_ndarray(format="rgb24"))
            finder.start_video()
            faces = finder.find(picture)
            if not faces:
                continue
            left, top, side = square_around(faces[0].box, MARGIN)
            crops.append(cut(picture, (left, top, side), CROP))
            landmarks.append((faces[0].landmarks - [left, top]) * (CROP / side))
            sides.append(side)
    return {
        "crops": np.asarray(crops, np.uint8).reshape(-1, CROP, CROP, 3),
        "landmarks": np.asarray(landmarks, np.float32).reshape(-1, 5, 2),
        "side": np.asarray(sides, np.float32),
    }


def main() -> None:
    """Prepares every clip of a folder; clips already prepared are left as they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--videos", type=Path, required=True, help="folder of real clips")
    parser.add_argument(
        "--cache", type=Path, required=True, help="where the crops go: outside the repository"
    )
    parser.add_argument("--frames", type=int, default=FRAMES, help="per clip")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    finder = FaceFinder(PACKAGE)
    for video in tqdm(sorted(arguments.videos.glob("*.mp4")), unit="clip"):
        target = arguments.cache / f"{video.stem}.npz"
        if target.exists():
            continue
        found = crops_of(video, finder, frames=arguments.frames)
        partial = target.with_suffix(".part.npz")
        np.savez(partial, **found)  # type: ignore[arg-type]  # mypy reads ** as its other keywords
        partial.rename(target)
        tqdm.write(f"{video.name}: {len(found['crops'])} crops")


if __name__ == "__main__":
    main()
