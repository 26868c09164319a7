"""What should be apart and is not: files, footage, sources and persons in two sets, and copies within one."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.core.types import SetName
from harness.diagnose.audit.fingerprint import Fingerprint, Likeness, copies
from harness.diagnose.audit.report import AuditFinding, audit_finding
from harness.diagnose.audit.traits import Traits
from harness.videos.labels import Label

_SEPARATORS = re.compile(r"[,;+&|/]")


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One source video with its truth."""

    traits: Traits
    label: Label

    @property
    def source(self) -> str:
        """What it was made from; itself if the labels name nothing."""
        return self.label.source or self.traits.name

    @property
    def print(self) -> Fingerprint:
        """Its fingerprint.

        Raises:
            ValueError: It was read without one.
        """
        if self.traits.fingerprint is None:
            raise ValueError(f"{self.traits.name} was read without a fingerprint")
        return self.traits.fingerprint


def overlap_between(
    first: SetName, ours: Sequence[Clip], second: SetName, theirs: Sequence[Clip]
) -> Iterator[AuditFinding]:
    """Yield what two sets share and should not."""
    sets = (first, second)
    exact = {
        (one.traits.name, other.traits.name)
        for one, other in _equal(ours, theirs, lambda clip: [clip.traits.sha256])
    }
    if exact:
        yield audit_finding(
            "A301",
            sets,
            f"{len(exact)} files of {first} are also in {second}",
            evidence=[f"{one} = {other}" for one, other in sorted(exact)],
        )
    near = [
        f"{_pair(ours[i], theirs[j])}: {_shown(likeness)}"
        for i, j, likeness in copies([one.print for one in ours], [one.print for one in theirs])
        if (ours[i].traits.name, theirs[j].traits.name) not in exact
    ]
    if near:
        yield audit_finding(
            "A302",
            sets,
            f"{len(near)} pairs of videos of {first} and {second} show one footage",
            evidence=near,
        )
    shared = sorted(_sources(ours, theirs))
    if shared:
        yield audit_finding(
            "A303",
            sets,
            f"{len(shared)} sources are in {first} and in {second}",
            evidence=list(map(repr, shared)),
        )
    persons = sorted(_persons(ours) & _persons(theirs))
    if persons:
        yield audit_finding(
            "A304",
            sets,
            f"{len(persons)} persons are in {first} and in {second}",
            evidence=list(map(repr, persons)),
        )


def overlap_within(name: SetName, clips: Sequence[Clip]) -> Iterator[AuditFinding]:
    """Yield what is in one set more than once."""
    yield from _same_files(name, clips)
    yield from _same_footage(name, clips)


def _same_files(name: SetName, clips: Sequence[Clip]) -> Iterator[AuditFinding]:
    by_hash = defaultdict(list)
    for clip in clips:
        by_hash[clip.traits.sha256].append(clip)
    same = [group for group in by_hash.values() if len(group) > 1]
    for code, mixed in (("A311", True), ("A312", False)):
        groups = [group for group in same if (len({one.label.fake for one in group}) == 2) is mixed]
        if groups:
            evidence = [" = ".join(_named(one) for one in group) for group in groups]
            how = "with both labels" if mixed else "with one label"
            yield audit_finding(
                code,
                [name],
                f"{len(groups)} files of {name} are there several times, {how}",
                evidence=evidence,
            )


def _same_footage(name: SetName, clips: Sequence[Clip]) -> Iterator[AuditFinding]:
    strangers, pairs = [], []
    for i, j, likeness in copies([clip.print for clip in clips]):
        one, other = clips[i], clips[j]
        if one.traits.sha256 == other.traits.sha256:
            continue
        text = f"{_pair(one, other)}: {_shown(likeness)}"
        if _strangers(one, other):
            strangers.append(text)
        elif one.label.fake != other.label.fake:
            pairs.append(text)
    if strangers:
        message = (
            f"{len(strangers)} pairs of videos of {name} show one footage, but the labels name two sources"
        )
        yield audit_finding("A313", [name], message, evidence=strangers)
    if pairs:
        yield audit_finding(
            "A314", [name], f"{len(pairs)} real and fake pairs of {name} share their footage", evidence=pairs
        )


def _strangers(one: Clip, other: Clip) -> bool:
    """Tell whether the labels name two sources, of which neither is the other video."""
    named_apart = other.traits.name not in one.source and one.traits.name not in other.source
    return one.source != other.source and named_apart


def _equal(
    ours: Iterable[Clip], theirs: Iterable[Clip], keys: Callable[[Clip], Iterable[str]]
) -> Iterator[tuple[Clip, Clip]]:
    by_key: Mapping[str, list[Clip]] = defaultdict(list)
    for clip in theirs:
        for key in keys(clip):
            by_key[key].append(clip)
    for clip in ours:
        for key in keys(clip):
            yield from ((clip, other) for other in by_key.get(key, ()))


def _sources(ours: Sequence[Clip], theirs: Sequence[Clip]) -> set[str]:
    """Return the sources of both; a video without a named source counts only if the other set names it."""
    return {
        one.source
        for one, other in itertools.chain(_equal(ours, theirs, lambda clip: [clip.source]))
        if one.label.source or other.label.source
    }


def _persons(clips: Iterable[Clip]) -> set[str]:
    """Return the persons named; a face swap may name two, as in `anna+ben`."""
    return {
        name for clip in clips for part in _SEPARATORS.split(clip.label.identity) if (name := part.strip())
    }


def _named(clip: Clip) -> str:
    return f"{clip.traits.name} ({'fake' if clip.label.fake else 'real'})"


def _pair(one: Clip, other: Clip) -> str:
    return f"{_named(one)} ~ {_named(other)}"


def _shown(likeness: Likeness) -> str:
    extras = [", mirrored"] if likeness.mirrored else []
    extras += [f", shifted by {likeness.shift_seconds:+.2f} s"] if likeness.shift_seconds else []
    what = f"still picture {likeness.mean_picture:.2f}" if likeness.still else f"motion {likeness.motion:.2f}"
    return f"{what} alike{''.join(extras)}"
