"""Planted leaks are caught, one kind a test, in sets of two dozen tiny clips; sets without any are clean."""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from rich.console import Console

from harness.cli.documents.videos import AuditDocument
from harness.cli.views.audit import render_audit
from harness.core.challenge import Challenge, load_challenge
from harness.core.engines.local import LocalEngine
from harness.core.types import AppliedPerturbation, PreparedVideo, SetName
from harness.diagnose.audit import AuditProgress, audit_challenge
from harness.diagnose.audit.report import AuditReport, Subject, rules_markdown
from harness.diagnose.audit.sets import Fed, audit_set, judged
from harness.diagnose.audit.traits import Traits, TraitsJob, read_traits
from harness.package.findings import Severity
from harness.videos.labels import Label
from harness.videos.prepared_set import PreparedSet

pytestmark = pytest.mark.slow

COUNT = 24


@dataclass(frozen=True, kw_only=True)
class Making:
    """How one clip is made. What is drawn here is drawn without a look at the label."""

    seed: int  # of what moves in it
    size: tuple[int, int] = (64, 48)
    rate: int = 8
    frames: int = 16
    codec: str = "libx264"
    preset: str = "ultrafast"
    quality: int = 28
    key_frames: int = 16
    metadata: tuple[tuple[str, str], ...] = ()
    loudness: float | None = 0.1  # amplitude; None: no audio
    audio_rate: int = 16000
    mirrored: bool = False
    seconds_cut: float = 0.0  # from the start


def pictures(making: Making) -> np.ndarray:
    """A textured square that wanders over a textured ground, uint8 (frames, height, width)."""
    rng = np.random.default_rng(making.seed)
    width, height = making.size
    ground = np.kron(rng.integers(40, 216, (6, 8)), np.ones((height // 6, width // 8)))
    path = np.cumsum(rng.normal(0, 4, (making.frames, 2)), axis=0)
    clip = np.repeat(ground[None], making.frames, axis=0)
    for picture, (x, y) in zip(clip, path, strict=True):
        left, top = int(np.clip(width / 2 + x, 0, width - 17)), int(np.clip(height / 2 + y, 0, height - 17))
        picture[top : top + 16, left : left + 16] = 255 - picture[top : top + 16, left : left + 16]
    kept = clip[round(making.seconds_cut * making.rate) :]
    return (kept[:, :, ::-1] if making.mirrored else kept).astype(np.uint8)


def make(making: Making, path: Path) -> None:
    options = {"fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", container_options=options) as container:
        container.metadata.update(making.metadata)
        video = container.add_stream(making.codec, rate=making.rate)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = *making.size, "yuv420p"
        video.codec_context.gop_size = making.key_frames
        video.codec_context.thread_count = 1
        if making.codec == "libx264":
            video.codec_context.options = {
                "crf": str(making.quality),
                "preset": making.preset,
                "sc_threshold": "0",
            }
        sound = None if making.loudness is None else container.add_stream("aac", rate=making.audio_rate)
        for index, picture in enumerate(pictures(making)):
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, making.rate)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if sound is not None:
            count = making.frames * making.audio_rate // making.rate
            wave = making.loudness * np.sin(np.arange(count) * 2 * np.pi * 220 / making.audio_rate)
            samples = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
            samples.sample_rate, samples.pts = making.audio_rate, 0
            container.mux(sound.encode(samples))
            container.mux(sound.encode())


def law(seed: int) -> Making:
    """The law of the clean sets: formats vary, and know nothing of labels."""
    rng = np.random.default_rng([seed, 77])
    return Making(
        seed=seed,
        rate=int(rng.choice([6, 8])),
        frames=int(rng.integers(12, 17)),
        quality=int(rng.integers(24, 34)),
        loudness=float(rng.uniform(0.02, 0.3)) if rng.random() < 0.6 else None,
    )


@dataclass(kw_only=True)
class Row:
    """One row of labels.csv, and how its clip is made."""

    name: str
    making: Making
    fake: bool
    source: str = ""
    identity: str = ""
    modified: int = 1_600_000_000


def clean_rows(name: str) -> list[Row]:
    first = {"public": 1000, "private": 2000}[name]
    rng = np.random.default_rng(first)
    fakes = rng.permutation(COUNT) % 2 == 0
    return [
        Row(
            name=f"{rng.bytes(6).hex()}.mp4",
            making=law(first + index),
            fake=bool(fake),
            identity=f"{name}{index}",
        )
        for index, fake in enumerate(fakes)
    ]


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Making], Path]:
    """Each clip is encoded once for all tests."""
    folder = tmp_path_factory.mktemp("clips")

    @functools.cache
    def path_of(making: Making) -> Path:
        path = folder / f"{hashlib.sha256(repr(making).encode()).hexdigest()}.mp4"
        make(making, path)
        return path

    return path_of


Build = Callable[[list[Row], list[Row]], Challenge]


@pytest.fixture
def build(tmp_path: Path, kept: Callable[[Making], Path]) -> Build:
    def built(public: list[Row], private: list[Row]) -> Challenge:
        for name, rows in (("public", public), ("private", private)):
            folder = tmp_path / name
            folder.mkdir()
            with (tmp_path / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["filename", "label", "method", "source", "identity"])
                for row in rows:
                    shutil.copyfile(kept(row.making), folder / row.name)
                    os.utime(folder / row.name, (row.modified, row.modified))
                    writer.writerow(
                        [row.name, int(row.fake), "swap" if row.fake else "", row.source, row.identity]
                    )
        sets = "".join(
            f'[sets.{name}]\nvideos = "{name}"\nlabels = "{name}.csv"\nrecipe = "clean"\nseed = 1\n'
            for name in ("public", "private")
        )
        (tmp_path / "challenge.toml").write_text(f'schema = 1\nname = "planted"\n{sets}', encoding="utf-8")
        return load_challenge(tmp_path / "challenge.toml")

    return built


def audited(challenge: Challenge, prepared: dict[SetName, PreparedSet] | None = None) -> AuditReport:
    return audit_challenge(challenge, prepared=prepared, engine=LocalEngine(0))


def codes(report: AuditReport, severity: Severity = Severity.ERROR) -> set[str]:
    return {finding.code for finding in report.findings if finding.severity is severity}


def evidence(report: AuditReport, code: str) -> str:
    return "\n".join(
        "\n".join((finding.message, *finding.evidence)) for finding in report.findings if finding.code == code
    )


def test_sets_made_without_a_look_at_the_label_are_clean(build: Build) -> None:
    report = audited(build(clean_rows("public"), clean_rows("private")))
    assert report.clean
    assert report.findings == ()
    assert [one.videos for one in report.sets] == [COUNT, COUNT]
    assert all(one.features_tested > 30 and one.classifiers for one in report.sets)


def made_with(**changes: Any) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        row.making = dataclasses.replace(row.making, **changes)

    return change


def renamed(form: str) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        row.name = form.format(stem=row.name[:-4])

    return change


LEAKS: dict[str, tuple[Callable[[Row], None], str]] = {
    "file size and bitrate": (made_with(quality=45), "bitrate"),
    "duration": (made_with(frames=24), "duration"),
    "frame rate": (made_with(rate=7), "frame rate"),
    "resolution": (made_with(size=(80, 48)), "width"),
    "codec": (made_with(codec="mpeg4"), "video codec"),
    "encoder settings": (made_with(preset="superfast"), "profile"),
    "container metadata": (made_with(metadata=(("title", "swapped"),)), "metadata title"),
    "audio presence": (made_with(loudness=None), "audio"),
    "audio rate": (made_with(audio_rate=22050), "audio rate"),
    "audio loudness": (made_with(loudness=0.9), "audio loudness"),
    "key frames": (made_with(key_frames=4), "key frames"),
    "prefix of the name": (renamed("fake_{stem}.mp4"), "name"),
    "length of the name": (renamed("{stem}0.mp4"), "name, length"),
    "suffix of the name": (renamed("{stem}.m4v"), "file suffix"),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_caught_and_blamed(leak: str, build: Build) -> None:
    change, blamed = LEAKS[leak]
    rows = clean_rows("public")
    for index, row in enumerate(rows):
        if leak.startswith("audio"):  # every clip has sound, of all levels
            made_with(loudness=0.02 + 0.01 * index)(row)
        if row.fake:
            change(row)
    report = audited(build(rows, clean_rows("private")))
    assert not report.clean
    assert "A202" in codes(report)
    assert blamed in evidence(report, "A202")
    assert all(finding.sets == (SetName.PUBLIC,) for finding in report.findings if finding.code == "A202")
    assert all(finding.remedy for finding in report.findings if finding.code == "A202")


def test_a_leak_that_most_fakes_have_is_caught_by_the_classifier(build: Build) -> None:
    rows = clean_rows("public")
    for row in [row for row in rows if row.fake][2:]:
        made_with(quality=40, frames=22, key_frames=5)(row)
    assert "A201" in codes(audited(build(rows, clean_rows("private"))))


def test_an_order_that_alternates_is_caught(build: Build) -> None:
    rows = sorted(clean_rows("public"), key=lambda row: row.name)
    for index, row in enumerate(rows):
        row.fake = index % 2 == 0
    assert "A203" in codes(audited(build(rows, clean_rows("private"))))


def test_an_order_in_blocks_is_caught(build: Build) -> None:
    rows = sorted(clean_rows("public"), key=lambda row: row.name)
    for index, row in enumerate(rows):
        row.fake = index // 6 % 2 == 0
    assert "A203" in codes(audited(build(rows, clean_rows("private"))))


def test_modification_times_are_a_warning(build: Build) -> None:
    rows = clean_rows("public")
    for row in rows:
        row.modified += 3600 * row.fake
    report = audited(build(rows, clean_rows("private")))
    assert report.clean
    assert codes(report, Severity.WARNING) == {"A204"}


def test_the_same_file_in_both_sets_is_caught(build: Build) -> None:
    public, private = clean_rows("public"), clean_rows("private")
    private[3].making = public[5].making
    report = audited(build(public, private))
    assert codes(report) == {"A301"}
    assert public[5].name in evidence(report, "A301")
    assert private[3].name in evidence(report, "A301")


@pytest.mark.parametrize(
    "changes",
    [{"quality": 38}, {"codec": "mpeg4", "mirrored": True}, {"seconds_cut": 0.5}],
    ids=["re-encoded", "mirrored, in another codec", "start cut off"],
)
def test_the_same_footage_in_both_sets_is_caught(changes: dict[str, Any], build: Build) -> None:
    public, private = clean_rows("public"), clean_rows("private")
    public[5].making = dataclasses.replace(public[5].making, rate=8, frames=16)
    private[3].making = dataclasses.replace(public[5].making, **changes)
    report = audited(build(public, private))
    assert "A302" in codes(report)
    assert public[5].name in evidence(report, "A302")
    assert private[3].name in evidence(report, "A302")


def test_the_same_source_in_both_sets_is_caught(build: Build) -> None:
    public, private = clean_rows("public"), clean_rows("private")
    public[0].source = private[7].source = "holiday.mov"
    report = audited(build(public, private))
    assert codes(report) == {"A303"}
    assert "holiday.mov" in evidence(report, "A303")


def test_a_fake_of_a_real_video_of_the_other_set_is_caught(build: Build) -> None:
    public, private = clean_rows("public"), clean_rows("private")
    fake = next(row for row in private if row.fake)
    fake.source = next(row.name for row in public if not row.fake)
    assert codes(audited(build(public, private))) == {"A303"}


def test_the_same_person_in_both_sets_is_a_warning(build: Build) -> None:
    public, private = clean_rows("public"), clean_rows("private")
    public[0].identity, private[7].identity = "ann", "ben+ann"
    report = audited(build(public, private))
    assert report.clean
    assert codes(report, Severity.WARNING) == {"A304"}
    assert "'ann'" in evidence(report, "A304")


def test_one_file_with_both_labels_is_caught(build: Build) -> None:
    rows = clean_rows("public")
    fake, real = next(row for row in rows if row.fake), next(row for row in rows if not row.fake)
    fake.making = real.making
    assert codes(audited(build(rows, clean_rows("private")))) == {"A311"}


def test_real_and_fake_of_one_source_are_a_note(build: Build) -> None:
    rows = clean_rows("public")
    fake, real = next(row for row in rows if row.fake), next(row for row in rows if not row.fake)
    fake.making = dataclasses.replace(real.making, quality=real.making.quality + 1)
    fake.source = real.source = "one.mov"
    report = audited(build(rows, clean_rows("private")))
    assert {finding.code for finding in report.findings} == {"A314"}


def test_copies_with_two_named_sources_are_a_warning(build: Build) -> None:
    rows = clean_rows("public")
    rows[1].making = dataclasses.replace(rows[0].making, quality=rows[0].making.quality + 1)
    rows[0].source, rows[1].source = "one.mov", "two.mov"
    assert codes(audited(build(rows, clean_rows("private"))), Severity.WARNING) == {"A313"}


def test_lopsided_labels_are_a_warning(build: Build) -> None:
    rows = clean_rows("public")
    for row in rows[:20]:
        row.fake = True
    assert "A402" in codes(audited(build(rows, clean_rows("private"))), Severity.WARNING)


def test_a_set_of_one_label_is_an_error(build: Build) -> None:
    rows = clean_rows("public")
    for row in rows:
        row.fake = False
    assert codes(audited(build(rows, clean_rows("private")))) == {"A401"}


def test_a_set_too_small_says_so(build: Build) -> None:
    rows = clean_rows("public")[:10]
    for index, row in enumerate(rows):
        row.fake = index % 3 == 0
    report = audited(build(rows, clean_rows("private")))
    assert "A206" in codes(report, Severity.NOTE)


def test_an_unreadable_video_is_named_and_the_rest_is_audited(build: Build) -> None:
    challenge = build(clean_rows("public"), clean_rows("private"))
    broken = sorted(challenge.sets[SetName.PUBLIC].videos.iterdir())[2]
    broken.write_bytes(b"no video")
    report = audited(challenge)
    assert codes(report) == {"A101"}
    assert broken.name in evidence(report, "A101")
    assert report.sets[0].videos == COUNT - 1


def prepared_as(challenge: Challenge, name: SetName, kinds: Callable[[int, bool], list[str]]) -> PreparedSet:
    """A prepared set whose files are the clean ones; only what the manifest says differs."""
    spec = challenge.sets[name]
    with spec.labels.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    videos = tuple(
        PreparedVideo(
            video_id=row["filename"],
            path=spec.videos / row["filename"],
            source_id=row["filename"],
            sha256=hashlib.sha256((spec.videos / row["filename"]).read_bytes()).hexdigest(),
            perturbations=tuple(
                AppliedPerturbation(name=kind, severity=1 + index % 5)
                for kind in kinds(index, row["label"] == "1")
            ),
        )
        for index, row in enumerate(rows)
    )
    return PreparedSet(videos=videos, unreadable=(), manifest_path=spec.labels, reused=0)


def test_a_perturbation_that_only_fakes_get_is_caught(build: Build) -> None:
    challenge = build(clean_rows("public"), clean_rows("private"))
    public = prepared_as(challenge, SetName.PUBLIC, lambda _, fake: ["blur"] if fake else ["noise"])
    private = prepared_as(challenge, SetName.PRIVATE, lambda index, _: ["blur", "text"][index % 2 :])
    report = audited(challenge, {SetName.PUBLIC: public, SetName.PRIVATE: private})
    assert codes(report) == {"A403"}
    assert "blur: 12 of 12 fakes and 0 of 12 reals" in evidence(report, "A403")
    assert {one.subject for one in report.sets} == {Subject.PREPARED}


def test_a_prepared_set_is_audited_as_it_is_fed(build: Build, kept: Callable[[Making], Path]) -> None:
    """The clean set is fair; its prepared files give fakes away by their size."""
    challenge = build(clean_rows("public"), clean_rows("private"))
    public = prepared_as(challenge, SetName.PUBLIC, lambda _, __: [])
    fake = {row.name for row in clean_rows("public") if row.fake}
    making = {row.name: row.making for row in clean_rows("public")}
    changed = [
        dataclasses.replace(
            video,
            path=(path := kept(dataclasses.replace(making[video.source_id], quality=46))),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        if video.source_id in fake
        else video
        for video in public.videos
    ]
    report = audited(challenge, {SetName.PUBLIC: dataclasses.replace(public, videos=tuple(changed))})
    assert "A202" in codes(report)
    assert "bitrate" in evidence(report, "A202")
    assert [one.subject for one in report.sets] == [Subject.PREPARED, Subject.SOURCES]


def test_a_prepared_set_that_does_not_fit_its_labels_is_an_error(build: Build) -> None:
    challenge = build(clean_rows("public"), clean_rows("private"))
    public = prepared_as(challenge, SetName.PUBLIC, lambda _, __: [])
    first, second, *rest = public.videos
    wrong = (
        dataclasses.replace(first, sha256="0" * 64),
        dataclasses.replace(second, source_id="stranger.mp4"),
        *rest,
    )
    report = audited(challenge, {SetName.PUBLIC: dataclasses.replace(public, videos=wrong)})
    assert codes(report) == {"A102", "A103"}
    assert "stranger.mp4" in evidence(report, "A102")
    assert f"{second.source_id}: not prepared" in evidence(report, "A102")
    assert first.video_id in evidence(report, "A103")


def test_the_report_prints_repeats_and_shows_progress(build: Build) -> None:
    challenge = build(clean_rows("public"), clean_rows("private"))
    seen: list[AuditProgress] = []
    report = audit_challenge(challenge, prepared=None, progress=seen.append, engine=LocalEngine(0))
    assert [one.done for one in seen] == list(range(1, 2 * COUNT + 1))
    assert report == audited(challenge)
    document = AuditDocument.of(report)
    assert AuditDocument.model_validate_json(document.model_dump_json()) == document
    console = Console(width=100, file=io.StringIO())
    console.print(render_audit(report))
    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO of the line above
    assert "planted: clean" in text
    assert "all of it (linear)" in text


def table_of_traits(rng: np.random.Generator, count: int) -> list[Fed]:
    """What a fair set of pairs looks like, without the files."""
    videos = []
    for index in range(count):
        rate, size = float(rng.choice([12, 25, 30])), float(rng.lognormal(12, 1))
        numbers = {"file size": size, "frame rate": rate, "duration": float(rng.uniform(3, 6))}
        videos.append(
            Fed(
                traits=Traits(
                    name=f"{rng.bytes(5).hex()}.mp4",
                    sha256="",
                    modified_ns=int(rng.integers(2**60)),
                    numbers=numbers | {"bitrate": size / numbers["duration"]},
                    words={"video profile": str(rng.choice(["High", "Main"]))},
                ),
                label=Label(fake=index % 2 == 0),
                perturbations=tuple(
                    AppliedPerturbation(name=str(kind), severity=int(rng.integers(1, 6)))
                    for kind in rng.choice(["blur", "noise", "text", "dots"], size=2, replace=False)
                ),
            )
        )
    return videos


def test_fair_sets_of_two_dozen_raise_no_alarm() -> None:
    """Forty fair sets: the rule allows one error in a hundred audits, and none is seen."""
    alarms = []
    for seed in range(40):
        audit = audit_set(
            SetName.PUBLIC, Subject.PREPARED, table_of_traits(np.random.default_rng(seed), 24), seed=(seed,)
        )
        alarms += [one for one in judged(audit, audit.tests) if one.severity is Severity.ERROR]
    assert alarms == []


def test_every_finding_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8")
    table = text.partition("<!-- findings -->\n")[2].partition("\n<!-- /findings -->")[0]
    assert table == rules_markdown(), f"paste this between the marks:\n{rules_markdown()}"


@pytest.mark.parametrize("size", [2**63 + 8, 2**64 - 1, 2**40], ids=hex)
def test_a_box_that_says_it_is_larger_than_its_file_is_read_past(size: int, tmp_path: Path) -> None:
    """Decoders play such a file; one of them must not end the audit of a whole challenge."""
    path = tmp_path / "clip.mp4"
    make(law(1), path)
    plain = read_traits(TraitsJob(path=path, fingerprint=False))
    with path.open("ab") as stream:
        stream.write((1).to_bytes(4, "big") + b"free" + size.to_bytes(8, "big"))
    found = read_traits(TraitsJob(path=path, fingerprint=False))
    assert found.words["box layout"] == f"{plain.words['box layout']},free"
    assert found.numbers["frames"] == plain.numbers["frames"]
