"""Packages that look at anything but the picture score no better than chance on a prepared set.

The sources are as leaky as can be: fakes differ from reals in name, time, size, metadata and the order of
boxes, and in nothing that can be seen. Each cheat is first shown to be perfect on such files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import docker
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from harness.core.types import FailureRule, Mount, OutcomeKind, PreparedVideo, SandboxSpec, Terms
from harness.diagnose.selfcheck.behaviour import load_behaviour
from harness.gateway.feed import run_set
from harness.gateway.journal import Journal, header_of
from harness.gateway.staging import Stage
from harness.sandbox import Sandbox
from harness.sandbox.docker.sandbox import DockerSandbox
from harness.sandbox.process import ProcessSandbox
from harness.videos.perturb.recipes import load_recipe
from harness.videos.prepare import SourceVideo, prepare_set
from harness.videos.synthetic import ClipSpec, write_clip

pytestmark = pytest.mark.docker

PACKAGES = Path(__file__).parents[1] / "packages"
PAIRS = 24
# 24 against 24 without information: standard deviation sqrt(49 / (12 * 24 * 24)) = 0.084; four of them.
CHANCE = 0.34


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Videos and which are fake; the clean sources and what was prepared of them, in the same order."""

    sources: tuple[PreparedVideo, ...]
    prepared: tuple[PreparedVideo, ...]
    fake: tuple[bool, ...]


def leaky(path: Path, number: int, *, fake: bool) -> Path:
    """Write a clip that gives its label away in everything but its picture: pairs show the same."""
    write_clip(path, ClipSpec(width=64, height=48, frames=6, seed=number))
    if fake:
        remade = path.with_suffix(".remade.mp4")
        options = {"movflags": "+faststart"}
        with av.open(str(path)) as old, av.open(str(remade), "w", options=options) as new:
            new.metadata["comment"] = "fake " * 20
            streams = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
            for packet in old.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream.index]
                    new.mux(packet)
        content = remade.read_bytes()
        remade.unlink()
        # A box that players skip: a fake is ten times as large.
        path.write_bytes(content + (20_000).to_bytes(4, "big") + b"free" + bytes(19_992))
    os.utime(path, (1_577_836_800 + 40_000 * fake,) * 2)
    return path


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Labelled:
    folder = tmp_path_factory.mktemp("sources")
    clips, fakes = [], []
    for fake in (False, True):
        for number in range(PAIRS):
            name = f"{'ff' if fake else '00'}{number:014x}.mp4"
            clips.append(leaky(folder / name, number, fake=fake))
            fakes.append(fake)
    made = prepare_set(
        sources=[SourceVideo(source_id=clip.name, path=clip) for clip in clips],
        recipe=load_recipe("clean"),
        set_seed=7,
        destination=tmp_path_factory.mktemp("prepared"),
        workers=0,
    )
    by_source = {video.source_id: video for video in made.videos}
    sources = tuple(
        replace(by_source[clip.name], video_id=clip.name, path=clip, sha256=digest(clip)) for clip in clips
    )
    return Labelled(
        sources=sources, prepared=tuple(by_source[clip.name] for clip in clips), fake=tuple(fakes)
    )


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Unstaged(Stage):
    """What a careless organiser would do: the hidden files themselves, under their names."""

    def put(self, video: PreparedVideo) -> str:
        target = self.videos / video.path.name
        target.write_bytes(video.path.read_bytes())
        os.utime(target, (video.path.stat().st_mtime,) * 2)
        return target.name


def answers(
    name: str,
    videos: Sequence[PreparedVideo],
    folder: Path,
    *,
    sandbox: Sandbox,
    image: str,
    stage_kind: type[Stage],
    known: Sequence[str],
) -> list[float]:
    behaviour = load_behaviour(PACKAGES / name)
    folder.mkdir()
    package = behaviour.hand_in(folder, {})
    (package / "known.json").write_text(json.dumps(list(known)), encoding="utf-8")
    limits = replace(behaviour.limits, mean_video_seconds=60.0)
    with (
        stage_kind() as stage,
        Journal(folder / "outcomes.jsonl", header_of(videos=videos, limits=limits, order_seed=3)) as journal,
    ):
        run = run_set(
            sandbox=sandbox,
            spec=SandboxSpec(
                run_id="cheats",
                image=image,
                package=Mount(source=package, target="/package"),
                videos=Mount(source=stage.videos, target="/videos"),
                limits=limits,
            ),
            stage=stage,
            videos=videos,
            order_seed=3,
            journal=journal,
            terms=Terms(limits=limits, failure_rule=FailureRule.STRICT),
            keep_messages=True,
        )
    assert {outcome.kind for outcome in run.outcomes} == {OutcomeKind.PREDICTED}, run.log_tail
    return [outcome.probability for outcome in run.outcomes if outcome.probability is not None]


def skill(labelled: Labelled, given: Sequence[float]) -> float:
    """How far from chance, whichever way round."""
    return abs(float(roc_auc_score(np.array(labelled.fake), np.array(given))) - 0.5)


CHEATS = (
    "cheat_by_name",
    "cheat_by_size",
    "cheat_by_mtime",
    "cheat_by_metadata",
    "cheat_by_known_hash",
    "cheat_by_container_layout",
)


@pytest.mark.parametrize("name", [*CHEATS, "cheat_by_order", "cheat_by_ctime"])
def test_a_cheat_scores_no_better_than_chance(
    name: str, labelled: Labelled, docker_client: docker.DockerClient, light_image: str, tmp_path: Path
) -> None:
    known = [digest(video.path) for video, fake in zip(labelled.sources, labelled.fake, strict=True) if fake]
    sandbox = DockerSandbox(docker_client)
    given = answers(
        name,
        labelled.prepared,
        tmp_path / "run",
        sandbox=sandbox,
        image=light_image,
        stage_kind=Stage,
        known=known,
    )
    assert skill(labelled, given) < CHANCE


@pytest.mark.parametrize("name", CHEATS)
def test_the_same_cheat_is_perfect_on_files_as_they_are(
    name: str, labelled: Labelled, tmp_path: Path
) -> None:
    known = [digest(video.path) for video, fake in zip(labelled.sources, labelled.fake, strict=True) if fake]
    given = answers(
        name,
        labelled.sources,
        tmp_path / "run",
        sandbox=ProcessSandbox(),
        image="none",
        stage_kind=Unstaged,
        known=known,
    )
    assert skill(labelled, given) == 0.5


def test_pairs_that_look_alike_come_out_as_the_same_bytes(labelled: Labelled) -> None:
    digests = [digest(video.path) for video in labelled.prepared]
    assert digests[:PAIRS] == digests[PAIRS:]


def test_nothing_of_the_source_is_in_what_the_package_can_see(labelled: Labelled) -> None:
    for video in labelled.prepared:
        content = video.path.read_bytes()
        assert b"fake" not in content
        assert video.source_id.encode() not in content
