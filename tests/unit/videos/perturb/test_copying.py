"""A picture that no step touches may be copied; whatever is not as those of a set are is coded."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from harness.core.challenge import SetSpec
from harness.core.errors import RecipeError
from harness.core.types import AppliedPerturbation
from harness.videos.perturb.copying import copied
from harness.videos.perturb.plans import Encoding, Plan, build_plan
from harness.videos.perturb.recipes import load_recipe
from harness.videos.perturb.steps import Canvas
from harness.videos.prepare import SourceVideo, prepare_set
from harness.videos.probe import probe
from harness.videos.ready_set import _recipe
from harness.videos.synthetic import ClipSpec, write_clip

RECIPE = """
name = "sound"
untouched = 0.0
[encode]
copy_untouched = true
[[kinds]]
name = "audio_removal"
"""
SIZE = (96, 64)


def write(path: Path, *, codec: str = "libx264", pixel_format: str = "yuv420p", **options: str) -> Path:
    """Twenty pictures with B-frames, and sound."""
    rng = np.random.default_rng(2)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = pixel_format
        sound: Any = container.add_stream("aac", rate=48_000, layout="mono")
        base = rng.integers(40, 200, (SIZE[1] // 8, SIZE[0] // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        for index in range(20):
            frame = av.VideoFrame.from_ndarray(np.roll(base, 2 * index, 1), "rgb24").reformat(
                format=pixel_format
            )
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        for index in range(37):
            samples = np.sin(np.arange(index * 1024, (index + 1) * 1024) / 20, dtype=np.float32)[None]
            tone = av.AudioFrame.from_ndarray(samples * 0.3, "fltp", "mono")
            tone.rate, tone.pts, tone.time_base = 48_000, index * 1024, Fraction(1, 48_000)
            container.mux(sound.encode(tone))
        container.mux(stream.encode(None))
        container.mux(sound.encode(None))
    return path


def planned(path: Path, *kinds: str) -> Plan:
    return build_plan(
        [AppliedPerturbation(name=name, severity=3) for name in kinds],
        recipe="t",
        set_seed=1,
        video_id="v",
        canvas=Canvas.of(probe(path)),
        encoding=Encoding(copy_untouched=True),
    )


def pictures(path: Path) -> list[tuple[float, bytes]]:
    """Times from the first one on, and samples, of all pictures."""
    with av.open(str(path)) as container:
        frames = [(frame.time or 0.0, frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]
    return [(round(time - frames[0][0], 4), content) for time, content in frames]


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


@pytest.mark.parametrize("name", ["in.mp4", "in.mov"])
def test_a_picture_that_no_step_touches_is_copied_and_the_sound_worked_on(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / name)
    out = tmp_path / "out.mp4"
    made = copied(source, probe(source), planned(source, "audio_noise"), out)
    assert made is not None
    assert made.has_audio
    assert made.frames == made.source_frames == 20
    assert packets(out) == packets(source)
    assert pictures(out) == pictures(source)
    with av.open(str(out)) as container:
        audio = container.streams.audio[0]
        assert (audio.rate, audio.layout.name) == (48_000, "stereo")
        assert abs(float(container.streams.video[0].start_time or 0)) == 0
    silent = copied(source, probe(source), planned(source, "audio_removal"), out)
    assert silent is not None
    assert not silent.has_audio
    assert packets(out) == packets(source)
    assert not probe(out).has_audio


@pytest.mark.parametrize(
    "kind", ["dots_jumping", "frame_rate", "crop", "hevc", "low_bitrate", "faster", "less_contrast"]
)
def test_what_a_step_touches_is_coded(tmp_path: Path, kind: str) -> None:
    source = write(tmp_path / "in.mp4")
    assert copied(source, probe(source), planned(source, kind), tmp_path / "out.mp4") is None
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("in.mkv", {}),
        ("in.mp4", {"codec": "mpeg4"}),
        ("in.mp4", {"pixel_format": "yuv444p"}),
        ("in.mp4", {"pixel_format": "yuvj420p"}),
    ],
    ids=["matroska", "MPEG-4", "4:4:4", "full range"],
)
def test_what_is_not_as_the_videos_of_a_set_are_is_coded(
    tmp_path: Path, name: str, how: dict[str, str]
) -> None:
    source = write(tmp_path / name, **how)
    assert copied(source, probe(source), planned(source, "audio_removal"), tmp_path / "out.mp4") is None


def prepared(tmp_path: Path, source: Path) -> tuple[Path, dict[str, Any]]:
    recipe = tmp_path / "sound.toml"
    recipe.write_text(RECIPE)
    done = prepare_set(
        sources=[SourceVideo(source_id="one.mp4", path=source)],
        recipe=load_recipe(recipe),
        set_seed=1,
        destination=tmp_path / "set",
        workers=0,
    )
    record = json.loads(done.manifest_path.read_text())["videos"][0]
    return done.videos[0].path, record


def test_a_set_says_which_videos_are_copies(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "one.mp4", ClipSpec(seed=1, frames=10))
    path, record = prepared(tmp_path, source)
    assert record["output"]["copied"] is True
    assert packets(path) == packets(source)


def test_a_damaged_picture_is_skipped_as_where_pictures_are_coded(tmp_path: Path) -> None:
    source = write(tmp_path / "in.mp4", bf="0", g="5")
    content = bytearray(source.read_bytes())
    at = content.index(packets(source)[7])
    content[at : at + len(packets(source)[7])] = b"\0\0\0\2\x61\xff" + bytes(len(packets(source)[7]) - 6)
    source.write_bytes(content)
    path, record = prepared(tmp_path, source)
    assert "copied" not in record["output"]
    assert packets(path) != packets(source)


def test_a_challenge_refuses_recipes_that_copy(tmp_path: Path) -> None:
    recipe = tmp_path / "sound.toml"
    recipe.write_text(RECIPE)
    spec = SetSpec(videos=tmp_path, labels=tmp_path / "labels.csv", recipe=str(recipe), seed=1)
    with pytest.raises(RecipeError, match="copy_untouched"):
        _recipe(spec)


def test_plans_that_do_not_ask_for_copies_say_nothing_of_them(tmp_path: Path) -> None:
    plain = tmp_path / "plain.toml"
    plain.write_text(RECIPE.replace("copy_untouched = true", "copy_untouched = false"))
    assert load_recipe(plain).encoding == Encoding()
    source = write(tmp_path / "in.mp4")
    canvas = Canvas.of(probe(source))
    without = build_plan([], recipe="t", set_seed=1, video_id="v", canvas=canvas).to_json()
    assert planned(source).to_json()["encoding"] == without["encoding"] | {"copy_untouched": True}
