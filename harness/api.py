"""What other programs may call: evaluate, check, score, perturb and audit, with paths in and values out.

These names and their keywords stay as they are from one release to the next; everything else may move.
Nothing here prints unless `progress` is set. A function imports the heavy libraries that it needs, so that
`import harness` costs nothing.

    import harness

    result = harness.evaluate("my-entry", challenge="challenge.toml")
    print(result.sets["public"].score.log_loss)
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from harness.core.challenge import Challenge
    from harness.core.types import Limits, SetName
    from harness.diagnose.audit.report import AuditReport
    from harness.gateway.set_run import SetProgress, SetRun
    from harness.package.check import CheckReport
    from harness.results.result import Result, SetResult
    from harness.run.passes import Observer
    from harness.sandbox import Backend
    from harness.scoring.score import SetScore
    from harness.videos.perturb.render import Rendered
    from harness.videos.prepare import PrepareProgress

    Place = str | PathLike[str]

__all__ = ["audit", "check", "evaluate", "perturb", "score"]


def evaluate(
    package: Place,
    *,
    challenge: Place | None = None,
    runs: Place = "runs",
    sandbox: str = "docker",
    fresh: bool = False,
    progress: bool = False,
) -> Result:
    """Score a package on every set of a challenge, as `harness run` does, and return its result.

    A run of the same package and challenge that was cut off is resumed.

    Args:
        package: A folder or zip with `submission.toml` at its root.
        challenge: A `challenge.toml`. None: one here or in a folder above, or the sample challenge.
        runs: Where the run folder is made.
        sandbox: "docker", or "process", which isolates nothing.
        fresh: Do not resume.
        progress: Show steps and bars on standard error.

    Raises:
        ConfigError: the challenge or its files are wrong.
        InfrastructureError: our fault or the host's. What was done is kept and resumed by the next call.
    """
    from harness.cli.back_ends import made_ready
    from harness.cli.options import cache_folder
    from harness.run.evaluate import Evaluation
    from harness.run.evaluate import evaluate as run_it
    from harness.sandbox import back_end

    loaded = _challenge(challenge)
    asked = Evaluation(
        package=Path(package),
        challenge=loaded,
        runs=Path(runs).resolve(),
        cache=cache_folder(None),
        isolation=back_end(sandbox).ISOLATION,
        fresh=fresh,
    )
    with ExitStack() as held:
        observer = _observer(held, progress=progress)

        def ready_back_end() -> Backend:
            return made_ready(sandbox, observer.say, gpus=loaded.limits.gpus, held=held, wait=True)

        return run_it(asked, backend=ready_back_end, observer=observer).result


def check(package: Place, *, challenge: Place | None = None) -> CheckReport:
    """Look a package over without starting it, as `harness check --static` does.

    Args:
        package: A folder or zip.
        challenge: Whose limits and contract it is held to; see `evaluate`.

    Raises:
        ConfigError: the challenge is wrong.
    """
    from harness.package.check import check_package

    loaded = _challenge(challenge)
    return check_package(Path(package), limits=loaded.limits, contract=loaded.contract)


def score(predictions: Place, labels: Place) -> SetScore:
    """Score a table of predictions (`filename,label`, the label being P(fake)) against labels.

    Args:
        predictions: One row for each labelled video.
        labels: A `labels.csv` as an organiser keeps it.

    Raises:
        LabelsError: the labels are wrong.
        ScoreInputError: rows are missing, repeated, unknown or wrong; all of them are listed.
    """
    from harness.scoring.score import score_predictions
    from harness.scoring.scored import read_predictions_csv
    from harness.videos.labels import read_labels

    return score_predictions(read_predictions_csv(Path(predictions)), read_labels(Path(labels)))


def perturb(video: Place, output: Place, *, kind: str, severity: int, seed: int = 0) -> Rendered:
    """Perturb one video with one kind, in one decode and one encode; the same arguments give the same bytes.

    Args:
        video: The source, which is left as it is.
        output: The MP4 to write; overwritten.
        kind: A name of `harness perturb list`.
        severity: 1 to 5.
        seed: Of all that is drawn.

    Raises:
        RecipeError: the kind or severity is unknown.
        VideoError: the source cannot be decoded.
    """
    from harness.core.types import AppliedPerturbation
    from harness.videos.perturb.plans import build_plan
    from harness.videos.perturb.render import render
    from harness.videos.perturb.steps import Canvas
    from harness.videos.probe import probe

    source = Path(video)
    info = probe(source)
    plan = build_plan(
        [AppliedPerturbation(name=kind, severity=severity)],
        recipe="api",
        set_seed=seed,
        video_id=source.name,
        canvas=Canvas.of(info),
    )
    return render(source, info, plan, Path(output))


def audit(challenge: Place) -> AuditReport:
    """Ask whether anything but the picture predicts the label in a challenge's clean videos.

    Raises:
        ConfigError: the challenge or its labels are wrong.
    """
    from harness.diagnose.audit import audit_challenge

    return audit_challenge(_challenge(challenge))


def _challenge(given: Place | None) -> Challenge:
    from harness.cli.options import SAMPLE_CHALLENGE, find_challenge

    return find_challenge(SAMPLE_CHALLENGE if given is None else Path(given))


def _observer(held: ExitStack, *, progress: bool) -> Observer:
    if not progress:
        return _Silent()
    from harness.cli.progress import ConsoleObserver
    from harness.cli.terminal import printer

    return held.enter_context(ConsoleObserver(printer(errors=True)))


class _Silent:
    """Says nothing."""

    def step(self, text: str) -> None:
        """Ignore a step."""

    def say(self, text: str) -> None:
        """Ignore a word."""

    def warn(self, text: str) -> None:
        """Ignore a warning."""

    def preparing(self, name: SetName, progress: PrepareProgress) -> None:
        """Ignore how far preparing is."""

    def running(self, name: SetName, progress: SetProgress) -> None:
        """Ignore how far a run is."""

    def judged(self, one: SetResult, run: SetRun, limits: Limits) -> None:
        """Ignore the public set's score, which is in the result."""
