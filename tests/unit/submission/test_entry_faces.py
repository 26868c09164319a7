"""Crops: geometry to the pixel, and a face that is really found."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from detector import faces

PACKAGE = Path(__file__).parents[3] / "submission"


def test_square_around_keeps_the_centre() -> None:
    assert faces.square_around([10, 20, 40, 60], 1.5) == (30 - 45, 50 - 45, 90)


def test_cut_takes_exactly_the_square() -> None:
    picture = np.arange(20 * 30 * 3, dtype=np.uint32).reshape(20, 30, 3).astype(np.uint8)
    np.testing.assert_array_equal(faces.cut(picture, (5, 3, 8), 8), picture[3:11, 5:13])


def test_what_lies_outside_is_filled_with_the_nearest_pixels() -> None:
    picture = np.zeros((10, 10, 3), np.uint8)
    picture[0, 0] = 200
    got = faces.cut(picture, (-4, -4, 8), 8)
    assert (got[:5, :5] == 200).all()
    assert (got[5:, 5:] == 0).all()


@pytest.mark.parametrize("square", [(-50, -50, 10), (100, 3, 5), (3, 200, 5.4), (0, 0, 0.2)])
def test_a_square_wholly_outside_or_tiny_still_gives_a_crop(square: tuple[float, float, float]) -> None:
    picture = np.full((12, 16, 3), 77, np.uint8)
    got = faces.cut(picture, square, 9)
    assert got.shape == (9, 9, 3)
    assert (got == 77).all()


def test_a_whole_frame_is_its_middle_square() -> None:
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[:, 2:6] = 90
    assert (faces.whole_frame(picture, 4) == 90).all()


def test_there_is_no_face_in_noise_and_the_ladder_is_not_climbed_for_ever() -> None:
    finder = faces.FaceFinder(PACKAGE)
    picture = np.random.default_rng(1).integers(0, 255, (120, 160, 3), np.uint8)
    assert [finder.find(picture) for _ in range(faces.FULL_CLIMBS)] == [[]] * faces.FULL_CLIMBS
    tried: list[int] = []
    original = finder._detect

    def spy(picture: faces.Picture, long_side: int, threshold: float) -> list[faces.Face]:
        tried.append(long_side)
        return original(picture, long_side, threshold)

    finder._detect = spy  # type: ignore[method-assign]  # a spy in its place
    finder.find(picture)
    assert tried == [faces.LADDER[0][0]]
    finder.start_video()
    tried.clear()
    finder.find(picture)
    turned = [faces.LADDER[0][0]] * 3
    assert tried == [*(side for side, _ in faces.LADDER), *turned]


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_video_on_its_side_or_head_is_looked_at_upright(quarter_turns: int) -> None:
    upright = _a_face()
    finder = faces.FaceFinder(PACKAGE)
    expected = finder.find(upright)[0]
    lying = np.ascontiguousarray(np.rot90(upright, -quarter_turns))
    finder.start_video()
    found = finder.find(lying)[0]
    np.testing.assert_array_equal(finder.turned(lying), upright)
    np.testing.assert_allclose(found.box, expected.box, atol=0.1 * expected.box[2])
    # The next frame costs one look, and the next video begins upright again.
    np.testing.assert_array_equal(finder.find(lying)[0].box, found.box)
    finder.start_video()
    np.testing.assert_array_equal(finder.turned(lying), lying)


def test_a_video_is_not_turned_once_an_upright_face_was_seen() -> None:
    upright = _a_face()
    finder = faces.FaceFinder(PACKAGE)
    assert finder.find(upright)
    finder.find(np.ascontiguousarray(np.rot90(upright, 2)))
    np.testing.assert_array_equal(finder.turned(upright), upright)


def _a_face() -> faces.Picture:
    clip = min((PACKAGE.parent / "sample_videos" / "public").glob("*.mp4"))
    capture = cv2.VideoCapture(str(clip))
    picture = capture.read()[1][..., ::-1]
    capture.release()
    return np.ascontiguousarray(picture, np.uint8)


def test_boxes_and_landmarks_are_in_pixels_of_the_picture_at_any_size() -> None:
    clip = next((PACKAGE.parent / "sample_videos" / "public").glob("*.mp4"))
    capture = cv2.VideoCapture(str(clip))
    picture = capture.read()[1][..., ::-1]
    capture.release()
    finder = faces.FaceFinder(PACKAGE)
    first = finder.find(np.ascontiguousarray(picture))[0]
    large = finder.find(np.asarray(cv2.resize(picture, None, fx=2, fy=2), np.uint8))[0]
    np.testing.assert_allclose(large.box / 2, first.box, atol=0.15 * first.box[2])
    x, y, width, height = first.box
    assert ((first.landmarks > (x, y)) & (first.landmarks < (x + width, y + height))).all()
    eyes, mouth = first.landmarks[:2], first.landmarks[3:]
    assert eyes[:, 1].max() < mouth[:, 1].min()
