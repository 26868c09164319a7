from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest

from harness.videos.orientation import Orientation, read_display_matrix

Do = Callable[[np.ndarray], np.ndarray]
EIGHT: dict[tuple[int, int, int, int], Do] = {
    (1, 0, 0, 1): lambda picture: picture,
    (0, 1, -1, 0): lambda picture: np.rot90(picture, -1),
    (-1, 0, 0, -1): lambda picture: np.rot90(picture, 2),
    (0, -1, 1, 0): lambda picture: np.rot90(picture, 1),
    (-1, 0, 0, 1): np.fliplr,
    (1, 0, 0, -1): np.flipud,
    (0, 1, 1, 0): np.transpose,
    (0, -1, -1, 0): lambda picture: np.rot90(picture, 2).T,
}
AS_FILTERS: dict[str, Do] = {
    "hflip": np.fliplr,
    "vflip": np.flipud,
    "transpose=clock": lambda picture: np.rot90(picture, -1),
    "transpose=cclock": lambda picture: np.rot90(picture, 1),
    "transpose=clock_flip": lambda picture: np.rot90(picture, 2).T,
    "transpose=cclock_flip": np.transpose,
}


def matrix(a: float, b: float, c: float, d: float) -> bytes:
    one = 1 << 16
    rows = [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]
    return struct.pack("<9i", *(round(value) for value in rows))


@pytest.mark.parametrize("numbers", EIGHT, ids=str)
@pytest.mark.parametrize("scale", [1, 2])
def test_all_eight_orientations(numbers: tuple[int, int, int, int], scale: int) -> None:
    picture = np.arange(12).reshape(3, 4)
    found = read_display_matrix(matrix(*(number * scale for number in numbers)))
    shown = picture
    for text in found.filters:
        shown = AS_FILTERS[text](shown)
    assert np.array_equal(shown, EIGHT[numbers](picture))
    # The two words say the same as the filters.
    said = np.rot90(np.fliplr(picture) if found.mirrored else picture, -found.degrees // 90)
    assert np.array_equal(said, shown)


@pytest.mark.parametrize("content", [b"", b"\0" * 36])
def test_no_matrix_and_an_empty_one_change_nothing(content: bytes) -> None:
    assert read_display_matrix(content) == Orientation()


@pytest.mark.parametrize("degrees", [2, 30, 45, 100, 200])
def test_a_turn_that_is_not_a_quarter_is_refused_by_its_angle(degrees: int) -> None:
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    with pytest.raises(ValueError, match=rf"{degrees}\.0°"):
        read_display_matrix(matrix(cosine, sine, -sine, cosine))


def test_a_slanted_and_a_flat_picture_are_refused() -> None:
    with pytest.raises(ValueError, match="slants"):
        read_display_matrix(matrix(1, 0.5, 0, 1))
    with pytest.raises(ValueError, match="flattens"):
        read_display_matrix(matrix(1, 0, 1, 0))
