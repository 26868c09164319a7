"""The entry as a whole, on sample videos and on what should not break it."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import training  # noqa: F401  (lets timm be imported beside a CPU build of torch)
from detector import pooling
from predictor import Predictor, Sighting, _persons

PACKAGE = Path(__file__).parents[3] / "submission"
SAMPLES = sorted((PACKAGE.parent / "sample_videos" / "public").glob("*.mp4"))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(PACKAGE)


def test_an_answer_is_a_clipped_probability_and_the_same_each_time(predictor: Predictor) -> None:
    first = predictor.predict(SAMPLES[0])
    assert pooling.CLIP <= first <= 1 - pooling.CLIP
    assert first != 0.5
    predictor.predict(SAMPLES[1])  # another video in between leaves no trace
    assert predictor.predict(SAMPLES[0]) == pytest.approx(first, abs=1e-6)
    assert predictor.counts.without_face == predictor.counts.undecodable == 0


def test_a_video_without_a_face_is_judged_counted_and_told(
    predictor: Predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "grey.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((96, 128, 3), 90, np.uint8), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    before = predictor.counts.without_face
    answer = predictor.predict(clip)
    assert pooling.CLIP <= answer <= 1 - pooling.CLIP
    assert predictor.counts.without_face == before + 1
    said = capsys.readouterr()
    assert "no face" in said.err
    assert said.out == ""  # standard output is not ours


def test_a_video_that_cannot_be_decoded_is_half_counted_and_told(
    predictor: Predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "broken.mp4"
    clip.write_bytes(b"\0" * 1000)
    before = predictor.counts.undecodable
    assert predictor.predict(clip) == 0.5
    assert predictor.counts.undecodable == before + 1
    assert "broken.mp4" in capsys.readouterr().err


def test_a_package_without_weights_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    name = "face_detection_yunet_2023mar.onnx"
    (tmp_path / "weights" / name).write_bytes((PACKAGE / "weights" / name).read_bytes())
    with pytest.raises(FileNotFoundError, match="no weights"):
        Predictor(tmp_path)


def test_persons_are_joined_over_stretches_by_place() -> None:
    def sighting(stretch: int, x: float, logit: float) -> Sighting:
        return Sighting(stretch=stretch, box=np.array([x, 0.0, 50.0, 50.0]), logits=np.full((3, 2), logit))

    got = _persons([sighting(0, 0, 2.0), sighting(0, 300, -2.0), sighting(1, 305, -2.0), sighting(1, 4, 2.0)])
    assert sorted((float(logits.mean()), logits.shape) for logits in got) == [(-2.0, (6, 2)), (2.0, (6, 2))]


def test_weights_stay_within_what_is_promised() -> None:
    files = [f for f in (PACKAGE / "weights").iterdir() if f.is_file()]
    assert sum(f.stat().st_size for f in files) <= 40_000_000
    assert {f.suffix for f in files} == {".safetensors", ".onnx", ".json"}
