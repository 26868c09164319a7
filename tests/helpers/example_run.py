"""A made-up run to look at: `python tests/helpers/example_run.py FOLDER` writes both of its pages there.

Nothing in it was measured. It is for those who change the pages, and for the tests that open
them in a browser.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np

from harness import __version__
from harness.core.text import outcomes_in_words
from harness.core.types import (
    AppliedPerturbation,
    FailureRule,
    ImageFacts,
    Limits,
    Mode,
    Outcome,
    OutcomeKind,
    PreparedVideo,
    ResourceSample,
    SetName,
    Terms,
)
from harness.core.usage import GpuLevel
from harness.gateway.set_run import verdict_of
from harness.report import SetData
from harness.report.write import write_reports
from harness.results.result import (
    ChallengeFacts,
    HostFacts,
    PackageFacts,
    Resources,
    Result,
    SetResult,
    clocks_of,
    eligibility,
    write_result,
)
from harness.results.run_folder import RunFolder
from harness.run.conclude import limits_on_record
from harness.scoring.score import gaps, score_set
from harness.scoring.scored import scored_videos
from harness.videos.labels import Label, Labels

VIDEOS = 60
_PERTURBATIONS = {
    SetName.CONTROL: ("reencoded",),
    SetName.PUBLIC: ("gaussian_blur", "noise", "frame_rate", "grayscale"),
    SetName.PRIVATE: (
        "encoding_quality",
        "resolution",
        "rotation",
        "random_images_on_each_frame",
        "dog_mask",
        "text",
    ),
}
_SKILL = {SetName.CONTROL: 2.6, SetName.PUBLIC: 2.2, SetName.PRIVATE: 1.1}
_CAMERAS = ("studio", "phone", "webcam")
_METHODS = ("face_swap", "self_blended", "pca_resynthesis", "mouth_and_eye_warp")


def example_run(
    folder: Path, *, message: str = "ValueError: no face was found", log: str = "loaded in 1.9 s\n"
) -> Result:
    """Make a finished run in `folder`: `result.json`, both pages, and the clips that the frames come from.

    Args:
        folder: The run folder; its name becomes the run's id.
        message: What the package said about each failed video.
        log: What the package printed.
    """
    result, data = example_result(folder, message=message, log=log)
    write_reports(result, data, RunFolder(path=folder))
    return result


def example_result(
    folder: Path, *, message: str = "ValueError: no face was found", log: str = "loaded in 1.9 s\n"
) -> tuple[Result, dict[SetName, SetData]]:
    """Make the same without the pages, which take most of the time. See `example_run`."""
    run = RunFolder(path=folder)
    data = example_data(folder / "clips", message=message, log=log)
    result = _result(run.run_id, {name: _set_result(name, one) for name, one in data.items()}, data)
    write_result(result, run.result)
    return result, data


def example_data(
    clips: Path, *, message: str = "ValueError: no face was found", log: str = "loaded in 1.9 s\n"
) -> dict[SetName, SetData]:
    """Make what each set's run left behind; always the same. See `example_run`."""
    data = {}
    for seed, name in enumerate(SetName):
        videos, labels = _videos(name, clips)
        outcomes = _outcomes(name, videos, labels, message, np.random.default_rng(seed))
        data[name] = SetData(
            rows=scored_videos(outcomes=outcomes, videos=videos, labels=labels),
            samples=_samples(np.random.default_rng(seed)),
            log_tail=log,
            videos={video.video_id: video.path for video in videos},
        )
    return data


def _set_result(name: SetName, data: SetData) -> SetResult:
    rows = data.rows
    outcomes = [
        Outcome(
            video_id=row.video_id,
            kind=row.kind,
            probability=None if row.failed else row.probability,
            wall_seconds=row.wall_seconds,
        )
        for row in rows
    ]
    kinds = [row.kind for row in rows]
    verdict = verdict_of(kinds, terms=Terms())
    return SetResult(
        set_name=name,
        verdict=verdict,
        detail=outcomes_in_words(kinds),
        videos=len(rows),
        outcomes={kind: count for kind in OutcomeKind if (count := sum(row.kind is kind for row in rows))},
        clocks=clocks_of(outcomes, startup_seconds=4.2, billed_seconds=61.0, budget_seconds=486.0),
        resources=Resources(
            restarts=2, peak_memory_bytes=2_410_000_000, cpu_seconds=118.0, gpu_level=GpuLevel.NONE
        ),
        prepared_sha256=f"{len(name.value)}c" * 32,
        score=score_set(
            set_name=name,
            verdict=verdict,
            outcomes=outcomes,
            videos=[
                PreparedVideo(
                    video_id=row.video_id,
                    path=data.videos[row.video_id],
                    source_id=row.source_id,
                    sha256="0" * 64,
                    perturbations=row.perturbations,
                )
                for row in rows
            ],
            labels=Labels({row.source_id: row.label for row in rows}),
            rule=FailureRule.LENIENT,
            max_failed_share=Terms().max_failed_share,
        ),
    )


def _result(run_id: str, sets: dict[SetName, SetResult], data: dict[SetName, SetData]) -> Result:
    scores = {name: one.score for name, one in sets.items()}
    return Result(
        run_id=run_id,
        created=datetime(2030, 1, 2, 3, 4, tzinfo=UTC),
        harness_version=__version__,
        package=PackageFacts(name="example-entry", sha256="ab" * 32, size_bytes=18_400_000, mode=Mode.STREAM),
        image=ImageFacts(label="runtime:example", digest="sha256:" + "cd" * 32, variant="cpu"),
        challenge=ChallengeFacts(name="example-challenge", sha256="ef" * 32, public_decimals=3),
        limits=limits_on_record(Limits()),
        seeds={"order": 11},
        tools={"python": "3.11.2", "av": "18.1.0"},
        host=HostFacts(
            system="Debian 12",
            kernel="6.1",
            cpu="an example CPU",
            cpu_cores=2,
            memory_bytes=24_000_000_000,
            engine="Docker 20.10",
        ),
        isolation="docker",
        gpu_level=GpuLevel.NONE,
        failure_rule=FailureRule.LENIENT,
        epsilon=1e-15,
        failed_probability=0.5,
        sets=sets,
        gaps=gaps({name: one.rows for name, one in data.items()}, scores),
        leaderboard=eligibility(sets, isolation="docker"),
    )


def _videos(name: SetName, folder: Path) -> tuple[list[PreparedVideo], Labels]:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(name.value))
    kinds = _PERTURBATIONS[name]
    home = "public" if name is SetName.PUBLIC else "hidden"  # the control set holds the private set's sources
    videos, labels = [], {}
    for number in range(VIDEOS):
        path = folder / f"{number % 6}.mp4"
        if not path.exists():
            _write_clip(path, number % 6)
        severity = 0 if name is SetName.CONTROL else int(rng.integers(1, 6))
        source = f"{home}_{number:03}.mp4"
        videos.append(
            PreparedVideo(
                video_id=f"{name.value[:4]}{rng.integers(16**8):08x}.mp4",
                path=path,
                source_id=source,
                sha256="0" * 64,
                perturbations=(AppliedPerturbation(name=kinds[number % len(kinds)], severity=severity),),
            )
        )
        method = _METHODS[number // 2 % len(_METHODS)]
        fake = number % 2 == 1
        labels[source] = Label(
            fake=fake,
            method=method if fake else "",
            source=f"{home}_{number // 4}",
            columns=(("camera", _CAMERAS[number // 4 % 3]),),
        )
    return videos, Labels(labels)


def _outcomes(
    name: SetName, videos: Sequence[PreparedVideo], labels: Labels, message: str, rng: np.random.Generator
) -> list[Outcome]:
    outcomes = []
    for number, video in enumerate(videos):
        if name is SetName.PRIVATE and number in {14, 33, 51}:
            kind = OutcomeKind.VIDEO_TIMEOUT if number == 33 else OutcomeKind.RUNTIME_ERROR
            wall = 60.0 if number == 33 else 0.4
            outcomes.append(Outcome(video_id=video.video_id, kind=kind, wall_seconds=wall, message=message))
            continue
        strength = _SKILL[name] - 0.25 * video.perturbations[0].severity
        side = 1.0 if labels.of(video.source_id).fake else -1.0
        probability = 1.0 / (1.0 + np.exp(-(side * strength + rng.normal(0, 1.4))))
        outcomes.append(
            Outcome(
                video_id=video.video_id,
                kind=OutcomeKind.PREDICTED,
                probability=float(probability),
                wall_seconds=float(rng.gamma(4.0, 0.22)),
            )
        )
    return outcomes


def _samples(rng: np.random.Generator) -> tuple[ResourceSample, ...]:
    seconds = np.arange(0.0, 65.0, 0.5)
    used = 2.2e9 * (1 - np.exp(-seconds / 3)) + rng.normal(0, 4e7, seconds.size)
    return tuple(
        ResourceSample(seconds=float(at), memory_bytes=max(0, int(value)))
        for at, value in zip(seconds, used, strict=True)
    )


def _write_clip(path: Path, number: int) -> None:
    """A second of drifting colours: nobody's face."""
    width, height = ((320, 240), (180, 320))[number % 2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        across, down = np.linspace(0, 255, width), np.linspace(0, 255, height)[:, None]
        for step in range(10):
            picture = np.zeros((height, width, 3), dtype=np.uint8)
            picture[..., 0] = (across + 25 * step + 40 * number) % 256
            picture[..., 1] = (down + 60 * number) % 256
            picture[..., 2] = 128
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    example_run(Path(sys.argv[1]))
