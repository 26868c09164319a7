"""Promises that every kind keeps, held over the whole catalogue through the real renderer."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.core.errors import RecipeError
from harness.core.types import AppliedPerturbation
from harness.videos.perturb.plans import Plan, build_plan
from harness.videos.perturb.registry import SEVERITIES, AudioEffect, Family, catalogue, find, generator
from harness.videos.perturb.render import render
from harness.videos.perturb.steps import Canvas, to_json
from harness.videos.perturb.verify import Verified, verify
from harness.videos.probe import VideoInfo, probe
from harness.videos.synthetic import ClipSpec, write_clip

pytestmark = pytest.mark.slow

KINDS = tuple(catalogue())
CLIP = ClipSpec(width=256, height=192, frames=24)

# Kinds without degrees: all severities are the same.
NO_DEGREES = {"audio_removal"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", CLIP)


@pytest.fixture(scope="module")
def info(source: Path) -> VideoInfo:
    return probe(source)


class Output:
    """A rendered and verified file, read back; each thing of it once."""

    def __init__(self, path: Path, plan: Plan, verified: Verified) -> None:
        self.path, self.plan, self.verified = path, plan, verified
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    @functools.cached_property
    def _decoded(self) -> list[tuple[float, NDArray[np.uint8]]]:
        with av.open(str(self.path)) as container:
            return [
                (float(frame.time), np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
                for frame in container.decode(video=0)
            ]

    @property
    def frames(self) -> list[NDArray[np.uint8]]:
        """(h, w, 3) RGB of every frame."""
        return [picture for _, picture in self._decoded]

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self._decoded]

    @functools.cached_property
    def sound(self) -> NDArray[np.float32]:
        """(samples,) of the left channel; empty without sound."""
        with av.open(str(self.path)) as container:
            if not container.streams.audio:
                return np.zeros(0, np.float32)
            return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def make(
    source: Path, info: VideoInfo, folder: Path, *chosen: tuple[str, int], set_seed: int = 7, tag: str = ""
) -> Output:
    plan = build_plan(
        [AppliedPerturbation(name=name, severity=severity) for name, severity in chosen],
        recipe="test",
        set_seed=set_seed,
        video_id="clip.mp4",
        canvas=Canvas.of(info),
    )
    path = folder / f"{'+'.join(f'{name}{severity}' for name, severity in chosen) or 'control'}{tag}.mp4"
    return Output(path, plan, verify(path, plan, render(source, info, plan, path)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rendered")


@pytest.fixture(scope="module")
def control(source: Path, info: VideoInfo, folder: Path) -> Output:
    return make(source, info, folder)


def distance(one: Output, other: Output) -> float:
    """How far two videos are apart to an eye and an ear: sampled over time, brought to one size.

    Mean of the absolute differences of pictures at equal times, of their sharpness and noise (Laplacian), of
    timing, and of sound. 0 for equal videos.
    """
    return picture_distance(one, other) + sound_distance(one, other)


def picture_distance(one: Output, other: Output) -> float:
    pairs = list(_at_equal_times(one, other))
    pixels = np.mean([cv2.norm(a, b, cv2.NORM_L1) / a.size for a, b in pairs])
    frames = 100 * abs(len(one.times) - len(other.times)) / len(other.times)
    ours, theirs = one.verified, other.verified
    squeezed = abs(np.log(ours.width / ours.height * theirs.height / theirs.width))
    return float(pixels + frames + 20 * squeezed)


def _at_equal_times(one: Output, other: Output) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    ours, theirs = one.frames, other.frames
    our_times, their_times = np.array(one.times), np.array(other.times)
    height, width = theirs[0].shape[:2]
    for index, time in enumerate(their_times):
        frame = ours[max(0, int(np.searchsorted(our_times, time + 1e-3)) - 1)]
        if frame.shape[:2] != (height, width):
            frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
        yield frame, theirs[index]


def sound_distance(one: Output, other: Output) -> float:
    ours, theirs = one.sound, other.sound
    if np.array_equal(ours, theirs):
        return 0.0
    length = max(len(ours), len(theirs))
    padded = [np.pad(item, (0, length - len(item))) for item in (ours, theirs)]
    if not length or not (len(ours) and len(theirs)):
        return 255.0 * (len(ours) != len(theirs))
    return float(np.abs(padded[0] - padded[1]).mean() * 255) + 100 * abs(lag_seconds(padded[0], padded[1]))


def lag_seconds(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """By how much one sound comes later, where they fit best; 48,000 samples a second."""
    size = 2 * len(one)
    fit = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)))
    best = int(np.argmax(fit))
    return (best if best < len(one) else best - size) / 48_000


def test_the_catalogue_is_as_large_as_promised() -> None:
    assert len(catalogue()) >= 45
    contest = [kind for kind in catalogue().values() if kind.in_contest]
    assert len([kind for kind in contest if kind.family is Family.AUGMENTER]) >= 11
    assert len([kind for kind in contest if kind.family is Family.DISTRACTOR]) >= 8


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_says_what_it_imitates_in_which_unit_and_from_where(name: str) -> None:
    kind = find(name)
    assert kind.imitates.endswith(".")
    assert kind.unit
    assert kind.source


@pytest.mark.parametrize("name", KINDS)
def test_a_plan_depends_only_on_seed_video_and_kind(name: str, info: VideoInfo) -> None:
    canvas = Canvas.of(info)
    for severity in SEVERITIES:
        first = find(name).step(severity, generator(1, "a.mp4", name), canvas)
        again = find(name).step(severity, generator(1, "a.mp4", name), canvas)
        assert to_json(first) == to_json(again)


@pytest.mark.parametrize("severity", [0, 6, -1])
def test_a_severity_outside_the_table_is_refused(severity: int, info: VideoInfo) -> None:
    with pytest.raises(RecipeError, match="use 1 to 5"):
        find("noise").step(severity, generator(1, "a", "noise"), Canvas.of(info))


def test_an_unknown_kind_lists_what_there_is() -> None:
    with pytest.raises(RecipeError, match="gaussian_blur"):
        find("gausian_blur")


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_keeps_every_promise(
    name: str, source: Path, info: VideoInfo, folder: Path, control: Output
) -> None:
    """Planned shape, a change from severity 1, more at 5, sound as said; the same bytes again, also ahead."""
    mild = make(source, info, folder, (name, 1))
    harsh = make(source, info, folder, (name, 5))
    for output in (mild, harsh):
        expected = output.plan.expected
        assert (output.verified.width, output.verified.height) == (expected.width, expected.height)
        times = output.times
        assert times[0] == 0
        assert all(later > earlier for earlier, later in itertools.pairwise(times))
    assert distance(mild, control) > 0.15, "severity 1 changes nothing that can be seen or heard"
    if name not in NO_DEGREES:
        assert distance(harsh, control) > 1.2 * distance(mild, control)
    match find(name).audio:
        case AudioEffect.REMOVED:
            assert not harsh.verified.has_audio
        case AudioEffect.KEPT:
            assert sound_distance(harsh, control) < 0.01
        case AudioEffect.CHANGED:
            assert harsh.verified.has_audio
            assert sound_distance(harsh, control) > 0.2
    again = folder / f"{name}-again.mp4"
    render(source, info, harsh.plan, again, ahead=True)
    assert hashlib.sha256(again.read_bytes()).hexdigest() == harsh.sha256


@pytest.mark.parametrize("name", ["noise", "text_jumping", "perspective", "packet_loss", "dropped_frames"])
def test_another_seed_gives_another_video(name: str, source: Path, info: VideoInfo, folder: Path) -> None:
    first = make(source, info, folder, (name, 5))
    assert first.sha256 not in {
        make(source, info, folder, (name, 5), set_seed=seed, tag="-other").sha256 for seed in (8, 9)
    }


def test_the_control_is_the_source_again(control: Output, source: Path, info: VideoInfo) -> None:
    with av.open(str(source)) as container:
        before = [frame.to_ndarray(format="rgb24").astype(float) for frame in container.decode(video=0)]
    after = control.frames
    assert len(before) == len(after)
    pairs = list(zip(before, after, strict=True))
    assert np.mean([np.abs(a - b).mean() for a, b in pairs]) < 5
    shifts = np.mean([(b - a).mean((0, 1)) for a, b in pairs], axis=0)
    assert np.abs(shifts).max() < 0.5, "re-encoding moves a colour"
    assert control.verified.duration_seconds == pytest.approx(info.duration_seconds, abs=0.01)
    assert not control.plan.steps
