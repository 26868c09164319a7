"""Colours that go in come out: bars drawn in RGB, coded by formula, prepared, and read by formula."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "torture"))
from tone_reference import as_bt709, eetf

from harness.core.errors import VideoError
from harness.videos.colour_spaces import Colour, conversion
from harness.videos.colour_spaces import written as written_as
from harness.videos.perturb.drawing.planes import Planes
from harness.videos.perturb.plans import Encoding, build_plan
from harness.videos.perturb.render import render
from harness.videos.perturb.steps import Canvas
from harness.videos.perturb.streams import _pulled, _video_graph
from harness.videos.probe import probe

BARS = (
    *((191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191)),
    *((224, 172, 138), (16, 16, 16), (235, 235, 235)),
)
BAR = 32  # pixels wide
KR_KB = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593), 7: (0.212, 0.087)}


def coded(rgb: np.ndarray, matrix: int, *, full: bool, bits: int) -> np.ndarray:
    """(..., 3) RGB of 0..255 to Y, Cb, Cr (Rec. ITU-R BT.601, BT.709, BT.2020)."""
    kr, kb = KR_KB[matrix]
    r, g, b = np.moveaxis(rgb / 255, -1, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    top, step = (1 << bits) - 1, 1 << (bits - 8)
    if full:
        planes = [y * top, cb * top + 128 * step, cr * top + 128 * step]
    else:
        planes = [(16 + 219 * y) * step, (128 + 224 * cb) * step, (128 + 224 * cr) * step]
    whole: np.ndarray = np.clip(np.rint(np.stack(planes)), 0, top)
    return whole.astype(np.uint16 if bits > 8 else np.uint8)


def read(y: float, cb: float, cr: float, matrix: int) -> np.ndarray:
    """8-bit limited Y, Cb, Cr to RGB of 0..255."""
    kr, kb = KR_KB[matrix]
    luma, blue, red = (y - 16) / 219, (cb - 128) / 224 * (2 - 2 * kb), (cr - 128) / 224 * (2 - 2 * kr)
    r, b = luma + red, luma + blue
    rgb = np.array([r, (luma - kr * r - kb * b) / (1 - kr - kb), b]) * 255
    return np.asarray(np.clip(rgb, 0, 255))


def write(
    path: Path, pixel_format: str, tags: tuple[int, int, int], *, full: bool = False, coded_as: int = 0
) -> None:
    """Ten bars, lossless, with these tags for matrix, primaries and transfer."""
    bits = 10 if "10" in pixel_format else 8
    rgb = np.repeat(np.array(BARS, float), BAR, 0)[None].repeat(64, 0)
    planes = list(coded(rgb, coded_as or tags[0], full=full, bits=bits))
    if "444" not in pixel_format:
        planes[1:] = [plane[:, ::2] for plane in planes[1:]]
    if "420" in pixel_format:
        planes[1:] = [plane[::2] for plane in planes[1:]]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = BAR * len(BARS), 64, pixel_format
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = tags
        context.color_range = 2 if full else 1
        for index in range(3):
            frame = av.VideoFrame(stream.width, stream.height, pixel_format)
            for target, plane in zip(frame.planes, planes, strict=True):
                rows = np.zeros((plane.shape[0], target.line_size // plane.itemsize), plane.dtype)
                rows[:, : plane.shape[1]] = plane
                target.update(rows.tobytes())
            frame.colorspace, frame.color_primaries, frame.color_trc = tags
            frame.color_range, frame.pts = 2 if full else 1, index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def prepared(path: Path) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """(bars, 3) RGB as the prepared file's own tags say, and those tags."""
    info, target = probe(path), path.with_name("out.mp4")
    plan = build_plan(
        [], recipe="t", set_seed=1, video_id="v", canvas=Canvas.of(info), encoding=Encoding(crf=4)
    )
    render(path, info, plan, target)
    with av.open(str(target)) as container:
        frame = list(container.decode(video=0))[-1]
        planes = frame.to_ndarray().astype(float)
    height, width = frame.height, frame.width
    luma = planes[:height]
    blue, red = planes[height:].reshape(2, height // 2, width // 2)
    found = []
    for index in range(len(BARS)):
        x = index * BAR + BAR // 2
        half = np.s_[8:24, x // 2 - 3 : x // 2 + 3]
        y = luma[16:48, x - 6 : x + 6].mean()
        found.append(read(y, blue[half].mean(), red[half].mean(), frame.colorspace))
    return np.array(found), (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le"])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize(
    ("tags", "after"),
    [
        ((1, 1, 1), (1, 1, 1)),
        ((5, 5, 6), (5, 5, 6)),
        ((6, 6, 6), (6, 6, 6)),
        ((9, 1, 1), (1, 1, 1)),  # BT.2020's matrix alone
        ((7, 7, 7), (1, 6, 7)),
    ],
    ids=["BT.709", "BT.601-625", "BT.601-525", "BT.2020", "SMPTE-240M"],
)
def test_every_matrix_range_and_depth_keeps_its_colours(
    tmp_path: Path, pixel_format: str, full: bool, tags: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    write(tmp_path / "in.mkv", pixel_format, tags, full=full)
    found, written = prepared(tmp_path / "in.mkv")
    # With another matrix besides, swscale's fixed point is off by up to one level of chroma.
    assert np.abs(found - np.array(BARS)).max() < (3 if full and after[0] != tags[0] else 2)
    assert np.abs(found - np.array(BARS)).mean() < 1
    assert written == (*after, 1)


@pytest.mark.parametrize("matrix", [1, 5, 6])
@pytest.mark.parametrize(
    "pixel_format",
    ["yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "yuv420p10le", "yuv444p12le"],
)
def test_every_number_of_full_range_becomes_limited_range_by_the_formula(
    matrix: int, pixel_format: str
) -> None:
    """Without a shift: swscale's way makes colour 0.4 levels too high on average."""
    bits = int(pixel_format[-4:-2]) if pixel_format.endswith("le") else 8
    kind = np.uint16 if bits > 8 else np.uint8
    values = np.arange(0, 1 << bits, 1 << bits - 8, dtype=kind)
    frame = av.VideoFrame(16 * 16, 16 * 16, pixel_format)
    for plane in frame.planes:
        # Squares of one value each, 16 pixels or 8 samples wide: what is between two is not looked at.
        rows = np.zeros((plane.height, plane.line_size // values.itemsize), kind)
        rows[:, : plane.width] = (
            values.reshape(16, -1).repeat(plane.height // 16, 0).repeat(plane.width // 16, 1)
        )
        plane.update(rows.tobytes())
    frame.pts, frame.color_range, frame.colorspace = 0, 2, matrix
    source = Colour(matrix=matrix, primaries=1, transfer=1, full_range=True)
    graph = _video_graph(frame, conversion(source, written_as(source), bits))
    graph.vpush(frame)
    planes = Planes.reading(next(_pulled(graph)))
    most, middle = (1 << bits) - 1, 1 << bits - 1
    numbers = values.astype(float)
    exact = [16 + numbers * 219 / most] + [128 + (numbers - middle) * 224 / most] * 2
    for samples, wanted in zip(planes.all, exact, strict=True):
        side = samples.shape[0] // 16
        found = samples[side // 2 :: side, side // 2 :: side].ravel().astype(float)
        off = found - wanted
        assert np.abs(off).max() <= (0.5 if bits == 8 else 0.75)  # swscale rounds the rest
        assert abs(off.mean()) < (0.05 if bits == 8 else 0.25)


def test_untagged_colours_are_read_and_written_as_the_decoders_in_use_read_them(tmp_path: Path) -> None:
    write(tmp_path / "in.mkv", "yuv420p", (2, 2, 2), coded_as=5)
    found, written = prepared(tmp_path / "in.mkv")
    assert np.abs(found - np.array(BARS)).max() < 2
    assert written == (5, 5, 6, 1)


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv444p10le", "yuv420p"])
@pytest.mark.parametrize(("transfer", "name"), [(14, "sdr"), (16, "pq"), (18, "hlg")])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
def test_bt2020_hdr_and_not_becomes_bt709_by_the_documented_curve(
    tmp_path: Path, pixel_format: str, transfer: int, name: str, full: bool
) -> None:
    write(tmp_path / "in.mkv", pixel_format, (9, 9, transfer), full=full)
    found, written = prepared(tmp_path / "in.mkv")
    wanted = np.array([as_bt709(bar, name) for bar in BARS])
    # An 8-bit source has rounded the drawing already, and dark codes lie far apart after the curve.
    assert np.abs(found - wanted).max() < (4 if pixel_format == "yuv420p" else 2)
    assert written == (1, 1, 1, 1)


def test_white_of_203_nits_stays_below_white_and_order_is_kept(tmp_path: Path) -> None:
    steps = [eetf(light) for light in (1, 50, 100, 203, 400, 800, 1000, 4000)]
    assert steps == sorted(steps)
    assert steps[0] == pytest.approx(1, rel=1e-3)
    assert steps[-1] == pytest.approx(203, rel=1e-3)


@pytest.mark.parametrize(
    ("tags", "word"),
    [((8, 1, 1), "YCgCo"), ((14, 9, 16), "ICtCp"), ((1, 1, 8), "linear light"), ((1, 1, 9), "logarithmic")],
)
def test_colours_that_cannot_be_converted_are_refused_by_name(
    tmp_path: Path, tags: tuple[int, int, int], word: str
) -> None:
    write(tmp_path / "in.mkv", "yuv444p", tags, coded_as=1)
    with pytest.raises(VideoError, match=rf"in\.mkv.*{word}(?s:.*)convert it to BT\.709"):
        probe(tmp_path / "in.mkv")
