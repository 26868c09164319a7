"""What a disk, a network or a careless tool does to a file: functions of its bytes and a seeded generator."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

EDIT_RATE = 1 << 16  # 1 in 16.16
Spoil = Callable[[bytes, np.random.Generator], bytes]


@dataclass(frozen=True)
class Truncated:
    """The file ends after this share."""

    share: float

    def __call__(self, content: bytes, rng: np.random.Generator) -> bytes:
        """Cut."""
        return content[: int(len(content) * self.share)]


@dataclass(frozen=True)
class Flipped:
    """This many bits are wrong, anywhere past the share that is spared."""

    bits: int
    spared: float = 0.0

    def __call__(self, content: bytes, rng: np.random.Generator) -> bytes:
        """Flip."""
        damaged = bytearray(content)
        first = int(len(content) * self.spared)
        for place in rng.integers(first, len(content), self.bits).tolist():
            damaged[place] ^= 1 << int(rng.integers(8))
        return bytes(damaged)


@dataclass(frozen=True)
class Blanked:
    """A stretch is zero."""

    start: float
    end: float

    def __call__(self, content: bytes, rng: np.random.Generator) -> bytes:
        """Overwrite."""
        first, last = int(len(content) * self.start), int(len(content) * self.end)
        return content[:first] + bytes(last - first) + content[last:]


@dataclass(frozen=True)
class WithoutBox:
    """A box of an MP4 is renamed, so that nobody finds it."""

    name: bytes

    def __call__(self, content: bytes, rng: np.random.Generator) -> bytes:
        """Rename the first."""
        place = content.index(self.name)
        return content[:place] + b"free" + content[place + 4 :]


@dataclass(frozen=True)
class Replaced:
    """Other bytes altogether."""

    content: bytes

    def __call__(self, content: bytes, rng: np.random.Generator) -> bytes:
        """Ignore what there was."""
        return self.content


@dataclass(frozen=True, kw_only=True)
class Appended:
    """The same clip once more, in another size, behind the first."""

    size: tuple[int, int]

    def __call__(self, content: bytes, rng: np.random.Generator) -> bytes:
        """Make the other half as the first was made."""
        from cases import MPEG2
        from clip import H264, Clip, make

        mpeg2, stream = content[:4] == b"\0\0\1\xb3", content[:1] == b"\x47"
        ext = "m2v" if mpeg2 else "ts" if stream else "h264"
        with tempfile.TemporaryDirectory() as folder:
            video = MPEG2 if mpeg2 else H264
            half = Clip(name="half", group="", ext=ext, size=self.size, frames=10, video=video, tracks=0)
            return content + make(half, Path(folder)).read_bytes()


@dataclass(frozen=True)
class Joined:
    """Another recording right behind the first, as `cat` joins them."""

    half: dict[str, object]  # of a clip

    def __call__(self, content: bytes, rng: np.random.Generator) -> bytes:
        """Make the other, and append it."""
        from clip import Clip, make

        with tempfile.TemporaryDirectory() as folder:
            return content + make(Clip(**self.half), Path(folder)).read_bytes()  # type: ignore[arg-type]


@dataclass(frozen=True)
class Continued:
    """Another recording behind the first in one file of any container, coded as it is."""

    half: dict[str, object]  # of a clip

    def __call__(self, content: bytes, rng: np.random.Generator) -> bytes:
        """Make the other, and let the ffmpeg program copy both."""
        from clip import FFMPEG, Clip, make

        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            other = make(Clip(**self.half), folder)  # type: ignore[arg-type]
            first, whole = folder / f"first{other.suffix}", folder / f"whole{other.suffix}"
            first.write_bytes(content)
            (folder / "list").write_text(f"file '{first}'\nfile '{other}'\n")
            command = [*FFMPEG, "-f", "concat", "-safe", "0", "-i", str(folder / "list"), "-c", "copy"]
            # In MP4 the parameters of the second picture travel in the stream, not in the header.
            inside = ["-bsf:v", "dump_extra"] if other.suffix == ".mp4" else []
            subprocess.run([*command, *inside, str(whole)], check=True, timeout=60)
            return whole.read_bytes()


@dataclass(frozen=True)
class Swapped:
    """Some bytes are others."""

    old: bytes
    new: bytes

    def __call__(self, content: bytes, rng: np.random.Generator) -> bytes:
        """Swap the first.

        Raises:
            ValueError: They are not there.
        """
        place = content.index(self.old)
        return content[:place] + self.new + content[place + len(self.old) :]


@dataclass(frozen=True)
class Edits:
    """An MP4 of one track plays these parts, each from a second and for so many seconds."""

    parts: tuple[tuple[float, float], ...]

    def __call__(self, content: bytes, rng: np.random.Generator) -> bytes:
        """Write another edit list (ISO/IEC 14496-12, 8.6.6) behind the samples, so that they do not move."""
        scales = [_timescale(content, name) for name in (b"mvhd", b"mdhd")]
        entries = b"".join(
            struct.pack(">IiI", round(seconds * scales[0]), round(start * scales[1]), EDIT_RATE)
            for start, seconds in self.parts
        )
        listed = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(self.parts)) + entries
        damaged = bytearray(content)
        start = damaged.index(b"elst") - 4
        size = int.from_bytes(damaged[start : start + 4], "big")
        damaged[start : start + size] = listed
        for name in (b"edts", b"trak", b"moov"):
            place = damaged.rfind(name, 0, start) - 4
            grown = int.from_bytes(damaged[place : place + 4], "big") + len(listed) - size
            damaged[place : place + 4] = grown.to_bytes(4, "big")
        seconds = sum(length for _, length in self.parts)
        for name, offset in ((b"mvhd", 20), (b"tkhd", 24)):
            place = damaged.index(name) + offset
            damaged[place : place + 4] = round(seconds * scales[0]).to_bytes(4, "big")
        return bytes(damaged)


def _timescale(content: bytes, name: bytes) -> int:
    place = content.index(name) + 16
    return int.from_bytes(content[place : place + 4], "big")


@dataclass(frozen=True)
class WithBox:
    """A further box in the sample entry of an MP4's picture, behind the one of this name."""

    behind: bytes
    box: bytes

    def __call__(self, content: bytes, rng: np.random.Generator) -> bytes:
        """Insert it, and let the boxes around it grow; the samples lie before them."""
        damaged = bytearray(content)
        start = damaged.index(self.behind) - 4
        place = start + int.from_bytes(damaged[start : start + 4], "big")
        damaged[place:place] = self.box
        for name in (b"avc1", b"hev1", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
            found = damaged.rfind(name, 0, place)
            if found >= 0:
                size = int.from_bytes(damaged[found - 4 : found], "big") + len(self.box)
                damaged[found - 4 : found] = size.to_bytes(4, "big")
        return bytes(damaged)


def without_index(content: bytes, rng: np.random.Generator) -> bytes:
    """An AVI whose recorder was switched off before it wrote the index."""
    return content[: content.rindex(b"idx1")]


def more_frames_than_there_are(content: bytes, rng: np.random.Generator) -> bytes:
    """The AVI header promises ten times the frames."""
    damaged = bytearray(content)
    for name, offset in ((b"avih", 8 + 16), (b"strh", 8 + 32)):
        place = damaged.index(name) + offset
        count = int.from_bytes(damaged[place : place + 4], "little")
        damaged[place : place + 4] = (count * 10).to_bytes(4, "little")
    return bytes(damaged)


@dataclass(frozen=True)
class Duration:
    """The boxes of an MP4 that tell durations tell this many times too much."""

    factor: float
    boxes: tuple[bytes, ...] = (b"mvhd", b"mdhd")

    def __call__(self, content: bytes, rng: np.random.Generator) -> bytes:
        """Version 0 boxes: after version, creation, modification and time scale (ISO/IEC 14496-12, 8.2.2)."""
        damaged = bytearray(content)
        for name in self.boxes:
            start = 0
            while (place := damaged.find(name, start)) >= 0:
                field = place + 4 + 16
                value = int.from_bytes(damaged[field : field + 4], "big")
                damaged[field : field + 4] = min(2**32 - 1, int(value * self.factor)).to_bytes(4, "big")
                start = place + 4
        return bytes(damaged)
