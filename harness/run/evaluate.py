"""The order of the steps: open → check → image → prepare → run → score, set after set → record → report.

The public set comes first, and its score is told and kept before any other set is prepared: what is wrong
with a package shows there, where its words may be shown.

Nothing here prints or chooses an implementation: the command line hands in what makes a sandbox and an
observer. The fate of the package is in the `Result`; what is raised is about us, the host or the organiser's
files, and leaves a run folder that the next call resumes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from harness.core.errors import PackageError
from harness.core.types import NO_IMAGE, Mode, SetName, Verdict
from harness.gateway.journal import read_journal, videos_sha256
from harness.gateway.set_run import SetRun
from harness.gateway.staging import neutral_folder
from harness.package.check import CheckReport, Refused, admit
from harness.package.findings import Severity
from harness.package.opened import Package
from harness.results.result import PackageFacts, Result
from harness.results.run_folder import RunFolder, RunIdentity, locked, new_run, unfinished_run
from harness.run.conclude import Ran, finish, judge, keep_score
from harness.run.passes import Evaluation, Observer, Work
from harness.sandbox import Backend
from harness.videos.labels import Labels

if TYPE_CHECKING:
    from harness.videos.prepare import PrepareProgress
    from harness.videos.ready_set import ReadySet

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
        asked: What to run, and how.
        backend: Makes the sandbox and its image; called once the package has passed its check.
        observer: Is informed of how far it is.

    Raises:
        ConfigError: the organiser's files are wrong.
        InfrastructureError: our fault or the host's. What was done is kept and resumed by the next call.
    """
    observer.step(f"Opening {asked.package}")
    if not asked.package.exists():
        raise PackageError(
            "does not exist",
            place=asked.package,
            remedy="Give the path of a folder or zip with submission.toml at its root.",
        )
    with neutral_folder() as folder:
        admitted = admit(
            asked.package,
            folder / "package",
            limits=asked.challenge.limits,
            contract=asked.challenge.contract,
        )
        why_not = _findings(admitted.report(), observer)
        if isinstance(admitted, Refused) or why_not:
            return _invalid(asked, why_not)
        package = admitted.package
        sets = _Sets(asked, observer)
        sets.begin(SetName.PUBLIC)  # building an image leaves a core free most of the time
        observer.step("Finding the runtime image")
        chosen = backend()
        observer.say(f"{chosen.image.label or 'none'}, {chosen.engine}")
        public = sets.ready(SetName.PUBLIC)
        identity = _identity(asked, public.sha256, package_sha256=package.sha256, image=chosen.image.digest)
        run = _cut_off(asked, identity, sets, observer) or new_run(
            asked.runs, identity, order_seed=asked.order_seed
        )
        with locked(run):
            work = Work(asked=asked, chosen=chosen, package=package, folder=run, observer=observer)
            return _every_set(work, public, sets)


def _every_set(work: Work, public: ReadySet, sets: _Sets) -> Evaluated:
    """Run the public set and tell its score, then the others, and conclude."""
    asked, observer = work.asked, work.observer
    ran = Ran(
        challenge=asked.challenge,
        package=_facts(work.package),
        image=work.chosen.image,
        engine=work.chosen.engine,
        gpus=work.chosen.gpu_names[: asked.challenge.limits.gpus],
        folder=work.folder,
        signing_key=asked.signing_key,
    )
    runs = {SetName.PUBLIC: work.run(public)}
    if len(asked.challenge.sets) > 1:
        one = judge(ran, public, runs[SetName.PUBLIC])
        keep_score(one, work.folder)
        observer.judged(one, runs[SetName.PUBLIC], asked.challenge.limits)
    for name in (SetName.PRIVATE, SetName.CONTROL):
        if name in asked.challenge.sets:
            runs[name] = work.run(sets.ready(name))
    ready = sets.all()
    repeats = {one.name: work.repeat(one, runs[one.name]) for one in ready}
    observer.step("Scoring")
    result = finish(ran, ready, runs, repeats)
    return Evaluated(result=result, folder=work.folder, public=runs[SetName.PUBLIC])


class _Sets:
    """The sets of a challenge, each prepared when it is first asked for, or beside other work before that."""

    def __init__(self, asked: Evaluation, observer: Observer) -> None:
        """Look at every set's labels and recipe: what is wrong there is said before any work is done.

        Raises:
            ConfigError: labels, recipe or folder of a set are wrong.
        """
        from harness.videos.ready_set import look_at_sets  # noqa: PLC0415  (a refused package waits for no codec)

        self._asked, self._observer = asked, observer
        self._ready: dict[SetName, ReadySet] = {}
        self._begun: dict[SetName, Future[ReadySet]] = {}
        self._watched = False  # whether a person is shown how far it is
        look_at_sets(asked.challenge)

    def begin(self, name: SetName) -> None:
        """Prepare a set beside what comes next, without a word.

        In a thread that nobody waits for if what comes next fails: what it has prepared is found again.
        """
        begun: Future[ReadySet] = Future()

        def work() -> None:
            try:
                begun.set_result(self._prepared(name))
            except BaseException as error:  # noqa: BLE001  (raised where the set is asked for)
                begun.set_exception(error)

        self._begun[name] = begun
        Thread(target=work, name=f"preparing {name}", daemon=True).start()

    def ready(self, name: SetName) -> ReadySet:
        """Prepare a set, or return it."""
        if name not in self._ready:
            self._observer.step(f"Preparing the {name} set")
            self._watched = True
            begun = self._begun.get(name)
            self._ready[name] = ready = self._prepared(name) if begun is None else begun.result()
            for source_id, reason in ready.left_out:
                self._observer.warn(f"{source_id} is left out of the {name} set: {reason}")
        return self._ready[name]

    def all(self) -> list[ReadySet]:
        """Return every set, in the challenge's order."""
        return [self.ready(name) for name in self._asked.challenge.sets]

    def _prepared(self, name: SetName) -> ReadySet:
        from harness.videos.ready_set import ready_set  # noqa: PLC0415  (see above)

        def progress(now: PrepareProgress) -> None:
            if self._watched:
                self._observer.preparing(name, now)

        return ready_set(
            name,
            self._asked.challenge,
            cache=self._asked.cache,
            workers=self._asked.workers,
            progress=progress,
            waiting=self._observer.say,
        )


def _cut_off(asked: Evaluation, identity: RunIdentity, sets: _Sets, observer: Observer) -> RunFolder | None:
    """Return the run that this one goes on with, if there is one and none of its sets has changed since."""
    run = None if asked.fresh else unfinished_run(asked.runs, identity)
    if run is None:
        return None
    for name in asked.challenge.sets:
        begun = read_journal(run.journal(name))[0]
        if begun is not None and begun.videos_sha256 != videos_sha256(sets.ready(name).videos):
            observer.say(f"the {name} set has changed since {run.run_id} was cut off; this is a new run")
            return None
    observer.say(f"resuming {run.run_id}, which was cut off; --fresh starts again")
    return run


def _findings(report: CheckReport, observer: Observer) -> str:
    """Warn of what should be looked at, and return why the package cannot be run; empty if it can."""
    for finding in report.findings:
        if finding.severity is Severity.WARNING:
            observer.warn(finding.in_a_line)
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    return "; ".join(error.in_a_line for error in errors)


def _invalid(asked: Evaluation, why: str) -> Evaluated:
    """Record a package that cannot be run. No set is prepared for it."""
    from harness.videos.ready_set import ReadySet  # noqa: PLC0415  (see above)

    runs = {
        name: SetRun(
            verdict=Verdict.INVALID_PACKAGE,
            detail=why,
            outcomes=(),
            isolation=asked.isolation,
            billed_seconds=0.0,
            budget_seconds=0.0,
        )
        for name in asked.challenge.sets
    }
    ran = Ran(
        challenge=asked.challenge,
        package=PackageFacts(name=asked.package.name, sha256="", size_bytes=0, mode=Mode.STREAM),
        image=NO_IMAGE,
        engine="",
        folder=new_run(
            asked.runs, _identity(asked, "", package_sha256="", image=""), order_seed=asked.order_seed
        ),
        signing_key=asked.signing_key,
    )
    sets = [
        ReadySet(name=name, videos=(), labels=Labels({}), sha256="", manifest_path=Path()) for name in runs
    ]
    return Evaluated(result=finish(ran, sets, runs, {}), folder=ran.folder)


def _identity(asked: Evaluation, public_sha256: str, *, package_sha256: str, image: str) -> RunIdentity:
    return RunIdentity(
        package_sha256=package_sha256,
        challenge_sha256=asked.challenge.sha256,
        image=image,
        isolation=asked.isolation,
        sets_sha256=public_sha256,
    )


def _facts(package: Package) -> PackageFacts:
    return PackageFacts(
        name=package.name,
        sha256=package.sha256,
        size_bytes=package.size_bytes,
        mode=package.manifest.mode,
    )
