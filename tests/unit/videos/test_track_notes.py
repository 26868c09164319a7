from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from harness.core.errors import VideoError
from harness.videos.probe import probe
from harness.videos.synthetic import ClipSpec, write_clip
from harness.videos.track_notes import TRACKS, WHOLE, Crop, TrackNotes, read_track_notes


def with_box(content: bytes, box: bytes) -> bytes:
    """Put a box behind the picture's first, in an MP4 whose samples lie before its headers."""
    damaged = bytearray(content)
    start = damaged.index(b"avcC") - 4
    place = start + int.from_bytes(damaged[start : start + 4], "big")
    damaged[place:place] = box
    for name in (b"avc1", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        found = damaged.rfind(name, 0, place)
        size = int.from_bytes(damaged[found - 4 : found], "big") + len(box)
        damaged[found - 4 : found] = size.to_bytes(4, "big")
    return bytes(damaged)


def clap(*numbers: int) -> bytes:
    return struct.pack(">I4sIIIIiIiI", 40, b"clap", *numbers)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "a.mp4"
    return write_clip(path, ClipSpec(width=160, height=120, frames=3)).read_bytes()


@pytest.mark.parametrize(
    ("box", "crop", "upright"),
    [
        (clap(160, 1, 120, 1, 0, 1, 0, 1), WHOLE, (160, 120)),
        (clap(120, 1, 80, 1, 0, 1, 0, 1), Crop(left=20, right=20, top=20, bottom=20), (120, 80)),
        (clap(120, 1, 80, 1, -20, 1, 10, 1), Crop(right=40, top=30, bottom=10), (120, 80)),
        (clap(240, 2, 120, 1, 40, 2, 0, 1), Crop(left=40), (120, 120)),
        (clap(120, 0, 80, 1, 0, 1, 0, 1), WHOLE, (160, 120)),  # a width of infinity
        (clap(500, 1, 500, 1, 0, 1, 0, 1), WHOLE, (160, 120)),  # more than there is
    ],
)
def test_a_clean_aperture_is_what_is_shown(
    plain: bytes, box: bytes, crop: Crop, upright: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(with_box(plain, box))
    info = probe(path)
    assert info.crop == crop
    assert (info.upright_width, info.upright_height) == upright


@pytest.mark.parametrize(
    ("profile", "compatible", "alone"), [(5, 0, 5), (8, 1, None), (8, 4, None), (10, 0, 10)]
)
def test_dolby_vision_without_a_base_picture_is_refused(
    plain: bytes, profile: int, compatible: int, alone: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    content = bytes([1, 0, profile << 1, 45, compatible << 4]) + bytes(19)
    path.write_bytes(with_box(plain, struct.pack(">I4s", 32, b"dvvC") + content))
    assert read_track_notes(path, "mov,mp4", number=1, index=0).dolby_alone == alone
    if alone is not None:
        with pytest.raises(VideoError, match=f"Dolby Vision of profile {alone}"):
            probe(path)


def element(number: int, content: bytes) -> bytes:
    name = number.to_bytes((number.bit_length() + 7) // 8)
    return name + (1 << 56 | len(content)).to_bytes(8) + content


def matroska(*tracks: bytes) -> bytes:
    segment = element(TRACKS, b"".join(tracks))
    return element(0x1A45DFA3, b"") + b"\x18\x53\x80\x67" + b"\x01" + b"\xff" * 7 + segment  # of unknown size


def test_matroska_crops_the_track_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    video = element(0xE0, element(0x54CC, b"\2") + element(0x54AA, b"\1\4"))
    path.write_bytes(matroska(element(0xAE, b""), element(0xAE, video)))
    assert read_track_notes(path, "matroska,webm", number=0, index=0).crop == WHOLE
    assert read_track_notes(path, "matroska,webm", number=0, index=1).crop == Crop(left=2, bottom=260)


def test_whatever_is_damaged_is_read_as_nothing_or_something(plain: bytes, tmp_path: Path) -> None:
    whole = with_box(plain, clap(120, 1, 80, 1, 0, 1, 0, 1))
    mkv = matroska(element(0xAE, element(0xE0, element(0x54CC, b"\2"))))
    rng = np.random.default_rng(4)
    path = tmp_path / "a"
    for content, kind in ((whole, "mov,mp4"), (mkv, "matroska,webm")):
        for _ in range(60):
            damaged = bytearray(content)
            for place in rng.integers(0, len(content), 8).tolist():
                damaged[place] = int(rng.integers(256))
            path.write_bytes(damaged[: int(rng.integers(1, len(content)))])
            assert isinstance(read_track_notes(path, kind, number=1, index=0), TrackNotes)
