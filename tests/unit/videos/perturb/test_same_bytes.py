"""The kinds that no other catalogue has, on a person: the same bytes again, ahead, and in another process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import pytest

from harness.core.engines.local import LocalEngine
from harness.core.types import AppliedPerturbation
from harness.videos.perturb.plans import build_plan
from harness.videos.perturb.registry import catalogue
from harness.videos.perturb.render import render
from harness.videos.perturb.steps import Canvas
from harness.videos.probe import probe

pytestmark = pytest.mark.slow

PERSON = Path(__file__).parents[4] / "sample_videos" / "public" / "f305e2222a.mp4"
FRAMES = 9  # the face is looked for again after eight
KINDS = (
    "colour_quantisation",
    "chroma_subsampling",
    "exposure_pumping",
    "white_balance_drift",
    "lens_distortion",
    "rolling_shutter",
    "beauty_filter",
    "background_blur",
    "virtual_camera",
    "screenshot",
    "neural_smearing",
    "temporal_jitter",
    "stabilisation_crop",
    "watermark_tiling",
    "emoji_face",
    "speech_bubble",
)


@dataclass(frozen=True, kw_only=True)
class Work:
    source: Path
    kind: str
    severity: int
    target: Path
    ahead: bool = False


def rendered(work: Work) -> str:
    info = probe(work.source)
    plan = build_plan(
        [AppliedPerturbation(name=work.kind, severity=work.severity)],
        recipe="test",
        set_seed=3,
        video_id="person.mp4",
        canvas=Canvas.of(info),
    )
    render(work.source, info, plan, work.target, ahead=work.ahead)
    return hashlib.sha256(work.target.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few pictures of a person who moves, small, without loss."""
    path = tmp_path_factory.mktemp("person") / "person.mkv"
    with av.open(str(PERSON)) as reading, av.open(str(path), "w") as writing:
        stream = writing.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for index, frame in enumerate(islice(reading.decode(video=0), 0, 3 * FRAMES, 3)):
            small = frame.reformat(width=320, height=180, interpolation="AREA")
            small.pts, small.time_base = index, Fraction(1, 25)
            writing.mux(stream.encode(small))
        writing.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def elsewhere(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The hash of each kind, rendered in a fresh process, in another order."""
    folder = tmp_path_factory.mktemp("elsewhere")
    jobs = [
        Work(source=source, kind=kind, severity=4, target=folder / f"{kind}.mp4") for kind in reversed(KINDS)
    ]
    return {result.job.kind: result.unwrap() for result in LocalEngine(1).map(rendered, jobs)}


def test_they_are_in_the_catalogue() -> None:
    assert len(KINDS) == 16
    assert set(KINDS) <= catalogue().keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_is_rendered_to_the_same_bytes_again_ahead_and_in_another_process(
    kind: str, source: Path, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    once, again = (
        rendered(Work(source=source, kind=kind, severity=4, target=tmp_path / f"{ahead}.mp4", ahead=ahead))
        for ahead in (False, True)
    )
    assert once == again
    assert once == elsewhere[kind]
