"""A made contest whose truth is known, to look at: entries, videos, people, and a run folder for each team.

    python tests/helpers/made_contest.py FOLDER --entries 200
    harness board FOLDER/challenge.toml --runs FOLDER/runs --output FOLDER/board.html

The entries' skill lies close together at the top, as in 2020. `FOLDER/truth.json` holds what each entry's log
loss is in expectation. With `--wrong-labels` every ninety-seventh label is wrong, so that `harness audit
--labels` has something to find, and the truth is that of the other videos. Videos are empty files: nothing
here is ever decoded, and nothing was run.
"""

from __future__ import annotations

import argparse
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from harness.core.challenge import Challenge, load_challenge
from harness.core.types import (
    FailureRule,
    ImageFacts,
    Limits,
    Mode,
    Outcome,
    OutcomeKind,
    SetName,
    Verdict,
)
from harness.core.usage import GpuLevel
from harness.gateway.journal import Journal, Line, header_of
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
from harness.results.run_row import enter
from harness.scoring.score import score_set
from harness.videos.ready_set import ReadySet, ready_set

SITES = ("studio", "street", "phone")
START = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)


def skills(entries: int) -> list[float]:
    """Return how clearly each entry sees: a close top, and a long tail."""
    place = np.arange(entries) / max(entries - 1, 1)
    return [float(one) for one in 1.6 - 0.08 * np.sqrt(place) - 1.2 * place**2.5]


def expected_loss(skill: float, *, difficulty: float, kinds: bool = False) -> float:
    """Return an entry's log loss in expectation, by Gauss and Hermite."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    found = []
    for severity in range(6) if kinds else [0]:
        evidence = skill * (1.0 - 0.12 * severity) + math.sqrt(1.0 + difficulty**2) * nodes
        found.append(float(weights @ np.logaddexp(0.0, -2.0 * evidence) / math.sqrt(2.0 * math.pi)))
    return float(np.mean(found))


def write_contest(
    folder: Path, *, entries: int, videos: int, people: int, seed: int = 0, wrong_labels: bool = False
) -> None:
    """Write a challenge and a finished, entered run for each team."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("public", "private"):
        _write_set(folder / name, videos=videos, people=people, first=0 if name == "public" else people)
    (folder / "challenge.toml").write_text(
        'schema = 1\nname = "made"\ntitle = "A made contest"\n'
        + "".join(
            f'[sets.{name}]\nvideos = "{name}/videos"\nlabels = "{name}/labels.csv"\n'
            f'recipe = "original"\nseed = {number}\n'
            for number, name in enumerate(("public", "private"))
        )
    )
    challenge = load_challenge(folder / "challenge.toml")
    rng = np.random.default_rng(seed)
    ready = {name: ready_set(name, challenge, cache=folder / "cache") for name in challenge.sets}
    hard = {name: _hardness(one, rng) for name, one in ready.items()}
    truth = {}
    for number, skill in enumerate(skills(entries)):
        team = f"team {number:03}"
        run = RunFolder(path=folder / "runs" / f"20300102-0304{number // 60:02}-{number:06x}")
        results = {
            name: _run_set(
                run,
                one,
                skill * (1.0 if name is SetName.PUBLIC else 0.8),
                hard[name],
                rng,
                wrong_labels=wrong_labels,
            )
            for name, one in ready.items()
        }
        write_result(_result(run.run_id, number, results, challenge), run.result)
        enter(run, team=team, submitted=START + timedelta(minutes=number))
        truth[team] = {
            "public": expected_loss(skill, difficulty=0.5),
            "private": expected_loss(0.8 * skill, difficulty=0.5),
        }
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")


def _write_set(folder: Path, *, videos: int, people: int, first: int) -> None:
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    lines = ["filename,label,method,identity,site"]
    for number in range(videos):
        name, person, fake = f"v{first}_{number:05}.mp4", first + number // 2 % people, number % 2
        (folder / "videos" / name).write_bytes(name.encode())
        method = ("swap", "warp")[number // 2 % 2] if fake else ""
        lines.append(f"{name},{fake},{method},p{person},{SITES[person % len(SITES)]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def _hardness(ready: ReadySet, rng: np.random.Generator) -> np.ndarray:
    labels = [ready.labels.of(video.source_id) for video in ready.videos]
    own = {name: rng.normal() for name in sorted({label.identity for label in labels})}
    person = np.array([own[label.identity] for label in labels])
    return np.asarray(0.5 * person + math.sqrt(0.7) * rng.normal(size=len(labels)))


def _run_set(
    run: RunFolder,
    ready: ReadySet,
    skill: float,
    hard: np.ndarray,
    rng: np.random.Generator,
    *,
    wrong_labels: bool,
) -> SetResult:
    sign = np.array([1.0 if ready.labels.of(one.source_id).fake else -1.0 for one in ready.videos])
    if wrong_labels:  # by file name v0_00042.mp4
        number = np.array([int(Path(one.source_id).stem.rpartition("_")[2]) for one in ready.videos])
        sign, hard = np.where(number % 97 == 41, -sign, sign), np.where(number % 97 == 41, 0.5, hard)
    evidence = sign * (skill + hard + math.sqrt(0.3) * rng.normal(size=hard.size))
    outcomes = [
        Outcome(
            video_id=video.video_id,
            kind=OutcomeKind.PREDICTED,
            probability=float(1.0 / (1.0 + math.exp(-2.0 * one))),
            wall_seconds=0.1,
        )
        for video, one in zip(ready.videos, evidence, strict=True)
    ]
    path = run.journal(ready.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with Journal(path, header_of(videos=ready.videos, limits=Limits(), order_seed=1)) as journal:
        journal.append(Line(outcome=outcome) for outcome in outcomes)
    return SetResult(
        set_name=ready.name,
        verdict=Verdict.OK,
        detail="made",
        videos=len(outcomes),
        outcomes={OutcomeKind.PREDICTED: len(outcomes)},
        clocks=clocks_of(outcomes, startup_seconds=1.0, billed_seconds=1.0, budget_seconds=10.0),
        resources=Resources(restarts=0, peak_memory_bytes=None, cpu_seconds=None, gpu_level=GpuLevel.NONE),
        prepared_sha256=ready.sha256,
        score=score_set(
            set_name=ready.name,
            verdict=Verdict.OK,
            outcomes=outcomes,
            videos=ready.videos,
            labels=ready.labels,
            rule=FailureRule.LENIENT,
        ),
    )


def _result(run_id: str, number: int, sets: dict[SetName, SetResult], challenge: Challenge) -> Result:
    return Result(
        run_id=run_id,
        created=START,
        harness_version="made",
        package=PackageFacts(name="made", sha256=f"{number:064x}", size_bytes=1, mode=Mode.STREAM),
        image=ImageFacts(label="made", digest="sha256:" + "cd" * 32, variant="cpu"),
        challenge=ChallengeFacts(name=challenge.name, sha256=challenge.sha256),
        limits={},
        seeds={},
        tools={},
        host=HostFacts(),
        isolation="docker",
        gpu_level=GpuLevel.NONE,
        failure_rule=FailureRule.LENIENT,
        epsilon=1e-15,
        failed_probability=0.5,
        sets=sets,
        leaderboard=eligibility(sets, isolation="docker"),
    )


def main() -> None:
    """Write a made contest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--entries", type=int, default=200)
    parser.add_argument("--videos", type=int, default=400, help="of each set")
    parser.add_argument("--people", type=int, default=50, help="in each set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wrong-labels", action="store_true")
    asked = parser.parse_args()
    write_contest(
        asked.folder,
        entries=asked.entries,
        videos=asked.videos,
        people=asked.people,
        seed=asked.seed,
        wrong_labels=asked.wrong_labels,
    )


if __name__ == "__main__":
    main()
