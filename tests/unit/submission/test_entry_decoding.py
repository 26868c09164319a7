"""Which frames are taken, against clips whose pictures carry their own number."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from detector import decoding

BITS = 10
BLOCK = 16
HEIGHT = 48


def _numbered(number: int) -> np.ndarray:
    """A picture in which ten blocks along the top spell a number; the rest is grey."""
    picture = np.full((HEIGHT, BITS * BLOCK, 3), 128, np.uint8)
    for bit in range(BITS):
        picture[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 230 if number >> bit & 1 else 25
    return picture


def _number(picture: np.ndarray) -> int:
    blocks = picture[4:12].reshape(8, BITS, -1).mean(axis=(0, 2))
    return sum(1 << bit for bit in range(BITS) if blocks[bit] > 128)


def _write(
    path: Path, times: Sequence[float], *, key_every: int = 30, faststart: bool = False, rate: int = 30
) -> Path:
    """H.264 with B-frames, one numbered picture at each of the given times (seconds)."""
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = BITS * BLOCK, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"preset": "veryfast", "x264-params": f"keyint={key_every}:scenecut=0:bframes=2"}
        for number, seconds in enumerate(times):
            frame = av.VideoFrame.from_ndarray(_numbered(number), format="rgb24")
            frame.pts, frame.time_base = round(seconds * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _steady(frames: int, rate: float = 30.0) -> list[float]:
    return [number / rate for number in range(frames)]


def _numbers(path: Path, **options: int) -> list[int]:
    return [_number(frame.picture) for frame in decoding.read_frames(path, **{"frames": 16, **options})]


def test_stretches_begin_at_key_frames_and_go_on_by_time(tmp_path: Path) -> None:
    clip = _write(tmp_path / "clip.mp4", _steady(300), key_every=75)
    # Key frames at 0, 75, 150, 225; four frames each, 2/15 s (4 frames) apart.
    expected = [start + 4 * pick for start in (0, 75, 150, 225) for pick in range(4)]
    assert _numbers(clip) == expected


def test_times_are_the_frames_own(tmp_path: Path) -> None:
    clip = _write(tmp_path / "clip.mp4", _steady(300), key_every=75)
    for frame in decoding.read_frames(clip):
        assert frame.seconds == pytest.approx(_number(frame.picture) / 30, abs=0.002)


def test_one_key_frame_means_one_stretch_from_the_start(tmp_path: Path) -> None:
    clip = _write(tmp_path / "clip.mp4", _steady(200), key_every=1000)
    assert _numbers(clip) == [4 * pick for pick in range(16)]


def test_a_short_clip_is_taken_whole(tmp_path: Path) -> None:
    clip = _write(tmp_path / "clip.mp4", _steady(16), key_every=1000)
    assert _numbers(clip) == list(range(16))


def test_a_clip_shorter_than_what_is_asked_for_gives_what_it_has(tmp_path: Path) -> None:
    clip = _write(tmp_path / "clip.mp4", _steady(5), key_every=1000)
    assert _numbers(clip) == list(range(5))


def test_a_single_frame(tmp_path: Path) -> None:
    assert _numbers(_write(tmp_path / "clip.mp4", [0.0])) == [0]


def test_a_variable_frame_rate_is_followed_by_time(tmp_path: Path) -> None:
    # One second at 60 frames per second, then one at 10.
    times = [n / 60 for n in range(60)] + [1 + n / 10 for n in range(10)]
    clip = _write(tmp_path / "clip.mp4", times, key_every=1000, rate=60)
    got = _numbers(clip)
    # Some two seconds for sixteen frames: about 0.12 s apart where there are frames to choose from.
    quick = [times[number] for number in got[:8]]
    assert all(0.09 <= later - earlier <= 0.14 for earlier, later in pairwise(quick))
    gaps = np.diff([times[number] for number in got])
    assert gaps.min() >= 0.09
    assert gaps.max() <= 0.201


def test_a_low_frame_rate_takes_every_frame(tmp_path: Path) -> None:
    clip = _write(tmp_path / "clip.mp4", _steady(20, 5.0), key_every=1000, rate=5)
    assert _numbers(clip) == list(range(16))


def test_a_truncated_tail_costs_the_tail_only(tmp_path: Path) -> None:
    clip = _write(tmp_path / "clip.mp4", _steady(300), key_every=75, faststart=True)
    data = clip.read_bytes()
    begin = data.index(b"mdat")
    clip.write_bytes(data[: begin + (len(data) - begin) * 6 // 10])
    got = _numbers(clip)
    assert got[:8] == [0, 4, 8, 12, 75, 79, 83, 87]
    assert max(got) < 200
    # The two stretches that are lost are made up for by what follows the first.
    assert got[-4:] != got[:4]
    assert len(got) == len(set(got)) == 16


def test_stretches_that_hold_less_than_their_share_are_made_up_for(tmp_path: Path) -> None:
    clip = _write(tmp_path / "clip.mp4", _steady(300), key_every=75, faststart=True)
    data = bytearray(clip.read_bytes())
    begin = data.index(b"mdat") + 8
    start = begin + (len(data) - begin) * 55 // 100
    data[start:] = bytes(len(data) - start)
    clip.write_bytes(bytes(data))
    got = _numbers(clip)
    assert got[:8] == [0, 4, 8, 12, 75, 79, 83, 87]
    assert [n for n in got[8:] if 12 < n < 75][:2] == [16, 20]
    assert len(got) == len(set(got)) == 16


def test_damage_in_the_middle_is_stepped_over(tmp_path: Path) -> None:
    clip = _write(tmp_path / "clip.mp4", _steady(300), key_every=75, faststart=True)
    data = bytearray(clip.read_bytes())
    start = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 4
    data[start : start + 300] = bytes(300)
    clip.write_bytes(bytes(data))
    got = _numbers(clip)
    assert got[:4] == [0, 4, 8, 12]
    assert {225, 229, 233, 237} <= set(got)


def test_a_file_that_is_no_video_says_so(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"not a video" * 100)
    with pytest.raises(decoding.UndecodableVideoError, match=r"clip\.mp4"):
        list(decoding.read_frames(path))


def test_a_file_with_sound_only_says_so(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(decoding.UndecodableVideoError, match="no video stream"):
        list(decoding.read_frames(path))


def _rotate_flag(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Writes a display matrix into the track header, as phones do."""
    data = bytearray(path.read_bytes())
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    at = data.index(identity, data.index(b"tkhd"))
    a, b, c, d = (v << 16 for v in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("matrix", "shape", "bright_corner"),
    [
        ((1, 0, 0, 1), (HEIGHT, 160), "top left"),
        ((0, 1, -1, 0), (160, HEIGHT), "top right"),  # shown a quarter turn clockwise
        ((-1, 0, 0, -1), (HEIGHT, 160), "bottom right"),
        ((0, -1, 1, 0), (160, HEIGHT), "bottom left"),
    ],
)
def test_rotation_flags_are_obeyed(
    tmp_path: Path, matrix: tuple[int, int, int, int], shape: tuple[int, int], bright_corner: str
) -> None:
    # Picture 1 has its only bright block at the top left.
    clip = _write(tmp_path / "clip.mp4", _steady(3))
    _rotate_flag(clip, matrix)
    picture = list(decoding.read_frames(clip))[1].picture
    assert picture.shape[:2] == shape
    corners = {
        "top left": picture[:16, :16],
        "top right": picture[:16, -16:],
        "bottom left": picture[-16:, :16],
        "bottom right": picture[-16:, -16:],
    }
    means = {name: float(corner.mean()) for name, corner in corners.items()}
    assert max(means, key=lambda name: means[name]) == bright_corner
    # OpenCV, which turns pictures by itself, agrees.
    capture = cv2.VideoCapture(str(clip))
    capture.read()
    theirs = capture.read()[1]
    capture.release()
    assert theirs.shape[:2] == shape
    assert np.abs(theirs[..., ::-1].astype(int) - picture).mean() < 8


@pytest.mark.parametrize(
    ("keys", "end", "expected"),
    [
        ([], 10.0, (0.0,)),
        ([0.0], 10.0, (0.0,)),
        ([0.0, 8.3], 10.0, (0.0, 8.3)),
        ([0.0, 9.8], 10.0, (0.0,)),  # too close to the end to be worth a seek
        ([0.0, 2.5, 5.0, 7.5], 10.0, (0.0, 2.5, 5.0, 7.5)),
        ([n / 2 for n in range(20)], 10.0, (0.0, 2.5, 5.0, 7.5)),
        ([1.0, 3.0], 5.0, (1.0, 3.0)),  # a clip that does not begin at zero
    ],
)
def test_plan_stretches(keys: list[float], end: float, expected: tuple[float, ...]) -> None:
    assert decoding.plan_stretches(keys, end_seconds=end) == expected


def test_picks_are_shared_out_and_shrink_where_there_is_little_room() -> None:
    picks = decoding.plan_picks((0.0, 5.0, 9.0), end_seconds=9.25, frames=16)
    assert [share for _, _, share in picks] == [6, 5, 5]
    assert [between for _, between, _ in picks] == [2 / 15, 2 / 15, pytest.approx(0.05)]
