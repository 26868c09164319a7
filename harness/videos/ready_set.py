"""From a challenge to the video sets that a package is fed: prepared by their recipe, cached, checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.core.challenge import Challenge, SetSpec
from harness.core.engines import Engine
from harness.core.errors import ChallengeError, RecipeError
from harness.core.locks import Waiting
from harness.core.text import listed
from harness.core.types import PreparedVideo, SetName
from harness.videos.labels import Labels, VideoSet, read_video_set
from harness.videos.perturb.recipes import Recipe, load_recipe
from harness.videos.prepare import PrepareProgress, SourceVideo, file_sha256, neutral_name, prepare_set

ORIGINAL = "original"  # not a recipe: the organiser's files as they are, under neutral names


@dataclass(frozen=True, kw_only=True)
class ReadySet:
    """A set that can be run. `labels` are for scoring alone."""

    name: SetName
    videos: tuple[PreparedVideo, ...]
    labels: Labels
    sha256: str  # over what is fed: names, contents, perturbations
    manifest_path: Path  # of the prepared set; the labels themselves if nothing was prepared
    left_out: tuple[tuple[str, str], ...] = ()  # source id and why the harness could not read it


def ready_set(
    name: SetName,
    challenge: Challenge,
    *,
    cache: Path,
    workers: int | None = None,
    engine: Engine | None = None,
    progress: Callable[[PrepareProgress], None] | None = None,
    waiting: Waiting | None = None,
) -> ReadySet:
    """Prepare one set, or find it prepared.

    Args:
        name: Which set.
        challenge: Says where its videos are and by which recipe and seed they are perturbed.
        cache: Where prepared sets are kept. It holds hidden videos and labels: the organiser's own folder.
        workers: Rendering processes; by default one per core.
        engine: Where to render, instead of `workers` local processes.
        progress: Told after each video.
        waiting: Told while another harness prepares the same set.

    Raises:
        ConfigError: labels, recipe or folder are wrong.
        VideoError: a video came out otherwise than planned.
    """
    spec = challenge.sets[name]
    found = read_video_set(spec.videos, spec.labels)
    left_out: tuple[tuple[str, str], ...] = ()
    manifest_path = spec.labels
    if spec.recipe == ORIGINAL:
        videos = _as_they_are(found, spec.seed)
    else:
        prepared = prepare_set(
            sources=[_source(path, found.labels) for path in found.videos],
            recipe=_recipe(spec),
            set_seed=spec.seed,
            destination=_destination(cache, challenge, name, spec),
            workers=workers,
            engine=engine,
            progress=progress,
            waiting=waiting,
        )
        videos, left_out, manifest_path = prepared.videos, prepared.unreadable, prepared.manifest_path
    if not videos:
        raise ChallengeError(
            listed("no video of this set can be read", [f"{one}: {why}" for one, why in left_out]),
            place=spec.videos,
            remedy="Replace these files, or use recipe = 'original' to feed them as they are.",
        )
    return ReadySet(
        name=name,
        videos=videos,
        labels=found.labels,
        sha256=_digest(videos),
        manifest_path=manifest_path,
        left_out=left_out,
    )


def look_at_sets(challenge: Challenge) -> None:
    """Read every set's labels and recipe, which takes no time, so that none is found wrong hours later.

    Raises:
        ConfigError: labels, recipe or folder of a set are wrong.
    """
    for spec in challenge.sets.values():
        read_video_set(spec.videos, spec.labels)
        if spec.recipe != ORIGINAL:
            _recipe(spec)


def _recipe(spec: SetSpec) -> Recipe:
    recipe = load_recipe(spec.recipe)
    if recipe.encoding.copy_untouched:
        raise RecipeError(
            "encode.copy_untouched: pictures that are copied tell which videos of a set nothing was done to",
            place=spec.recipe,
            remedy="Leave it out of the recipes of a challenge; it is for training data.",
        )
    return recipe


def _as_they_are(found: VideoSet, seed: int) -> tuple[PreparedVideo, ...]:
    videos = (
        PreparedVideo(
            video_id=Path(neutral_name(seed, path.name)).stem + path.suffix.lower(),
            path=path,
            source_id=path.name,
            sha256=file_sha256(path),
        )
        for path in found.videos
    )
    return tuple(sorted(videos, key=lambda video: video.video_id))


def _source(path: Path, labels: Labels) -> SourceVideo:
    label = labels.of(path.name)
    return SourceVideo(
        source_id=path.name,
        path=path,
        label="fake" if label.fake else "real",
        method=label.method,
        source=label.source,
    )


def _destination(cache: Path, challenge: Challenge, name: SetName, spec: SetSpec) -> Path:
    # By place, law and seed: what is in it is reused video by video, if content and plan still agree.
    key = json.dumps([str(spec.videos), spec.recipe, spec.seed])
    folder = cache / "prepared" / challenge.name / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    return folder


def _digest(videos: tuple[PreparedVideo, ...]) -> str:
    listing = [
        [video.video_id, video.sha256, [[one.name, one.severity] for one in video.perturbations]]
        for video in videos
    ]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()
