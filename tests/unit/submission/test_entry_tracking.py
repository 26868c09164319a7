"""Following faces over synthetic paths."""

import numpy as np
import pytest
from detector.tracking import link, overlap


def _box(x: float, y: float = 0.0, side: float = 100.0) -> np.ndarray:
    return np.array([x, y, side, side])


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 1.0), (50.0, 1 / 3), (100.0, 0.0), (300.0, 0.0)])
def test_overlap(shift: float, expected: float) -> None:
    assert overlap(_box(0), _box(shift)) == pytest.approx(expected)


def test_overlap_of_nothing_is_zero() -> None:
    assert overlap(np.zeros(4), np.zeros(4)) == 0.0


def test_two_persons_walking_in_step_stay_two() -> None:
    sightings = [(f, [_box(200 + 10 * f), _box(0 + 10 * f)]) for f in range(10)]
    tracks = link(sightings)
    assert len(tracks) == 2
    for track, start in zip(tracks, (200, 0), strict=True):
        assert [track.boxes[f][0] for f in range(10)] == [start + 10 * f for f in range(10)]


def test_the_order_of_detections_within_a_frame_does_not_matter() -> None:
    sightings = [(f, [_box(0), _box(300)][:: 1 if f % 2 else -1]) for f in range(6)]
    assert sorted(len(t.boxes) for t in link(sightings)) == [6, 6]


def test_the_better_overlap_wins() -> None:
    # One person, and then two boxes that both overlap: the nearer one goes on.
    tracks = link([(0, [_box(0)]), (1, [_box(60), _box(10)])])
    assert tracks[0].boxes[1][0] == 10
    assert tracks[1].boxes.keys() == {1}


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    assert len(link([(0, [_box(0)]), (4, [_box(0)])])) == 1
    assert len(link([(0, [_box(0)]), (5, [_box(0)])])) == 2


def test_a_cut_starts_a_new_person() -> None:
    assert len(link([(0, [_box(0)]), (1, [_box(400)])])) == 2


def test_no_sightings_no_tracks() -> None:
    assert link([(0, []), (1, [])]) == []
