"""Run inside the runtime image: what contestants' decoders make of the files beside a list. Prints JSON.

python inside.py FOLDER     (FOLDER holds list.json: [{"file": ..., "numbers": [...], "colours": {...}}, ...])
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"

from drawing import read

COLOUR_TOLERANCE = 12  # of 255: tells a wrong matrix, range or missing tone map


def opencv(path: str) -> Iterator[Any]:
    """Frames as `cv2.VideoCapture` gives them."""
    import cv2

    video = cv2.VideoCapture(path)
    while True:
        fine, frame = video.read()
        if not fine:
            return
        yield frame[..., ::-1]


def pyav(path: str) -> Iterator[Any]:
    """Frames as PyAV gives them, by `to_ndarray`."""
    import av

    with av.open(path) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def torchcodec(path: str) -> Iterator[Any]:
    """Frames as `torchcodec.decoders.VideoDecoder` gives them."""
    from torchcodec.decoders import VideoDecoder

    for frame in VideoDecoder(path, dimension_order="NHWC"):
        yield frame.numpy()


def decord(path: str) -> Iterator[Any]:
    """Frames as `decord.VideoReader` gives them."""
    from decord import VideoReader

    for frame in VideoReader(path):
        yield frame.asnumpy()


DECODERS: dict[str, tuple[str, Callable[[str], Iterator[Any]]]] = {
    "OpenCV": ("cv2", opencv),
    "PyAV": ("av", pyav),
    "torchcodec": ("torchcodec", torchcodec),
    "decord": ("decord", decord),
}


def look(decode: Callable[[str], Iterator[Any]], path: str, case: dict[str, Any]) -> str:
    """One word: "right", or the first thing that is wrong."""
    readings = []
    try:
        for picture in decode(path):
            readings.append(read(picture))
    except Exception as error:  # a decoder may raise whatever it likes
        if not readings:
            return f"refused ({type(error).__name__})"
    if not readings:
        return "no frame"
    ways = {one.orientation for one in readings if one.orientation}
    if ways - {"upright"}:
        return sorted(ways - {"upright"})[0]
    if [one.number for one in readings] != case["numbers"]:
        return "other frames"
    found = next((one.colours for one in readings if one.colours), {})
    wanted = case["colours"] if found else {}
    off = [abs(a - b) for name in wanted for a, b in zip(found[name], wanted[name], strict=True)]
    if max(off, default=0) > COLOUR_TOLERANCE:
        return "other colours"
    return "right"


def main() -> None:
    """Look at every file with every decoder that is there."""
    folder = Path(sys.argv[1])
    files = json.loads((folder / "list.json").read_text())
    there = {}
    for name, (module, decode) in DECODERS.items():
        try:
            importlib.import_module(module)
        except Exception:
            continue
        there[name] = decode
    rows = []
    for one in files:
        path = str(folder / one["file"])
        words = {name: look(decode, path, one) for name, decode in there.items()}
        rows.append({"file": one["file"], **words})
    print("RESULT " + json.dumps({"decoders": list(there), "rows": rows}))


if __name__ == "__main__":
    main()
