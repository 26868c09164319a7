"""Does anything but the picture predict the label? The audit that an organiser runs before a challenge.

A set leaks when a contestant could do better than chance without looking: from sizes, rates, codecs,
metadata, sound, names or order, from knowing public footage that returns in the private set, or from
perturbations that went to fakes more often than to reals. What counts as a leak is stated in docs/audit.md
and in `sets.verdict`: large enough to matter *and* beyond chance, corrected for all that was looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.challenge import Challenge
from harness.core.engines import Engine, JobResult, WorkerDiedError
from harness.core.engines.local import LocalEngine
from harness.core.errors import VideoError
from harness.core.types import SetName
from harness.diagnose.audit.overlap import Clip, overlap_between, overlap_within
from harness.diagnose.audit.report import AuditFinding, AuditReport, SetAudit, Subject, audit_finding
from harness.diagnose.audit.sets import Fed, audit_set, judged
from harness.diagnose.audit.traits import Traits, TraitsJob, read_traits
from harness.package.findings import Severity
from harness.videos.labels import VideoSet, read_video_set

if TYPE_CHECKING:
    from harness.videos.prepared_set import PreparedSet

_SAME_BY_DESIGN = {SetName.CONTROL, SetName.PRIVATE}  # the control set shows the private sources


@dataclass(frozen=True, kw_only=True)
class AuditProgress:
    """How far the reading of files is."""

    done: int
    total: int
    path: Path  # the one that was just read


def audit_challenge(
    challenge: Challenge,
    *,
    prepared: Mapping[SetName, PreparedSet] | None = None,
    progress: Callable[[AuditProgress], None] | None = None,
    engine: Engine | None = None,
    seed: int = 0,
) -> AuditReport:
    """Audit all sets of a challenge.

    Footage is compared on the clean sources always; leaks are looked for in what contestants are fed if
    `prepared` holds the set, and in the clean sources otherwise.

    Args:
        challenge: As loaded: its paths are absolute.
        prepared: The prepared sets, by name.
        progress: Called after each file.
        engine: Where files are read; one process per core of this machine by default.
        seed: Of folds and relabelings: the same seed and files give the same report.

    Raises:
        LabelsError: Labels and videos of a set do not fit.
    """
    sources = {name: read_video_set(spec.videos, spec.labels) for name, spec in challenge.sets.items()}
    fed = {name: (prepared or {}).get(name) for name in challenge.sets}
    jobs = {path: TraitsJob(path=path, fingerprint=True) for one in sources.values() for path in one.videos}
    for ready in fed.values():
        for video in ready.videos if ready else ():
            jobs.setdefault(video.path, TraitsJob(path=video.path, fingerprint=False))
    traits, unreadable = _read(list(jobs.values()), engine or LocalEngine(), progress)

    findings = list(_overlaps(sources, traits))
    audits: list[SetAudit] = []
    for index, (name, one) in enumerate(sources.items()):
        ready = fed[name]
        findings += _unreadable(name, one, ready, unreadable)
        rows, misfits = _fed(name, one, ready, traits)
        findings += misfits
        subject = Subject.PREPARED if ready else Subject.SOURCES
        audits.append(audit_set(name, subject, rows, seed=(seed, index)))
    tests = sum(one.tests for one in audits)
    findings += [finding for one in audits for finding in judged(one, tests)]
    worst_first = list(Severity)
    findings.sort(key=lambda finding: (worst_first.index(finding.severity), finding.code))
    return AuditReport(challenge=challenge.name, sets=tuple(audits), findings=tuple(findings), tests=tests)


def _read(
    jobs: Sequence[TraitsJob], engine: Engine, progress: Callable[[AuditProgress], None] | None
) -> tuple[dict[Path, Traits], dict[Path, str]]:
    """Read every file once; keep what cannot be read apart from our own faults, which are raised."""
    traits: dict[Path, Traits] = {}
    unreadable: dict[Path, str] = {}
    results: Iterator[JobResult[TraitsJob, Traits]] = engine.map(read_traits, jobs)
    for done, result in enumerate(results, start=1):
        path = result.job.path
        if isinstance(result.error, VideoError | WorkerDiedError):
            unreadable[path] = getattr(result.error, "message", str(result.error))
        else:
            traits[path] = result.unwrap()
        if progress is not None:
            progress(AuditProgress(done=done, total=len(jobs), path=path))
    return traits, unreadable


def _overlaps(sources: Mapping[SetName, VideoSet], traits: Mapping[Path, Traits]) -> Iterator[AuditFinding]:
    clips = {
        name: [
            Clip(traits=traits[path], label=one.labels.of(path.name)) for path in one.videos if path in traits
        ]
        for name, one in sources.items()
    }
    for name, own in clips.items():
        same_folder = name is SetName.CONTROL and sources[name].folder == sources[SetName.PRIVATE].folder
        if not same_folder:
            yield from overlap_within(name, own)
    for first, second in itertools.combinations(clips, 2):
        if {first, second} != _SAME_BY_DESIGN:
            yield from overlap_between(first, clips[first], second, clips[second])


def _unreadable(
    name: SetName, sources: VideoSet, ready: PreparedSet | None, unreadable: Mapping[Path, str]
) -> Iterator[AuditFinding]:
    paths = [*sources.videos, *(video.path for video in (ready.videos if ready else ()))]
    evidence = [f"{path.name}: {unreadable[path]}" for path in paths if path in unreadable]
    evidence += [f"{source}: {why}" for source, why in (ready.unreadable if ready else ())]
    if evidence:
        message = f"{len(evidence)} videos of {name} cannot be read, and are left out of the audit"
        yield audit_finding("A101", [name], message, evidence=evidence)


def _fed(
    name: SetName, sources: VideoSet, ready: PreparedSet | None, traits: Mapping[Path, Traits]
) -> tuple[list[Fed], list[AuditFinding]]:
    """Pair what contestants are fed with the truth, and say where that is not possible."""
    if ready is None:
        known = [path for path in sources.videos if path in traits]
        return [Fed(traits=traits[path], label=sources.labels.of(path.name)) for path in known], []
    labels, findings, rows = sources.labels, [], []
    orphans = [
        f"{one.video_id} of {one.source_id}: no label" for one in ready.videos if one.source_id not in labels
    ]
    made = {video.source_id for video in ready.videos} | {source for source, _ in ready.unreadable}
    orphans += [f"{source}: not prepared" for source in labels if source not in made]
    if orphans:
        message = f"{len(orphans)} videos of {name} have no counterpart"
        findings.append(audit_finding("A102", [name], message, evidence=orphans))
    changed = [
        f"{one.video_id}: is {traits[one.path].sha256[:12]}…, the manifest says {one.sha256[:12]}…"
        for one in ready.videos
        if one.path in traits and traits[one.path].sha256 != one.sha256
    ]
    if changed:
        message = f"{len(changed)} prepared videos of {name} have changed since they were made"
        findings.append(audit_finding("A103", [name], message, evidence=changed))
    for one in ready.videos:
        if one.path in traits and one.source_id in labels:
            label = labels.of(one.source_id)
            rows.append(
                Fed(
                    traits=traits[one.path],
                    label=label,
                    perturbations=one.perturbations,
                    group=label.source or one.source_id,
                )
            )
    return rows, findings
