"""The order of the steps: open → check → prepare → image → run each set → score → record → report.

Nothing here prints or chooses an implementation: the command line hands in what makes a sandbox and an
observer. The fate of the package is in the `Result`; what is raised is about us, the host or the organiser's
files, and leaves a run folder that the next call resumes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import PackageError
from harness.core.types import NO_IMAGE, Mode, Outcome, OutcomeKind, SetName, Verdict
from harness.gateway.set_run import SetRun
from harness.gateway.staging import STAGE_PREFIX, claim
from harness.package.check import Rules, check_package
from harness.package.findings import Severity
from harness.package.opened import Package, open_package, remove_package
from harness.results.result import PackageFacts, Result
from harness.results.run_folder import RunFolder, RunIdentity, locked, new_run, unfinished_run
from harness.run.conclude import Ran, finish
from harness.run.passes import Evaluation, Observer, Work
from harness.sandbox import Backend
from harness.videos.ready_set import ReadySet, ready_set

__all__ = ["Backend", "Evaluated", "Evaluation", "Observer", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """A finished run."""

    result: Result
    folder: RunFolder
    public: SetRun | None = None  # with what the package said: for whoever handed it in


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
            work = Work(asked=asked, chosen=chosen, package=package, folder=folder, observer=observer)
            # The public set first: what is wrong with a package shows there, where its words may be shown.
            public_first = sorted(sets, key=lambda ready: ready.name is not SetName.PUBLIC)
            runs = {ready.name: work.run(ready) for ready in public_first}
            repeats = {ready.name: work.repeat(ready, runs[ready.name]) for ready in sets}
            observer.step("Scoring")
            ran = Ran(
                challenge=asked.challenge,
                package=_facts(package),
                image=chosen.image,
                engine=chosen.engine,
                gpus=chosen.gpu_names[: asked.challenge.limits.gpus],
                folder=folder,
                signing_key=asked.signing_key,
            )
            result = finish(ran, sets, runs, repeats)
            return Evaluated(result=result, folder=folder, public=runs.get(SetName.PUBLIC))


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
        waiting=observer.say,
    )
    for source_id, reason in ready.left_out:
        observer.warn(f"{source_id} is left out of the {name} set: {reason}")
    return ready


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
        image=NO_IMAGE,
        engine="",
        folder=new_run(asked.runs, identity, order_seed=asked.order_seed),
        signing_key=asked.signing_key,
    )
    return Evaluated(result=finish(ran, sets, runs, {}), folder=ran.folder)


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
