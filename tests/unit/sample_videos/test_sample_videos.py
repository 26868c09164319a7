"""What the sample videos promise: faces, labels, variety, and that nothing but the picture tells."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "sample_videos"
SETS = ("public", "private")
FACE_MODEL = ROOT / "harness" / "videos" / "perturb" / "models" / "face_detection_yunet_2023mar.onnx"


@dataclass(frozen=True, kw_only=True)
class Clip:
    path: Path
    fake: bool
    method: str
    source: str
    identity: str
    set_name: str
    width: int
    height: int
    frames_per_second: float
    seconds: float
    codec: str
    audio: bool
    size: int
    streams: int

    @property
    def shape(self) -> tuple[object, ...]:
        return self.width, self.height, self.frames_per_second, self.seconds, self.audio, self.codec


@lru_cache(maxsize=1)
def clips() -> tuple[Clip, ...]:
    found = []
    for name in SETS:
        with (SAMPLES / name / "labels.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                path = SAMPLES / name / row["filename"]
                with av.open(str(path)) as container:
                    video = container.streams.video[0]
                    assert video.average_rate is not None
                    rate = float(video.average_rate)
                    found.append(
                        Clip(
                            path=path,
                            fake=row["label"] == "1",
                            method=row["method"],
                            source=row["source"],
                            identity=row["identity"],
                            set_name=name,
                            width=video.width,
                            height=video.height,
                            frames_per_second=rate,
                            seconds=video.frames / rate,
                            codec=video.codec_context.name,
                            audio=bool(container.streams.audio),
                            size=path.stat().st_size,
                            streams=len(container.streams),
                        )
                    )
    return tuple(found)


def pairs() -> list[tuple[Clip, Clip]]:
    by_source: dict[str, list[Clip]] = {}
    for clip in clips():
        by_source.setdefault(clip.source, []).append(clip)
    return [tuple(sorted(group, key=lambda clip: clip.fake)) for group in by_source.values()]  # type: ignore[misc]  # length is tested below


def luma(path: Path, count: int) -> list[npt.NDArray[np.uint8]]:
    """`count` frames spread over a clip, as grey pictures."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    chosen = np.linspace(0, len(frames) - 1, count).round().astype(int)
    return [np.asarray(frames[index].to_ndarray(format="gray"), dtype=np.uint8) for index in chosen]


def test_labels_name_every_video_and_no_other() -> None:
    for name in SETS:
        labelled = {clip.path.name for clip in clips() if clip.set_name == name}
        assert labelled == {path.name for path in (SAMPLES / name).glob("*.mp4")}


def test_each_set_is_half_real_and_half_fake_and_together_at_least_24() -> None:
    for name in SETS:
        labels = Counter(clip.fake for clip in clips() if clip.set_name == name)
        assert labels[True] == labels[False]
    assert len(clips()) >= 24


def test_all_together_stay_under_ten_megabytes() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) <= 10_000_000


def test_every_clip_is_h264_of_three_to_six_seconds() -> None:
    for clip in clips():
        assert clip.codec == "h264"
        assert 3 <= clip.seconds <= 6, clip


def test_at_least_four_methods_in_each_set_and_reals_say_real() -> None:
    for name in SETS:
        assert len({clip.method for clip in clips() if clip.set_name == name and clip.fake}) >= 4
    assert {clip.method for clip in clips() if not clip.fake} == {"real"}
    assert "real" not in {clip.method for clip in clips() if clip.fake}


def test_the_formats_vary_as_promised() -> None:
    rates = {clip.frames_per_second for clip in clips()}
    short_sides = {min(clip.width, clip.height) for clip in clips()}
    assert (min(rates), max(rates)) == (12, 30)
    assert (min(short_sides), max(short_sides)) == (240, 720)
    assert {clip.width > clip.height for clip in clips()} == {True, False}
    assert {clip.audio for clip in clips()} == {True, False}


def test_a_real_and_its_fake_share_source_and_format() -> None:
    for group in pairs():
        assert [clip.fake for clip in group] == [False, True]
        real, fake = group
        assert real.shape == fake.shape
        assert (real.identity, real.set_name) == (fake.identity, fake.set_name)


def test_sets_share_no_person_and_no_moment() -> None:
    people = [{clip.identity for clip in clips() if clip.set_name == name} for name in SETS]
    assert not people[0] & people[1]
    ranges: dict[str, list[tuple[float, float]]] = {}
    for source in {clip.source for clip in clips()}:
        match = re.fullmatch(r"(\S+\.mp4) (\d+\.\d+)-(\d+\.\d+) s", source)
        assert match, source
        ranges.setdefault(match[1], []).append((float(match[2]), float(match[3])))
    for spans in ranges.values():
        for (_, end), (start, _) in itertools.pairwise(sorted(spans)):
            assert end <= start


def test_file_names_say_nothing() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{10}\.mp4", clip.path.name) for clip in clips())
    for name in SETS:
        ordered = sorted((clip for clip in clips() if clip.set_name == name), key=lambda clip: clip.path.name)
        auc = roc_auc_score([clip.fake for clip in ordered], np.arange(len(ordered)))
        assert 0.2 < auc < 0.8


def test_size_and_format_predict_no_label() -> None:
    features = np.array(
        [
            [
                c.size,
                c.size / c.seconds,
                c.seconds,
                c.frames_per_second,
                c.width,
                c.height,
                c.audio,
                c.streams,
            ]
            for c in clips()
        ],
        dtype=np.float64,
    )
    labels = np.array([clip.fake for clip in clips()])
    for column in features.T:  # alone, in either direction
        assert abs(roc_auc_score(labels, column) - 0.5) < 0.1
    groups = np.array([hash(clip.source) for clip in clips()])
    model = make_pipeline(StandardScaler(), LogisticRegression())
    scores = cross_val_predict(
        model, features, labels, groups=groups, cv=GroupKFold(8), method="predict_proba"
    )[:, 1]
    # the standard error of an AUC of 0.5 with 16 of each label is about 0.1
    assert abs(roc_auc_score(labels, scores) - 0.5) < 0.2


def test_within_pairs_the_fake_is_as_often_the_larger_file() -> None:
    larger = sum(fake.size > real.size for real, fake in pairs())
    assert abs(larger - len(pairs()) / 2) <= 3


def test_no_encoder_or_tool_left_its_settings_in_a_file() -> None:
    for clip in clips():
        data = clip.path.read_bytes()
        for trace in (b"x264", b"crf=", b"Lavf", b"Lavc", b"isommp42\xa9"):
            assert trace not in data, (clip.path.name, trace)
        with av.open(str(clip.path)) as container:
            assert "creation_time" not in container.metadata
            assert not {"encoder", "title", "comment"} & set(container.metadata)


@pytest.mark.parametrize("name", SETS)
def test_a_face_detector_finds_the_face(name: str) -> None:
    for clip in (clip for clip in clips() if clip.set_name == name):
        with av.open(str(clip.path)) as container:
            frames = list(container.decode(video=0))
        places = np.linspace(0, len(frames) - 1, 4).astype(int)
        chosen = [frames[index].to_ndarray(format="bgr24") for index in places]
        scale = 360 / max(chosen[0].shape[:2])
        found = 0
        for frame in chosen:
            small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            detector = cv2.FaceDetectorYN.create(str(FACE_MODEL), "", (small.shape[1], small.shape[0]), 0.7)
            _, faces = detector.detect(small)
            found += faces is not None and len(faces) == 1
        assert found == 4, clip.path.name


def test_a_fake_differs_from_its_real_in_the_face_and_nowhere_else() -> None:
    for real, fake in pairs():
        change = np.zeros((36, 36))
        for a, b in zip(luma(real.path, 5), luma(fake.path, 5), strict=True):
            small = cv2.resize(cv2.absdiff(a, b), (36, 36), interpolation=cv2.INTER_AREA)
            change += small.astype(np.float64)
        border = np.concatenate([change[0], change[-1], change[:, 0], change[:, -1]])
        assert change.max() > 8 * np.median(border), (real.path.name, fake.path.name, fake.method)
        assert np.median(border) / 5 < 3
