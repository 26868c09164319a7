"""The arithmetic behind the sample videos' fakes."""

from __future__ import annotations

import io
import itertools
import sys
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))  # `sample_videos` is not an installed package

from sample_videos.making import blend, compose, encode, geometry, layout, resynthesis, swap, timeline, warp
from sample_videos.making.fakes import Footage, face_region, make_fake
from sample_videos.making.mean_face import MEAN_FACE
from sample_videos.making.plan import FORMATS, SETS, STRETCHES, Fake
from sample_videos.making.tracking import FaceNotFoundError, smooth_track

pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 200, 240
Image = npt.NDArray[np.uint8]


def face_at(left: float = 60, top: float = 40, size: float = 120) -> layout.Points:
    return (MEAN_FACE * size + (left, top)).astype(np.float32)


def texture(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Image:
    """A smooth colourful picture, so that interpolation errors stay small."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 200, (6, 6, 3)).astype(np.float32)
    import cv2

    return np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(
        np.uint8
    )


def difference(a: Image, b: Image) -> npt.NDArray[np.int16]:
    return np.abs(a.astype(np.int16) - b.astype(np.int16))


def test_the_mean_face_is_upright_symmetric_and_one_high() -> None:
    assert MEAN_FACE.shape == (layout.POINT_COUNT, 2)
    assert np.ptp(MEAN_FACE[:, 1]) == pytest.approx(1, abs=1e-3)
    left, right, *_ = layout.five_points(MEAN_FACE)
    assert left[1] == pytest.approx(right[1], abs=1e-3)
    assert left[0] + right[0] == pytest.approx(1, abs=1e-3)


def test_similarity_recovers_a_known_turn_scale_and_shift() -> None:
    angle, scale = 0.3, 1.7
    known = np.array(
        [
            [scale * np.cos(angle), -scale * np.sin(angle), 5.0],
            [scale * np.sin(angle), scale * np.cos(angle), -9.0],
        ]
    )
    moved = layout.transform(known, MEAN_FACE)
    assert np.allclose(layout.similarity(MEAN_FACE, moved), known, atol=1e-4)


def test_dense_points_from_five_lie_where_the_five_say() -> None:
    truth = face_at(left=20, top=70, size=90)
    assert np.allclose(layout.from_five(layout.five_points(truth), MEAN_FACE), truth, atol=0.01)


def test_a_mesh_map_between_equal_points_moves_nothing() -> None:
    points = face_at()
    mapping = geometry.mesh_map(points, points, geometry.face_triangles(), height=HEIGHT, width=WIDTH)
    assert np.abs(mapping - geometry.identity_map(HEIGHT, WIDTH)).max() < 1e-2


def test_a_mesh_map_carries_landmarks_to_their_targets() -> None:
    source, target = face_at(), face_at(left=75, top=35, size=110)
    mapping = geometry.mesh_map(source, target, geometry.face_triangles(), height=HEIGHT, width=WIDTH)
    for index in (30, 48, 54, 36, 45):  # nose tip, mouth corners, outer eye corners
        x, y = np.round(target[index]).astype(int)
        assert np.linalg.norm(mapping[y, x] - source[index]) < 1.5


def test_triangles_cover_the_face_once() -> None:
    points = MEAN_FACE * 500
    corners = points[geometry.face_triangles()]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / 2
    import cv2

    assert area == pytest.approx(cv2.contourArea(cv2.convexHull(points)), rel=0.02)


def test_smoothing_keeps_constants_and_length_and_removes_jitter() -> None:
    constant = np.full((30, 4), 3.5)
    assert np.allclose(compose.smooth_over_time(constant, 2.0), constant)
    jitter = np.tile([[1.0], [-1.0]], (15, 1))
    smooth = compose.smooth_over_time(jitter, 2.0)
    assert smooth.shape == jitter.shape
    assert np.abs(smooth[8:-8]).max() < 0.01


def test_colour_transfer_reaches_the_target_mean() -> None:
    mask = np.ones((HEIGHT, WIDTH), dtype=np.float32)
    a, b = texture(1), texture(2)
    source, target = compose.colour_statistics(a, mask), compose.colour_statistics(b, mask)
    moved = compose.colour_statistics(compose.transfer_colour(a, source, target), mask)
    assert np.abs(moved.mean - target.mean).max() < 3


@pytest.mark.parametrize("name", sorted(compose.BLENDS))
def test_no_blend_touches_what_lies_far_from_the_mask(name: str) -> None:
    frame, face = texture(1), texture(2)
    mask = compose.polygon_mask(compose.outline(face_at(90, 60, 70)), height=HEIGHT, width=WIDTH, feather=4)
    changed = difference(compose.BLENDS[name](face, frame, mask), frame).max(axis=2)
    assert changed[:10].max() <= 1
    assert changed[-10:].max() <= 1
    assert changed[mask > 0.9].mean() > 2


@pytest.mark.parametrize("name", sorted(compose.BLENDS))
def test_an_empty_mask_leaves_the_frame(name: str) -> None:
    frame = texture(1)
    empty = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    assert difference(compose.BLENDS[name](texture(2), frame, empty), frame).max() <= 1


def test_a_face_swapped_with_itself_hardly_changes() -> None:
    frame, points = texture(3), face_at()
    settings = swap.SwapSettings(blend="alpha", shape=0.3)
    assert difference(swap.swap_face(frame, points, frame, points, settings), frame).mean() < 1.5


def test_a_swap_keeps_the_targets_jaw() -> None:
    target, donor = face_at(), face_at(0, 0, 60) * np.array([1.2, 1.0], dtype=np.float32)
    goal = swap.shared_shape(target, donor.astype(np.float32), 0.8)
    assert np.array_equal(goal[layout.JAW], target[layout.JAW])
    assert np.abs(goal - target).max() > 1


def test_matching_finds_a_clip_in_itself() -> None:
    rng = np.random.default_rng(5)
    moves = timeline.drift(rng, 40, sigma=4.0)
    track = [warp.moved_points(face_at(), warp.Expression(jaw_drop=0.2 * float(move))) for move in moves]
    assert swap.match_frames(track, track) == list(range(40))


def test_a_jump_becomes_a_cross_fade_that_ends_where_it_should() -> None:
    mixed = swap.fade_jumps([0, 1, 2, 3, 4, 50, 51, 52, 53, 54], fade=2)
    weights = [weight for _, _, weight in mixed[3:7]]
    assert weights == sorted(weights)
    assert mixed[3][:2] == (3, 50)
    assert mixed[6][:2] == (4, 51)
    assert mixed[0] == (0, 0, 0.0)
    assert mixed[9] == (54, 54, 0.0)


def test_no_change_of_expression_is_no_change_of_picture() -> None:
    frame, points = texture(4), face_at()
    assert np.allclose(warp.moved_points(points, warp.Expression()), points, atol=1e-3)
    assert difference(warp.warp_expression(frame, points, warp.Expression()), frame).max() <= 2


def test_a_jaw_drop_opens_the_mouth_and_leaves_the_eyes() -> None:
    points = face_at()
    moved = warp.moved_points(points, warp.Expression(jaw_drop=0.3))
    unit = layout.interocular(points)
    assert moved[66, 1] - points[66, 1] == pytest.approx(0.3 * unit, rel=0.1)
    assert moved[62, 1] == pytest.approx(points[62, 1], abs=1e-3)
    assert np.array_equal(moved[layout.LEFT_EYE], points[layout.LEFT_EYE])


def test_a_warp_turns_with_the_face() -> None:
    quarter = np.array([[0.0, -1.0, 200.0], [1.0, 0.0, 0.0]])
    change = warp.Expression(smile=0.1, jaw_drop=0.2, eye_size=0.2, slim=0.1)
    upright = layout.transform(quarter, warp.moved_points(face_at(), change))
    turned = warp.moved_points(layout.transform(quarter, face_at()), change)
    assert np.allclose(upright, turned, atol=1e-2)


def test_a_full_face_space_gives_the_texture_back_and_a_small_one_does_not() -> None:
    textures = [texture(seed, 32, 32) for seed in range(8)]
    full = resynthesis.fit_face_space(textures, components=7)
    small = resynthesis.fit_face_space(textures, components=2)
    errors = [
        float(difference(space.decode(space.encode(textures[3])), textures[3]).mean())
        for space in (full, small)
    ]
    assert errors[0] < 0.6
    assert errors[1] > 3 * errors[0]


def test_a_face_space_needs_more_textures_than_components() -> None:
    with pytest.raises(ValueError, match="3 components need more than 3 textures"):
        resynthesis.fit_face_space([texture(seed, 16, 16) for seed in range(3)], components=3)


def test_texture_and_placing_are_each_others_inverse() -> None:
    frame, points = texture(6), face_at()
    face = resynthesis.face_texture(frame, points)
    back = resynthesis.placed_texture(face, points, height=HEIGHT, width=WIDTH)
    inside = compose.polygon_mask(compose.outline(points), height=HEIGHT, width=WIDTH, feather=3) > 0.9
    assert difference(back, frame)[inside].mean() < 2


def test_a_driver_learns_a_linear_law_and_stays_within_two_deviations() -> None:
    rng = np.random.default_rng(0)
    moves = timeline.drift(rng, 60, sigma=3.0)
    track = [warp.moved_points(face_at(), warp.Expression(jaw_drop=0.2 * float(m))) for m in moves]
    driver = resynthesis.fit_driver(track, [np.array([10 * m, 1.0]) for m in moves], ridge=1e-6)
    driven = np.stack(driver.drive(track))
    truth = 10 * moves
    reach = 2 * truth.std()
    assert np.abs(truth - truth.mean()).max() > reach  # else the second promise is not tried
    assert np.abs(driven[:, 0] - np.clip(truth, truth.mean() - reach, truth.mean() + reach)).max() < 0.3
    assert np.allclose(driven[:, 1], 1.0, atol=1e-3)


def test_curves_stay_in_bounds_and_move_slowly() -> None:
    for seed in range(5):
        curve = timeline.drift(np.random.default_rng(seed), 100, sigma=10.0)
        assert np.abs(curve).max() == pytest.approx(1)
        assert np.abs(np.diff(curve)).max() < 0.25
        openings = timeline.pulses(np.random.default_rng(seed), 100, period=8)
        assert openings.min() >= 0
        assert 0.3 < openings.max() <= 1


def test_a_self_blend_is_steady_over_time() -> None:
    frame, points = texture(7), face_at()
    settings = blend.draw_settings(np.random.default_rng(1))
    made = blend.self_blend_clip([frame] * 20, [points] * 20, settings, np.random.default_rng(2))
    assert difference(made[0], frame).max() > 5
    steps = [difference(a, b).mean() for a, b in itertools.pairwise(made)]
    assert max(steps) < 1.0


def test_gaps_in_a_track_are_bridged_and_long_ones_refused() -> None:
    track = np.stack([face_at(left=60 + index) for index in range(20)])
    holed = track.copy()
    holed[8:11] = np.nan
    assert np.abs(smooth_track(holed)[5:15] - track[5:15]).max() < 0.1
    holed[5:15] = np.nan
    with pytest.raises(FaceNotFoundError, match="frame 5"):
        smooth_track(holed)


def test_same_seed_same_fake_and_far_pixels_are_the_real_ones() -> None:
    clip = Footage(frames=[texture(8)] * 6, track=[face_at(90, 60, 60)] * 6)

    def once() -> list[Image]:
        rng = np.random.default_rng([1, 2])
        return make_fake(clip, Fake(method="warp"), donor=None, frames_per_second=25, rng=rng)

    first, second = once(), once()
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    left, top, right, bottom = face_region(clip)
    outside = np.ones((HEIGHT, WIDTH), dtype=bool)
    outside[top:bottom, left:right] = False
    assert all(np.array_equal(made[outside], clip.frames[0][outside]) for made in first)
    assert any(difference(made, clip.frames[0]).max() > 5 for made in first)


def test_an_unknown_method_or_a_missing_donor_is_refused() -> None:
    clip = Footage(frames=[texture(8)], track=[face_at()])
    for method in ("face_swap", "no_such"):
        with pytest.raises(ValueError, match=method):
            make_fake(
                clip, Fake(method=method), donor=None, frames_per_second=25, rng=np.random.default_rng(0)
            )


def test_an_encode_hits_its_size_and_tells_nothing_of_how() -> None:
    rng = np.random.default_rng(3)
    frames = [
        np.clip(texture(9) + rng.normal(0, 6, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8) for _ in range(24)
    ]
    audio = encode.room_tone(rng, 1.0)
    data, factor = encode.encode_to_size(frames, frames_per_second=24, target_bytes=60_000, audio=audio)
    assert len(data) == pytest.approx(60_000, rel=0.01)
    for trace in (b"x264", b"crf=", b"Lavf", b"Lavc"):
        assert trace not in data
    assert encode.encode(frames, frames_per_second=24, crf=factor, audio=audio) == data
    with av.open(io.BytesIO(data), "r") as container:
        assert sum(1 for _ in container.decode(video=0)) == 24
        assert container.streams.audio


def test_crops_keep_their_aspect_inside_the_frame() -> None:
    for form in FORMATS:
        crop = encode.place_crop(
            [face_at()],
            frame_size=(WIDTH, HEIGHT),
            aspect=form.width / form.height,
            zoom=1.2,
            offset=(0.3, -0.3),
        )
        assert crop.left >= 0
        assert crop.top >= 0
        assert crop.left + crop.width <= WIDTH
        assert crop.top + crop.height <= HEIGHT
        assert crop.width / crop.height == pytest.approx(form.width / form.height, rel=0.02)


def test_no_clip_shows_frames_from_which_faces_are_borrowed() -> None:
    used: dict[str, list[tuple[int, int]]] = {}
    for plan in SETS:
        assert len(plan.pairs) == len(FORMATS)
        for pair, form in zip(plan.pairs, FORMATS, strict=True):
            stop = pair.first_frame + form.frames * form.step
            used.setdefault(pair.source, []).append((pair.first_frame, stop))
    for stretch in (part for parts in STRETCHES.values() for part in parts):
        for first, stop in used[stretch.source]:
            assert stop <= stretch.first_frame or first >= stretch.stop_frame
