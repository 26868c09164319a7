"""The order of the steps: open → check → prepare → image → run each set → score → record → report.

Nothing here prints or chooses an implementation: the command line hands in what makes a sandbox and an
observer. The fate of the package is in the `Result`; what is raised is about us, the host or the organiser's
files, and leaves a run folder that the next call resumes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from harness.challenge import Challenge
from harness.check import Rules, check_package
from harness.errors import InfrastructureError, PackageError, ResultError
from harness.findings import Severity
from harness.finish import Ran, finish
from harness.gateway import SetProgress, SetRun, run_set
from harness.journal import Journal, header_of
from harness.layouts import layout_mounts
from harness.limits import banner
from harness.package import Package, open_package, remove_package
from harness.perturb.prepare import PrepareProgress
from harness.result import ImageFacts, PackageFacts, Result
from harness.runfolder import RunFolder, RunIdentity, locked, new_run, unfinished_run, write_text
from harness.sandbox import Sandbox
from harness.seal import Key
from harness.sets import ReadySet, ready_set
from harness.staging import STAGE_PREFIX, Stage, claim
from harness.types import Mode, Outcome, OutcomeKind, SandboxSpec, SetName, Verdict

RETRY_AFTER_SECONDS = 5.0
NEVER_RAN = ImageFacts(label="", digest="", variant="")
_SET_RUN = TypeAdapter(SetRun)


@dataclass(frozen=True, kw_only=True)
class Backend:
    """What runs packages, as the command line chose it."""

    sandbox: Sandbox
    image: ImageFacts
    engine: str  # name and version
    gpu_uuids: tuple[str, ...] = ()
    runtime: str | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is asked for."""

    package: Path
    challenge: Challenge
    runs: Path  # run folders are made here
    cache: Path  # prepared sets are kept here
    isolation: str  # the sandbox's own word for it, on record even where nothing was started
    order_seed: int | None = None  # None: drawn, and recorded
    fresh: bool = False  # do not resume
    workers: int | None = None
    signing_key: Key | None = None  # seals the result


class Observer(Protocol):
    """Is told how far it is."""

    def step(self, text: str) -> None:
        """The next step has begun."""

    def say(self, text: str) -> None:
        """Something about the current step."""

    def warn(self, text: str) -> None:
        """Something that a person should not miss."""

    def preparing(self, name: SetName, progress: PrepareProgress) -> None:
        """A set is being prepared."""

    def running(self, name: SetName, progress: SetProgress) -> None:
        """A set is being run."""


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """A finished run."""

    result: Result
    folder: RunFolder


def evaluate(asked: Evaluation, *, backend: Callable[[], Backend], observer: Observer) -> Evaluated:
    """Take a package to its scores and reports.

    A run of the same package, challenge, image and sets that was cut off is resumed, unless `asked.fresh`.

    Args:
        asked: What is asked for.
        backend: Makes the sandbox and its image; called once the package has passed its check.
        observer: Told how far it is.

    Raises:
        ConfigError: the organiser's files are wrong.
        InfrastructureError: our fault or the host's. What was done is kept and resumed by the next call.
    """
    observer.step(f"Opening {asked.package}")
    with _opened(asked, observer) as package:
        sets = [_prepared(asked, name, observer) for name in asked.challenge.sets]
        if isinstance(package, str):
            return _invalid(asked, package, sets)
        observer.step("Finding the runtime image")
        chosen = backend()
        observer.say(f"{chosen.image.label or 'none'}, {chosen.engine}")
        identity = _identity(asked, sets, package_sha256=package.sha256, image=chosen.image.digest)
        folder = None if asked.fresh else unfinished_run(asked.runs, identity)
        if folder is not None:
            observer.say(f"resuming {folder.run_id}, which was cut off; --fresh starts anew")
        folder = folder or new_run(asked.runs, identity, order_seed=asked.order_seed)
        with locked(folder):
            work = _Work(asked=asked, chosen=chosen, package=package, folder=folder, observer=observer)
            runs = {ready.name: work.run(ready) for ready in sets}
            observer.step("Scoring")
            ran = Ran(
                challenge=asked.challenge,
                package=_facts(package),
                image=chosen.image,
                engine=chosen.engine,
                folder=folder,
                signing_key=asked.signing_key,
            )
            return Evaluated(result=finish(ran, sets, runs), folder=folder)


@contextmanager
def _opened(asked: Evaluation, observer: Observer) -> Iterator[Package | str]:
    """Open and check the package; where it cannot be run, yield why."""
    contract = asked.challenge.contract
    rules = Rules(
        modes=contract.modes,
        external_data_required=contract.external_data_required,
        kaggle_slug=contract.kaggle_slug,
    )
    report = check_package(asked.package, limits=asked.challenge.limits, rules=rules)
    for finding in report.findings:
        if finding.severity is Severity.WARNING:
            observer.warn(f"{finding.code} {finding.place}: {finding.message}")
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    if errors:
        yield "; ".join(f"{error.code} {error.place}: {error.message}" for error in errors)
        return
    with tempfile.TemporaryDirectory(prefix=STAGE_PREFIX) as parent:
        claim(Path(parent))  # so that it is removed even where this process is killed
        Path(parent).chmod(0o755)  # the container's user is another one
        root = Path(parent) / "package"
        try:
            package: Package | str = open_package(asked.package, root, limits=asked.challenge.limits)
        except PackageError as error:
            package = str(error)
        try:
            yield package
        finally:
            remove_package(root)


def _prepared(asked: Evaluation, name: SetName, observer: Observer) -> ReadySet:
    observer.step(f"Preparing the {name} set")
    ready = ready_set(
        name,
        asked.challenge,
        cache=asked.cache,
        workers=asked.workers,
        progress=lambda progress: observer.preparing(name, progress),
    )
    for source_id, reason in ready.left_out:
        observer.warn(f"{source_id} is left out of the {name} set: {reason}")
    return ready


@dataclass(frozen=True, kw_only=True)
class _Work:
    """The running of one package, set after set, each in containers of its own."""

    asked: Evaluation
    chosen: Backend
    package: Package
    folder: RunFolder
    observer: Observer

    def run(self, ready: ReadySet) -> SetRun:
        """Run one set, or read what an earlier harness finished. Our own faults are tried once more."""
        place = self.folder.set_run(ready.name)
        done = _read_set_run(place)
        if done is not None:
            self.observer.say(f"the {ready.name} set was finished before")
            return done
        self.observer.step(f"Running the {ready.name} set")
        self.observer.say(banner(self.asked.challenge.limits, videos=len(ready.videos)))
        try:
            run = self._attempt(ready)
        except InfrastructureError as error:
            self.observer.warn(
                f"{Verdict.HARNESS_ERROR}, tried once more in {RETRY_AFTER_SECONDS:g} s: {error}"
            )
            time.sleep(RETRY_AFTER_SECONDS)
            run = self._attempt(ready)
        write_text(place, _SET_RUN.dump_json(run, indent=1).decode() + "\n")
        if run.log_tail:
            write_text(self.folder.log(ready.name), run.log_tail)
        return run

    def _attempt(self, ready: ReadySet) -> SetRun:
        limits, seed = self.asked.challenge.limits, self.folder.seed()
        header = header_of(videos=ready.videos, limits=limits, order_seed=seed)
        with Stage() as stage, Journal(self.folder.journal(ready.name), header) as journal:
            return run_set(
                sandbox=self.chosen.sandbox,
                spec=self._spec(stage),
                stage=stage,
                videos=ready.videos,
                order_seed=seed,
                journal=journal,
                failure_rule=self.asked.challenge.scoring.failure_rule,
                progress=lambda progress: self.observer.running(ready.name, progress),
                keep_messages=ready.name is SetName.PUBLIC,
            )

    def _spec(self, stage: Stage) -> SandboxSpec:
        slug = self.asked.challenge.contract.kaggle_slug
        placed = layout_mounts(self.package, stage.videos, slug, sample_submission=stage.sample_submission)
        return SandboxSpec(
            run_id=self.folder.run_id,
            image=self.chosen.image.digest,
            package=placed.package,
            videos=placed.videos,
            limits=self.asked.challenge.limits,
            mode=self.package.manifest.mode,
            extra_mounts=placed.extra_mounts,
            writable=placed.writable,
            working_directory=placed.working_directory,
            gpu_uuids=self.chosen.gpu_uuids,
            runtime=self.chosen.runtime,
        )


def _read_set_run(path: Path) -> SetRun | None:
    """Read a finished set's run; None where the set is not finished."""
    try:
        return _SET_RUN.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ResultError(
            "cannot be read", place=path, remedy="Delete it; the set's journal is used to resume."
        ) from error


def _invalid(asked: Evaluation, why: str, sets: list[ReadySet]) -> Evaluated:
    """Put a package on record that cannot be run."""
    runs = {
        ready.name: SetRun(
            verdict=Verdict.INVALID_PACKAGE,
            detail=why,
            outcomes=tuple(
                Outcome(video_id=video.video_id, kind=OutcomeKind.NOT_REACHED) for video in ready.videos
            ),
            isolation=asked.isolation,
            billed_seconds=0.0,
            budget_seconds=asked.challenge.limits.mean_video_seconds * len(ready.videos),
        )
        for ready in sets
    }
    identity = _identity(asked, sets, package_sha256="", image="")
    ran = Ran(
        challenge=asked.challenge,
        package=PackageFacts(name=asked.package.name, sha256="", size_bytes=0, mode=Mode.STREAM),
        image=NEVER_RAN,
        engine="",
        folder=new_run(asked.runs, identity, order_seed=asked.order_seed),
        signing_key=asked.signing_key,
    )
    return Evaluated(result=finish(ran, sets, runs), folder=ran.folder)


def _identity(asked: Evaluation, sets: list[ReadySet], *, package_sha256: str, image: str) -> RunIdentity:
    return RunIdentity(
        package_sha256=package_sha256,
        challenge_sha256=asked.challenge.sha256,
        image=image,
        isolation=asked.isolation,
        sets_sha256=" ".join(ready.sha256 for ready in sets),
    )


def _facts(package: Package) -> PackageFacts:
    return PackageFacts(
        name=package.name,
        sha256=package.sha256,
        size_bytes=package.size_bytes,
        mode=package.manifest.mode,
    )
