"""Run a package on a few sample videos, as a real run would, and turn what happens into findings.

For contestants: unlike a run on a hidden set, everything is shown, the package's own traceback included.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import docker
import requests
from docker.errors import DockerException

from harness.core.errors import ImageError
from harness.core.text import printable
from harness.core.types import FailureRule, Limits, Outcome, OutcomeKind, PreparedVideo, Terms, Verdict
from harness.gateway.run_package import run_package
from harness.gateway.set_run import SetRun
from harness.package.findings import Finding, Severity, found
from harness.package.opened import Package
from harness.sandbox import Backend

MESSAGE_LINES_MAX = 40
_LIST_MODULES = """
import json, os, pkgutil, sys
names = {module.name for module in pkgutil.iter_modules()} | sys.stdlib_module_names
for folder in filter(os.path.isdir, sys.path):  # packages without __init__.py, such as mpl_toolkits
    names |= {name for name in os.listdir(folder) if name.isidentifier()}
print(json.dumps(sorted(names)))
"""


def smoke_runner(
    *,
    backend: Backend,
    terms: Terms,
    videos: Sequence[Path],
    seen: Callable[[SetRun], None] | None = None,
) -> Callable[[Package], list[Finding]]:
    """Return the `smoke` of a `ContainerProbe`: it runs a package on these videos under these limits.

    Args:
        backend: Starts the container.
        terms: Those of a real run. All limits are held but the budget: two videos say little about a mean, so
            a package that exceeds it is warned and not stopped.
        videos: Sample videos that anyone may see; two are enough.
        seen: Given the run itself, for what findings do not hold.

    The function it returns raises:
        InfrastructureError: our fault or the host's.
    """
    limits = terms.limits
    prepared = tuple(_prepared(path) for path in videos)
    held = replace(limits, mean_video_seconds=max(limits.mean_video_seconds, limits.video_seconds))

    def smoke(package: Package) -> list[Finding]:
        with tempfile.TemporaryDirectory(prefix="harness-smoke-") as folder:
            run = run_package(
                package,
                prepared,
                backend=backend,
                terms=replace(terms, limits=held, failure_rule=FailureRule.STRICT),
                run_id=f"smoke-{package.sha256[:12]}",
                order_seed=0,
                journal=Path(folder) / "outcomes.jsonl",
                keep_messages=True,
            )
        if seen is not None:
            seen(run)
        return list(smoke_findings(run, limits=limits))

    return smoke


def smoke_findings(run: SetRun, *, limits: Limits) -> Iterator[Finding]:
    """Yield what a run on sample videos tells a contestant: what failed and why, or that all is well."""
    if run.startup_seconds is None:
        yield _failure("P601", f"{run.verdict}: the package did not become ready", run.message, run.log_tail)
        return
    failed = [outcome for outcome in run.outcomes if outcome.kind is not OutcomeKind.PREDICTED]
    for outcome in failed:
        code = "P603" if outcome.kind is OutcomeKind.INVALID_PREDICTION else "P602"
        message = outcome.message or run.message
        yield _failure(code, f"{outcome.kind} on {outcome.video_id}", message, run.log_tail)
    if not failed and run.verdict is not Verdict.OK:
        yield _failure("P602", f"{run.verdict}", run.message, run.log_tail)
    answered = [outcome for outcome in run.outcomes if outcome.kind is OutcomeKind.PREDICTED]
    if answered:
        yield from _pace(answered, run, limits)


def _pace(answered: Sequence[Outcome], run: SetRun, limits: Limits) -> Iterator[Finding]:
    mean_seconds = sum(outcome.wall_seconds for outcome in answered) / len(answered)
    if mean_seconds > limits.mean_video_seconds:
        yield found(
            "P611",
            f"{mean_seconds:.1f} s for a video; {limits.mean_video_seconds:g} s are allowed on average",
        )
    answers = ", ".join(f"{outcome.probability:.3f}" for outcome in answered)
    facts = [
        f"answered {answers}",
        f"{mean_seconds:.2f} s a video",
        f"ready after {run.startup_seconds:.1f} s",
    ]
    if run.usage.peak_memory_bytes:
        facts.append(f"at most {run.usage.peak_memory_bytes / 1e6:,.0f} MB of memory")
    yield found("P620", ", ".join(facts))


def _failure(code: str, summary: str, message: str, log_tail: str) -> Finding:
    lines = [summary, *_lines(message)]
    if log_tail.strip():
        lines += ["the end of its log:", *_lines(log_tail)]
    return found(code, "\n".join(lines), severity=Severity.ERROR)


def _lines(text: str) -> list[str]:
    return [f"  {printable(line)}" for line in text.rstrip().splitlines()[-MESSAGE_LINES_MAX:]]


def _prepared(path: Path) -> PreparedVideo:
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return PreparedVideo(video_id=path.name, path=path, source_id=path.name, sha256=sha256)


def image_modules(client: docker.DockerClient, image: str) -> frozenset[str]:
    """Ask the runtime image, in a container without a network, which top-level modules it can import.

    Raises:
        ImageError: it cannot be asked.
    """
    try:
        output = client.containers.run(
            image,
            entrypoint=["python3", "-I", "-c", _LIST_MODULES],
            network_disabled=True,
            read_only=True,
            cap_drop=["ALL"],
            remove=True,
        )
        return frozenset(json.loads(output))
    except (DockerException, requests.RequestException, ValueError) as error:
        raise ImageError(
            f"its modules cannot be listed: {error}", place=image, remedy="Build the image again."
        ) from error
