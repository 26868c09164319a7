"""From videos of real people to face crops: run once per training.

    python submission/training/prepare.py --videos CLIPS sample_videos/public --cache CROPS

Decoding and face finding are the slow half of training on a CPU, and the same for every epoch; so they are
done once. One .npz per clip: `crops` (n, 256, 256, 3) RGB uint8 with a generous margin (training cuts smaller
squares out of them at random), `landmarks` (n, 5, 2) in pixels of the crop, `side` (n,) the side of the
square in the video's own pixels, `identity` () who is seen.

Where a folder has a `labels.csv` (`filename,label[,identity]`), only its real clips are taken, and with
`--only` only those of the people named: a person who is to be judged later must not be trained on.

Only the largest face of a frame is taken, and frames on which YuNet's first step finds none are left out.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

PACKAGE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PACKAGE))

from detector.faces import FaceFinder, cut, square_around  # noqa: E402  (the package is no installed module)

CROP = 256  # pixels
MARGIN = 1.9  # of the face box: room for random squares of margin 1.2 to 1.55 around the face
FRAMES = 96  # per clip, evenly spaced
SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi"}


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
            picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
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


def real_clips(
    folder: Path, identities: Mapping[str, str], only: Sequence[str] = ()
) -> Iterator[tuple[Path, str]]:
    """(clip, identity) of every real clip of a folder, in order of name.

    Args:
        folder: of videos; its `labels.csv`, where there is one, says which are real and who is seen.
        identities: clip name to identity; before what `labels.csv` says. A clip that neither names is an
            identity of its own.
        only: identities to take; all where empty.
    """
    labels = folder / "labels.csv"
    known: dict[str, dict[str, str]] | None = None
    if labels.is_file():
        with labels.open(newline="") as file:
            known = {row["filename"]: row for row in csv.DictReader(file)}
    for video in sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES):
        row = known.get(video.name) if known is not None else {}
        if row is None or float(row.get("label", 0)) != 0:
            continue
        identity = identities.get(video.stem) or row.get("identity") or video.stem
        if not only or identity in only:
            yield video, identity


def main() -> None:
    """Prepares every real clip of the folders; clips already prepared are left as they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--videos", type=Path, nargs="+", required=True, help="folders of real clips")
    parser.add_argument(
        "--cache", type=Path, required=True, help="where the crops go: outside the repository"
    )
    parser.add_argument("--identities", type=Path, help="JSON: clip name to identity, where clips share one")
    parser.add_argument("--only", nargs="+", default=[], help="identities to take; all where not given")
    parser.add_argument("--frames", type=int, default=FRAMES, help="per clip")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    identities = json.loads(arguments.identities.read_text()) if arguments.identities else {}
    clips = [clip for folder in arguments.videos for clip in real_clips(folder, identities, arguments.only)]
    if not clips:
        sys.exit(f"no real clip in {', '.join(map(str, arguments.videos))}")
    finder = FaceFinder(PACKAGE)
    for video, identity in tqdm(clips, unit="clip"):
        target = arguments.cache / f"{video.stem}.npz"
        if target.exists():
            continue
        found = crops_of(video, finder, frames=arguments.frames)
        partial = target.with_suffix(".part.npz")
        np.savez(partial, allow_pickle=False, identity=np.asarray(identity), **found)
        partial.rename(target)
        tqdm.write(f"{video.name}: {len(found['crops'])} crops of {identity}")


if __name__ == "__main__":
    main()
