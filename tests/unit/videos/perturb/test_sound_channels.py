"""Channels in an order of the container's own: PyAV ends the process on them if they are read plainly."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.videos.channels import ways_to_stereo
from harness.videos.perturb.plans import build_plan
from harness.videos.perturb.render import render
from harness.videos.perturb.steps import Canvas
from harness.videos.probe import probe

RATE, SAMPLES = 48_000, 9_600
NATIVE_5_1 = bytes.fromhex("00010000 0000003f")  # FL FR FC LFE BL BR, as a bit map
FILM_ORDER = bytes.fromhex("007c0006 00000000")  # kAudioChannelLayoutTag_MPEG_5_1_D: C L R Ls Rs LFE
DISCRETE = bytes.fromhex("00930006 00000000")  # six that nobody named


def quicktime(path: Path, channel: int, order: bytes) -> Path:
    """Write a fifth of a second with a tone in one of six channels, whose `chan` box says this order."""
    with av.open(str(path), "w", format="mov") as output:
        picture = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        sound = output.add_stream("pcm_s16le", rate=RATE)
        sound.codec_context.layout = "5.1"
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
        wave = np.zeros((SAMPLES, 6), np.int16)
        wave[:, channel] = 16_000 * np.sin(2 * np.pi * 1000 * np.arange(SAMPLES) / RATE)
        samples = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="5.1")
        samples.sample_rate, samples.pts, samples.time_base = RATE, 0, Fraction(1, RATE)
        output.mux(sound.encode(samples))
        output.mux(sound.encode(None))
    content = path.read_bytes()
    assert content.count(NATIVE_5_1) == 1
    path.write_bytes(content.replace(NATIVE_5_1, order))
    return path


def loudness(source: Path, target: Path) -> NDArray[np.float64]:
    """Left and right of what is rendered, as root mean squares; of all but the ends."""
    info = probe(source)
    assert info.audio_channels == 6
    plan = build_plan([], recipe="t", set_seed=1, video_id="v", canvas=Canvas.of(info))
    render(source, info, plan, target)
    with av.open(str(target)) as container:
        wave = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    middle = wave[:, 2400:7200].astype(float)
    return np.asarray(np.sqrt((middle**2).mean(1)))


@pytest.mark.parametrize(
    ("channel", "left", "right"),
    [
        (0, True, True),
        (1, True, False),
        (2, False, True),
        (3, True, False),
        (4, False, True),
        (5, False, False),
    ],
    ids=["centre", "left", "right", "left behind", "right behind", "bass"],
)
def test_channels_in_an_order_of_their_own_are_mixed_by_their_names(
    tmp_path: Path, channel: int, left: bool, right: bool
) -> None:
    heard = loudness(quicktime(tmp_path / "a.mov", channel, FILM_ORDER), tmp_path / "out.mp4") > 0.01
    assert heard.tolist() == [left, right]


def test_channels_without_names_are_heard(tmp_path: Path) -> None:
    assert loudness(quicktime(tmp_path / "a.mov", 0, DISCRETE), tmp_path / "out.mp4").max() > 0.01


def test_what_no_mixer_knows_ends_with_the_first_two() -> None:
    assert ways_to_stereo("20 channels", ())[-1] == ("pan=stereo|c0=c0|c1=c1",)
    assert ways_to_stereo("1 channels (BL)", ())[-1] == ("pan=stereo|c0=c0|c1=c0",)


@pytest.mark.parametrize("names", [("UNSD", "UNSD"), ("FL", "FL"), ("FL", "FR", "USR4")])
def test_names_that_say_nothing_map_nothing(names: tuple[str, ...]) -> None:
    assert all(
        "channelmap" not in text for way in ways_to_stereo(f"{len(names)} channels", names) for text in way
    )
