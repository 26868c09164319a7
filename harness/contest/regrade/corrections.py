"""What a regrade changes: labels, videos that count, ε, the constant of failed videos."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.core.challenge import Challenge
from harness.core.errors import ConfigError, LabelsError
from harness.core.text import listed
from harness.core.types import SetName
from harness.videos.labels import Labels, read_labels
from harness.videos.ready_set import ReadySet


@dataclass(frozen=True, kw_only=True)
class Correction:
    """What a regrade changes. None: as the challenge has it."""

    labels: Mapping[SetName, Mapping[str, bool]] = field(default_factory=dict)  # source → is it fake
    dropped: frozenset[str] = frozenset()  # sources or video ids
    epsilon: float | None = None
    failed_probability: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be scored with."""
        if self.epsilon is not None and not 0.0 < self.epsilon < 0.5:
            raise ConfigError(
                f"--epsilon {self.epsilon}: must be between 0 and 0.5", remedy="For example 1e-15."
            )
        if self.failed_probability is not None and not 0.0 <= self.failed_probability <= 1.0:
            raise ConfigError(
                f"--failed-probability {self.failed_probability}: must be in [0, 1]",
                remedy="For example 0.5.",
            )


UNCORRECTED = Correction()


@dataclass(frozen=True, kw_only=True)
class SetFrame:
    """All that scoring a set needs besides a run's outcomes, in the order of the prepared set."""

    name: SetName
    prepared_sha256: str
    video_ids: tuple[str, ...]
    source_ids: tuple[str, ...]
    fake: NDArray[np.bool_]  # as the challenge has it
    fake_now: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    labels_sha256: str  # over the labels in force

    @property
    def changed(self) -> int:
        """How many labels changed."""
        return int(np.sum(self.fake != self.fake_now))

    @property
    def dropped(self) -> int:
        """How many videos no longer count."""
        return int(np.sum(~self.kept))


def read_correction(
    challenge: Challenge,
    *,
    labels: Iterable[str] = (),
    drop: Path | None = None,
    epsilon: float | None = None,
    failed_probability: float | None = None,
) -> Correction:
    """Read what a regrade changes.

    Args:
        challenge: Whose labels are corrected.
        labels: CSV files, `[SET=]FILE`, each with the corrected rows or all of them. Without a set, rows hold
            for every set that has a video of this name.
        drop: A file with one source's name or video id a line.
        epsilon: Of the clip.
        failed_probability: What a failed video scores.

    Raises:
        LabelsError: a file cannot be read; a row is for no video, or for different videos of one name.
        ConfigError: a set is unknown, a number is out of range, or the list cannot be read.
    """
    known = {name: read_labels(spec.labels) for name, spec in challenge.sets.items()}
    changed: dict[SetName, dict[str, bool]] = {}
    for given in labels:
        wanted, path = _target(given, challenge)
        rows = read_labels(path)
        errors = []
        for source in rows:
            sets = [name for name in wanted if source in known[name]]
            folders = {challenge.sets[name].videos for name in sets}
            if not sets:
                errors.append(f"{source}: no video of {', '.join(wanted)}")
            elif len(folders) > 1:
                errors.append(f"{source}: in {' and '.join(sets)}, which are different videos")
            for name in sets:
                changed.setdefault(name, {})[source] = rows.of(source).fake
        if errors:
            raise LabelsError(
                listed(f"{len(errors)} rows fit no set", errors),
                place=path,
                remedy="Name the set: --labels public=FILE.",
            )
    return Correction(
        labels=changed,
        dropped=_read_drop(drop),
        epsilon=epsilon,
        failed_probability=failed_probability,
    )


def frame_of(ready: ReadySet, correction: Correction) -> SetFrame:
    """Join a prepared set with its labels, before and after.

    Raises:
        ConfigError: nothing of it is left.
    """
    changed = correction.labels.get(ready.name, {})
    sources = tuple(video.source_id for video in ready.videos)
    fake = np.asarray([ready.labels.of(source).fake for source in sources])
    now = np.asarray([changed.get(source, bool(old)) for source, old in zip(sources, fake, strict=True)])
    kept = np.asarray(
        [correction.dropped.isdisjoint((video.source_id, video.video_id)) for video in ready.videos]
    )
    if not kept.any():
        raise ConfigError(f"every video of the {ready.name} set is dropped", remedy="Drop fewer.")
    return SetFrame(
        name=ready.name,
        prepared_sha256=ready.sha256,
        video_ids=tuple(video.video_id for video in ready.videos),
        source_ids=sources,
        fake=fake,
        fake_now=now,
        kept=kept,
        labels_sha256=_digest(sources, now, kept),
    )


def corrected_labels(ready: ReadySet, correction: Correction) -> Labels:
    """Return a set's labels after the correction, with methods, sources and identities as they were."""
    changed = correction.labels.get(ready.name, {})
    return Labels(
        {
            source: replace(label, fake=changed.get(source, label.fake))
            for source in ready.labels
            for label in (ready.labels.of(source),)
        }
    )


def unknown_dropped(correction: Correction, frames: Iterable[SetFrame]) -> tuple[str, ...]:
    """Name what is to be dropped and is in no set."""
    known: set[str] = set()
    for frame in frames:
        known |= {*frame.video_ids, *frame.source_ids}
    return tuple(sorted(correction.dropped - known))


def _target(given: str, challenge: Challenge) -> tuple[tuple[SetName, ...], Path]:
    name, equals, rest = given.partition("=")
    if not equals:
        return tuple(challenge.sets), Path(given)
    if name not in {one.value for one in challenge.sets}:
        raise ConfigError(
            f"--labels {given}: the challenge has no set {name!r}",
            remedy=f"It has {', '.join(challenge.sets)}; or leave the set out: --labels FILE.",
        )
    return (SetName(name),), Path(rest)


def _read_drop(path: Path | None) -> frozenset[str]:
    if path is None:
        return frozenset()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot be read: {error}", place=path, remedy="Give a text file with one name a line."
        ) from error
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def _digest(sources: tuple[str, ...], fake: NDArray[np.bool_], kept: NDArray[np.bool_]) -> str:
    rows = sorted(
        f"{source}\t{int(label)}\t{int(counts)}"
        for source, label, counts in zip(sources, fake, kept, strict=True)
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
