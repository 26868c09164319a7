"""Runs one behaviour the way every entry is run, and writes down what it came to and what the host saw."""

from __future__ import annotations

import hashlib
import itertools
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import docker

from harness.core.errors import PackageError
from harness.core.types import FailureRule, Mode, PreparedVideo, Terms, Verdict
from harness.diagnose.selfcheck.behaviour import After, Behaviour
from harness.diagnose.selfcheck.traces import (
    Listener,
    Watched,
    containers_left,
    host_addresses,
    listing,
    processes_left,
)
from harness.gateway.run_package import run_package
from harness.gateway.set_run import SetRun, verdict_of
from harness.gateway.staging import neutral_folder, shuffled
from harness.package.check import Refused, admit
from harness.package.findings import Severity
from harness.package.opened import Package, open_package, remove_package
from harness.sandbox import Backend

VIDEOS_DEFAULT = 3
_VIDEO_BYTES = 1000


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is attacked.

    Attributes:
        backend: What starts packages; its image needs Python and the runner.
        client: The engine that is looked at for traces; None for a sandbox without one.
    """

    backend: Backend
    client: docker.DockerClient | None


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What one attack came to. Nothing in it is an opinion."""

    verdicts: tuple[Verdict, Verdict]  # lenient, strict
    runs: tuple[SetRun, ...] = ()  # one per set, under the lenient rule
    findings: tuple[str, ...] = ()  # codes, if it was refused
    refusal: str = ""
    seconds: float = 0.0
    containers: tuple[str, ...] = ()  # still there
    containers_started: int = 0
    processes: tuple[int, ...] = ()  # still there
    files: tuple[str, ...] = ()  # of the host: made, changed or removed
    packets: int = 0  # connections and datagrams that reached the host
    package_changes: tuple[str, ...] = ()
    video_changes: tuple[str, ...] = ()
    written_bytes: int = 0  # by the harness on the package's behalf: journal, log, messages
    layer: tuple[str, ...] = ()  # paths written to the container's own layer
    said: bool = False  # whether anything of the package's own words was kept


def attack(behaviour: Behaviour, target: Target) -> Observed:
    """Hand in the behaviour's package, run it if it may be run, and look at the host before and after.

    Raises:
        InfrastructureError: our fault or the host's.
        ConfigError: the behaviour's data is wrong.
    """
    with neutral_folder() as parent:
        work = _Work(behaviour, target, parent)
        with Listener(work.mark) as listener:
            return work.run(listener)


class _Work:
    """One attack, in its own folder."""

    def __init__(self, behaviour: Behaviour, target: Target, parent: Path) -> None:
        self._behaviour = behaviour
        self._target = target
        self._parent = parent
        self.mark = f"mark-{secrets.token_hex(8)}"
        self._outside = parent / "outside"  # the host's own files, as far as this attack can name them
        self._outside.mkdir()
        (self._outside / "labels.csv").write_text(f"filename,label\n{self.mark}.mp4,1\n", encoding="utf-8")
        self._handed_in = parent / "handed-in"
        self._handed_in.mkdir()
        self._videos = self._make_videos()
        self._watched = Watched(
            target.backend.sandbox, target.client, layers=After.FILE in behaviour.expect.afterwards
        )

    def run(self, listener: Listener) -> Observed:
        started = time.monotonic()
        knowledge = {
            "mark": self.mark,
            "addresses": host_addresses(),
            "port": listener.port,
            "abstract": listener.abstract_name,
            "escape": str(self._outside / "escaped"),
            "labels": str(self._outside / "labels.csv"),
            "hidden": str(self._videos[0].path.parent),
        }
        source = self._behaviour.hand_in(self._handed_in, knowledge)
        before, videos_before = listing(self._parent), listing(self._videos[0].path.parent)
        root = self._parent / "package"
        admitted = admit(source, root, limits=self._behaviour.limits)
        errors = [one for one in admitted.report().findings if one.severity is Severity.ERROR]
        try:
            if isinstance(admitted, Refused) or errors:
                remove_package(root)
                observed = Observed(
                    verdicts=(Verdict.INVALID_PACKAGE, Verdict.INVALID_PACKAGE),
                    findings=tuple(dict.fromkeys(error.code for error in errors)),
                    refusal=f"{errors[0].code} {errors[0].message}",
                    files=self._try_to_open(source, root),
                )
            else:
                observed = self._run_package(admitted.package)
        finally:
            remove_package(root)
        run_marks = self._watched.containers or [str(root)]
        client = self._target.client
        return replace(
            observed,
            seconds=time.monotonic() - started,
            containers=containers_left(client, self.mark) if client else (),
            containers_started=len(self._watched.containers),
            processes=processes_left([*run_marks, self.mark]),
            files=observed.files
            + _changes(before, listing(self._parent))
            + tuple(str(path) for path in self._watched.stages if path.exists()),
            packets=listener.heard,
            video_changes=_changes(videos_before, listing(self._videos[0].path.parent)),
            layer=tuple(self._watched.written),
        )

    def _try_to_open(self, source: Path, root: Path) -> tuple[str, ...]:
        """Open what the check refused all the same: the opener must be safe by itself."""
        try:
            open_package(source, root, limits=self._behaviour.limits)
        except PackageError:
            return (str(root),) if root.exists() else ()
        remove_package(root)
        return ()

    def _run_package(self, package: Package) -> Observed:
        before = listing(package.root)
        runs: list[SetRun] = []
        written = 0
        strict = Verdict.OK
        for number in range(self._behaviour.expect.sets):
            run, journal = self._run_set(package, number, FailureRule.LENIENT)
            runs.append(run)
            written += journal.stat().st_size + len(run.log_tail) + len(run.message)
            said = self._said(run, journal)
            journal.unlink()
        ending = runs[-1].verdict
        if package.manifest.mode is Mode.BATCH:
            # What spoils a batch run may be about no one video, so it is run again under the other rule.
            again, journal = self._run_set(package, self._behaviour.expect.sets, FailureRule.STRICT)
            journal.unlink()
            strict = again.verdict
        else:
            kinds = [outcome.kind for outcome in runs[-1].outcomes]
            strict = verdict_of(kinds, terms=self._terms(FailureRule.STRICT), ending=runs[-1].ending)
        return Observed(
            verdicts=(ending, strict),
            runs=tuple(runs),
            package_changes=_changes(before, listing(package.root)),
            written_bytes=written,
            said=said,
        )

    def _run_set(self, package: Package, number: int, rule: FailureRule) -> tuple[SetRun, Path]:
        place = self._parent / f"outcomes-{number}.jsonl"
        run = run_package(
            package,
            self._videos,
            backend=replace(self._target.backend, sandbox=self._watched),
            terms=self._terms(rule),
            run_id=self.mark,
            order_seed=order_seed(self._videos),
            journal=place,
            keep_messages=not self._behaviour.expect.private,
        )
        return run, place

    def _terms(self, rule: FailureRule) -> Terms:
        # A few videos say nothing of a share: under the lenient rule any number may fail, but not all.
        return Terms(limits=self._behaviour.limits, failure_rule=rule, max_failed_share=1.0)

    def _said(self, run: SetRun, journal: Path) -> bool:
        """Tell whether anything of the package's own is in what is kept of the run."""
        kept = journal.read_text(encoding="utf-8") + run.log_tail + run.message + run.detail
        return self.mark in kept or bool(run.log_tail) or any(outcome.message for outcome in run.outcomes)

    def _make_videos(self) -> tuple[PreparedVideo, ...]:
        folder = self._parent / f"hidden-{self.mark}"
        folder.mkdir()
        videos = []
        for number in range(len(self._behaviour.expect.outcomes) or VIDEOS_DEFAULT):
            path = folder / f"v{number:03d}.mp4"
            path.write_bytes(bytes([number]) * _VIDEO_BYTES)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            source_id = f"{'fake' if number % 2 else 'real'}-{self.mark}-{number}.mp4"
            videos.append(PreparedVideo(video_id=path.name, path=path, source_id=source_id, sha256=digest))
        return tuple(videos)


def order_seed(videos: Sequence[PreparedVideo]) -> int:
    """Return a seed that has the videos asked for in the order given, so that a behaviour can count on it."""
    return next(seed for seed in itertools.count() if shuffled(videos, seed) == tuple(videos))


def _changes(before: dict[str, str], after: dict[str, str]) -> tuple[str, ...]:
    names = sorted(before.keys() | after.keys())
    return tuple(name for name in names if before.get(name) != after.get(name))
