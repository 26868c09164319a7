"""H.264 of field pictures (PAFF), which no free encoder writes: every macroblock is stored as plain samples.

Enough of Rec. ITU-R H.264 for that: 7.3.2 (parameter sets), 7.3.3 (slice header), 7.3.5 (macroblock, I_PCM),
7.4.1 (emulation prevention). A camcorder's AVCHD is made so: some pictures as frames, others as two fields.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SEQUENCE, PICTURE, FIRST, OTHER = 0x67, 0x68, 0x65, 0x41  # NAL unit headers, all of reference pictures
LOG2_NUMBERS = 8  # bits of frame_num and pic_order_cnt_lsb
PCM_IN_I_SLICE, I_SLICES = 25, 7
Plane = NDArray[np.uint8]


class Bits:
    """A bit string, the highest bit of each number first."""

    def __init__(self) -> None:
        self.text = ""

    def put(self, width: int, value: int) -> Bits:
        """Append u(width)."""
        self.text += f"{value:0{width}b}"
        return self

    def golomb(self, *values: int) -> Bits:
        """Append each as ue(v)."""
        for value in values:
            code = f"{value + 1:b}"
            self.text += "0" * (len(code) - 1) + code
        return self

    def ended(self) -> bytes:
        """With the stop bit."""
        return self._bytes(f"{self.text}1")

    def aligned(self) -> bytes:
        """Filled up with zeros."""
        return self._bytes(self.text)

    def _bytes(self, text: str) -> bytes:
        text += "0" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big")


def unit(header: int, content: bytes) -> bytes:
    """An Annex B NAL unit."""
    guarded = re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", content)
    return b"\0\0\0\1" + bytes([header]) + guarded


def parameters(width: int, height: int) -> bytes:
    """Sequence and picture parameter set. The height is a multiple of 32, the width of 16."""
    first = Bits().put(8, 77).put(8, 0).put(8, 40)  # Main profile, level 4
    first.golomb(0, LOG2_NUMBERS - 4, 0, LOG2_NUMBERS - 4, 1).put(1, 0)
    first.golomb(width // 16 - 1, height // 32 - 1)
    first.put(1, 0).put(1, 0).put(1, 1).put(2, 0)  # fields allowed, none adaptive; nothing cropped, no VUI
    second = Bits().golomb(0, 0).put(2, 0).golomb(0, 0, 0).put(3, 0).golomb(0, 0, 0).put(3, 0b100)
    return unit(SEQUENCE, first.ended()) + unit(PICTURE, second.ended())


def picture(planes: tuple[Plane, Plane, Plane], number: int, order: int, field: str = "") -> bytes:
    """One coded picture: a frame, or the "top" or "bottom" field of one."""
    head = Bits().golomb(0, I_SLICES, 0).put(LOG2_NUMBERS, number).put(1, int(bool(field)))
    if field:
        head.put(1, int(field == "bottom"))
    first = order == 0
    if first:
        head.golomb(0)
    head.put(LOG2_NUMBERS, order).put(2 if first else 1, 0).golomb(0, 1)  # nothing marked; no deblocking
    start = head.golomb(PCM_IN_I_SLICE).aligned()
    between = Bits().golomb(PCM_IN_I_SLICE).aligned()
    return unit(FIRST if first else OTHER, start + between.join(_macroblocks(planes)) + b"\x80")


def _macroblocks(planes: tuple[Plane, Plane, Plane]) -> Iterator[bytes]:
    height, width = planes[0].shape
    for row in range(height // 16):
        for column in range(width // 16):
            yield b"".join(
                plane[row * side : (row + 1) * side, column * side : (column + 1) * side].tobytes()
                for plane, side in zip(planes, (16, 8, 8), strict=True)
            )


@dataclass(frozen=True, kw_only=True)
class FieldCoded:
    """The raw 4:2:0 pictures of a clip as H.264 whose pictures are fields, or frames and fields by turns."""

    size: tuple[int, int]
    top_first: bool
    mixed: bool = False
    container: str

    def __call__(self, content: bytes, rng: np.random.Generator) -> bytes:
        """Code and pack: both fields of a frame are one packet, but for raw H.264, which has none."""
        coded = list(self._frames(content))
        if self.container == "h264":
            return b"".join(coded)
        with tempfile.TemporaryDirectory() as folder:
            raw, path = Path(folder) / "raw.h264", Path(folder) / "packed"
            raw.write_bytes(b"".join(coded))
            with (
                av.open(str(raw), format="h264") as source,
                av.open(str(path), "w", format=self.container) as output,
            ):
                stream = output.add_stream_from_template(source.streams.video[0])
                for index, frame in enumerate(coded):
                    packet: av.Packet[av.VideoStream] = av.Packet(frame)
                    packet.stream, packet.time_base = stream, Fraction(1, 25)
                    packet.pts = packet.dts = index
                    packet.duration, packet.is_keyframe = 1, index == 0
                    output.mux(packet)
            return path.read_bytes()

    def _frames(self, content: bytes) -> Iterator[bytes]:
        width, height = self.size
        fields = ((0, "top"), (1, "bottom")) if self.top_first else ((1, "bottom"), (0, "top"))
        raw = np.frombuffer(content, np.uint8).reshape(-1, width * height * 3 // 2)
        for index, flat in enumerate(raw):
            luma = flat[: width * height].reshape(height, width)
            chroma = flat[width * height :].reshape(2, height // 2, width // 2)
            planes = luma, chroma[0], chroma[1]
            head = parameters(width, height) if index == 0 or self.container == "h264" else b""
            if self.mixed and index % 3 == 0:
                yield head + picture(planes, index, 2 * index)
                continue
            halves = (
                picture(tuple(plane[first::2] for plane in planes), index, 2 * index + second, name)  # type: ignore[arg-type]  # three of them
                for second, (first, name) in enumerate(fields)
            )
            yield head + b"".join(halves)
