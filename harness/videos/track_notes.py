"""What a container notes about a picture that libav reads and PyAV does not give: its crop, and Dolby Vision.

MP4 and MOV: `clap` and `dvcC`/`dvvC`/`dvwC` in a track's sample entry (ISO/IEC 14496-12, 12.1.4; Dolby Vision
Streams within the ISO base media file format, 2.1.2, section 3). Matroska and WebM: PixelCrop and
BlockAdditionMapping (RFC 9559, 5.1.4).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

HEADERS_BYTES_MAX = 64 << 20
SAMPLE_ENTRY_BYTES = 78  # of a picture's, before its boxes
NESTED = {b"trak", b"mdia", b"minf", b"stbl"}
DOLBY = {b"dvcC", b"dvvC", b"dvwC"}
# Matroska's element numbers.
SEGMENT, TRACKS, TRACK, CLUSTER = 0x18538067, 0x1654AE6B, 0xAE, 0x1F43B675
VIDEO, MAPPING, MAPPING_TYPE, MAPPING_DATA = 0xE0, 0x41E4, 0x41E7, 0x41ED
CROPS = {0x54CC: "left", 0x54BB: "top", 0x54DD: "right", 0x54AA: "bottom"}


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Rows and columns of the coded picture that are not shown."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def __bool__(self) -> bool:
        return any((self.left, self.top, self.right, self.bottom))


WHOLE = Crop()


@dataclass(frozen=True, kw_only=True)
class TrackNotes:
    """Of one track."""

    crop: Crop = WHOLE
    dolby_alone: int | None = None  # the profile of Dolby Vision that nothing else can show; None: is not it


def read_track_notes(path: Path, container: str, *, number: int, index: int) -> TrackNotes:
    """Read what is noted of the track with this number (MP4) or place (Matroska).

    Nothing, if it is not found or not well formed.

    Raises:
        OSError: The file cannot be read.
    """
    kind = container.split(",", maxsplit=1)[0]
    if kind not in {"mov", "matroska"}:
        return TrackNotes()
    with path.open("rb") as file:
        try:
            return _of_mp4(file, number) if kind == "mov" else _of_matroska(file, index)
        except (struct.error, ValueError, IndexError, ZeroDivisionError):
            return TrackNotes()  # damaged there; the picture itself may be well


def _dolby(content: bytes) -> int | None:
    profile, compatible = content[2] >> 1, content[4] >> 4
    alone = profile == 5 or (profile >= 8 and compatible == 0)  # profiles before 8 stand on a plain picture
    return profile if alone else None


# --- boxes of MP4 ---


def _boxes(file: BinaryIO, end: int) -> Iterator[tuple[bytes, int]]:
    """Yield the name and the end of each box, with the file at its content."""
    while (start := file.tell()) + 8 <= end:
        size, name = struct.unpack(">I4s", file.read(8))
        if size == 1:
            size = struct.unpack(">Q", file.read(8))[0]
        stop = end if size == 0 else start + size
        if stop < file.tell() or stop > end:
            return
        yield name, stop
        file.seek(stop)


def _of_mp4(file: BinaryIO, track: int) -> TrackNotes:
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    for name, stop in _boxes(file, end):
        if name == b"moov" and stop - file.tell() <= HEADERS_BYTES_MAX:
            moov = io.BytesIO(file.read(stop - file.tell()))
            for found, inner in _boxes(moov, len(moov.getbuffer())):
                notes = _of_trak(moov, inner, track) if found == b"trak" else None
                if notes is not None:
                    return notes
    return TrackNotes()


def _of_trak(file: BinaryIO, end: int, track: int) -> TrackNotes | None:
    """Return what a track notes, or None if it is another one."""
    for name, stop in _boxes(file, end):
        if name == b"tkhd":
            wide = file.read(1) == b"\1"
            file.seek(19 if wide else 11, io.SEEK_CUR)
            if struct.unpack(">I", file.read(4))[0] != track:
                return None
        elif name in NESTED:
            found = _of_trak(file, stop, track)
            if found is not None:
                return found
        elif name == b"stsd":
            file.seek(16, io.SEEK_CUR)  # version, number of entries, and the first one's size and name
            return _of_sample_entry(file, stop)
    return None


def _of_sample_entry(file: BinaryIO, end: int) -> TrackNotes:
    entry = file.read(SAMPLE_ENTRY_BYTES)
    width, height = struct.unpack(">HH", entry[24:28])
    crop, dolby = WHOLE, None
    for name, stop in _boxes(file, end):
        if name == b"clap":
            crop = _clean_aperture(file.read(32), width, height)
        elif name in DOLBY:
            dolby = _dolby(file.read(stop - file.tell()))
    return TrackNotes(crop=crop, dolby_alone=dolby)


def _clean_aperture(content: bytes, width: int, height: int) -> Crop:
    across, down = struct.unpack(">II", content[:8]), struct.unpack(">II", content[8:16])
    right, below = struct.unpack(">iI", content[16:24]), struct.unpack(">iI", content[24:32])
    shown_width, shown_height = across[0] / across[1], down[0] / down[1]
    left = round(right[0] / right[1] + (width - shown_width) / 2)
    top = round(below[0] / below[1] + (height - shown_height) / 2)
    rest = width - left - round(shown_width), height - top - round(shown_height)
    return _plausible(Crop(left=left, top=top, right=rest[0], bottom=rest[1]))


def _plausible(crop: Crop) -> Crop:
    sides = (crop.left, crop.top, crop.right, crop.bottom)
    return crop if all(0 <= side < 1 << 16 for side in sides) else WHOLE


# --- elements of Matroska ---


def _number(file: BinaryIO, *, with_marker: bool) -> int:
    first = file.read(1)[0]
    length = 9 - first.bit_length()
    if length > 8:
        raise ValueError("no EBML number")
    value = first if with_marker else first & (1 << 8 - length) - 1
    return int.from_bytes(bytes([value]) + file.read(length - 1))


def _elements(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Yield the number and the end of each element, with the file at its content."""
    while file.tell() < end:
        name, size = _number(file, with_marker=True), _number(file, with_marker=False)
        stop = min(end, file.tell() + size)  # of unknown size: all bits are set, and it ends with its parent
        yield name, stop
        file.seek(stop)


def _of_matroska(file: BinaryIO, index: int) -> TrackNotes:
    end, place = file.seek(0, io.SEEK_END), 0
    file.seek(0)
    for name, stop in _elements(file, end):
        for inner, inner_stop in _elements(file, stop) if name == SEGMENT else ():
            if inner == CLUSTER:
                return TrackNotes()
            for entry, entry_stop in _elements(file, inner_stop) if inner == TRACKS else ():
                if entry == TRACK and place == index:
                    return _of_track_entry(file, entry_stop)
                place += entry == TRACK
    return TrackNotes()


def _of_track_entry(file: BinaryIO, end: int) -> TrackNotes:
    crop, dolby = {}, None
    for name, stop in _elements(file, end):
        if name == VIDEO:
            for inner, inner_stop in _elements(file, stop):
                if inner in CROPS:
                    crop[CROPS[inner]] = int.from_bytes(file.read(inner_stop - file.tell()))
        elif name == MAPPING:
            parts = {
                inner: file.read(inner_stop - file.tell()) for inner, inner_stop in _elements(file, stop)
            }
            if parts.get(MAPPING_TYPE) in DOLBY:
                dolby = _dolby(parts[MAPPING_DATA])
    return TrackNotes(crop=_plausible(Crop(**crop)), dolby_alone=dolby)
