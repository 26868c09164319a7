"""A seeded part of the torture set; the whole of it is `make torture`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
import damage
from cases import variants
from clip import Clip, make
from drawing import RATE, WAYS, draw, read, tone, tones
from judge import Fate, judge, prepare
from run import chosen

from harness.core.errors import VideoError

CASES = variants()
PART = chosen(CASES, seed=20, share=0.075)
PAGE = Path(__file__).parents[2] / "docs" / "torture.md"


def test_the_set_is_as_large_as_promised() -> None:
    assert len(CASES) >= 300
    assert len({clip.group for clip in CASES}) >= 11


@pytest.mark.parametrize("clip", PART, ids=lambda clip: clip.name)
def test_what_goes_in_is_what_comes_out(clip: Clip, tmp_path: Path) -> None:
    verdict = judge(clip, tmp_path)
    assert verdict.fate is not Fate.WRONG, verdict.reason


def test_the_page_tells_of_every_case_and_none_is_wrong() -> None:
    groups = {clip.group for clip in CASES}
    rows = re.findall(r"^\| (.+?) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE.read_text(), re.M)
    told = {name: tuple(map(int, numbers)) for name, *numbers in rows}
    assert told.keys() == groups | {"all"}
    for name, (cases, right, refused, wrong) in told.items():
        own = [clip for clip in CASES if name in {clip.group, "all"}]
        assert (cases, right + refused, wrong) == (len(own), len(own), 0), name


# --- the instruments: what they read is what was drawn ---


@pytest.mark.parametrize("size", [(16, 16), (18, 16), (33, 65), (160, 128), (1920, 1080)])
def test_every_number_is_read_back(size: tuple[int, int]) -> None:
    for number in (0, 1, 2, 7, 100, 1023, 4095):
        assert read(draw(number, *size)).number == number


@pytest.mark.parametrize("way", WAYS)
def test_every_orientation_is_told_from_the_others(way: str) -> None:
    undo, upright = WAYS[way], draw(5, 160, 128)
    lying = next(
        made for made in (do(upright) for do in WAYS.values()) if np.array_equal(undo(made), upright)
    )
    assert read(lying).orientation == way


def test_a_wrong_bit_is_not_a_number() -> None:
    wrong = draw(37, 160, 128)
    wrong[32:64, 0:20] = 235 - wrong[32:64, 0:20]
    assert read(wrong).number is None


def test_tones_are_heard_where_they_start() -> None:
    starts = (0.1, 0.5, 1.234)
    assert np.allclose(tones(tone(2.0, starts)), starts, atol=0.002)
    assert tones(np.zeros(RATE, np.float32)) == []


# --- thousands of ways to spoil a file, with the set's own clips as seeds ---

SEEDS = ("mp4-h264", "mkv-vp9", "ts-mpeg2", "avi-mpeg4", "flv-h264", "ogg-theora", "mov-prores", "gif")
DAMAGE = st.one_of(
    st.builds(damage.Truncated, st.floats(0.01, 0.99)),
    st.builds(damage.Flipped, st.integers(1, 60), st.floats(0, 0.5)),
    st.builds(lambda start, end: damage.Blanked(start, start + end), st.floats(0, 0.7), st.floats(0, 0.3)),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seeds")


@pytest.mark.parametrize("name", SEEDS)
@settings(max_examples=10, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(spoil=DAMAGE, seed=st.integers(0, 2**32 - 1))
def test_whatever_is_spoilt_is_prepared_or_refused_by_name(
    name: str, folder: Path, spoil: damage.Spoil, seed: int
) -> None:
    clip = next(clip for clip in CASES if clip.name == f"containers-{name}")
    whole = folder / f"containers-{name}.{clip.ext}"
    content = (whole if whole.exists() else make(clip, folder)).read_bytes()
    path = folder / f"spoilt-{name}.{clip.ext}"
    path.write_bytes(spoil(content, np.random.default_rng(seed)))
    try:
        prepare(path, folder / f"{name}-prepared.mp4")  # decodes again and compares with the plan
    except VideoError as error:
        assert path.name in str(error)  # noqa: PT017  (refusal is one of two good ends)
