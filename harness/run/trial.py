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
from harness.core.limits import bytes_in_words
from harness.core.text import printable
from harness.core.types import FailureRule, Limits, Outcome, OutcomeKind, PreparedVideo, Terms, Verdict
from harness.gateway.run_package import run_package
from harness.gateway.set_run import SetRun
from harness.package.findings import Finding, Severity, found
from harness.package.opened import Package
from harness.results.failures import FailureGroup, grouped, tail
from harness.sandbox import Backend

MESSAGE_LINES_MAX = 40
SHOWN_MAX = 3
AGAIN = "again-"  # the first video, asked for a second time under another name
SAME_WITHIN = 1e-6  # of two answers for one video: above what the order of a sum may change
WARM_UP_SECONDS, WARM_UP_RATIO = 2.0, 3.0  # the first answer stands out if it is slower by both
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
    ask_again: bool = True,
    seen: Callable[[SetRun], None] | None = None,
) -> Callable[[Package], list[Finding]]:
    """Return the `smoke` of a `ContainerProbe`: it runs a package on these videos under these limits.

    Args:
        backend: Starts the container.
        terms: Those of a real run. All limits are held but the budget: two videos say little about a mean, so
            a package that exceeds it is warned and not stopped.
        videos: Sample videos that anyone may see; two are enough.
        ask_again: Whether the first of them is asked for a second time, to see if the answer stays.
        seen: Given the run itself, for what findings do not hold.

    The function it returns raises:
        InfrastructureError: our fault or the host's.
    """
    prepared = sample_videos(videos, ask_again=ask_again)
    held = trial_terms(terms)

    def smoke(package: Package) -> list[Finding]:
        with tempfile.TemporaryDirectory(prefix="harness-smoke-") as folder:
            run = run_package(
                package,
                prepared,
                backend=backend,
                terms=held,
                run_id=f"smoke-{package.sha256[:12]}",
                order_seed=0,
                journal=Path(folder) / "outcomes.jsonl",
                keep_messages=True,
            )
        if seen is not None:
            seen(run)
        return list(smoke_findings(run, limits=terms.limits))

    return smoke


def sample_videos(videos: Sequence[Path], *, ask_again: bool) -> tuple[PreparedVideo, ...]:
    """Return sample videos as a set that can be run; with the first of them twice, under another name."""
    prepared = tuple(_prepared(path) for path in videos)
    if ask_again and prepared:
        prepared += (replace(prepared[0], video_id=f"{AGAIN}{prepared[0].video_id}"),)
    return prepared


def trial_terms(terms: Terms) -> Terms:
    """Return a real run's terms for a few videos: any failure counts, and the mean time ends nothing."""
    limits = terms.limits
    held = replace(limits, mean_video_seconds=max(limits.mean_video_seconds, limits.video_seconds))
    return replace(terms, limits=held, failure_rule=FailureRule.STRICT)


def smoke_findings(run: SetRun, *, limits: Limits) -> Iterator[Finding]:
    """Yield what a run on sample videos tells a contestant: what failed and why, or that all is well."""
    never_ready = run.startup_seconds is None
    failed = {one.video_id for one in run.outcomes if one.kind is not OutcomeKind.PREDICTED}
    once = [one for one in run.outcomes if _first_name(one.video_id) not in failed - {one.video_id}]
    count = len({_first_name(one.video_id) for one in run.outcomes})
    groups = grouped(once, limits=limits, usage=run.usage, log_tail=run.log_tail, message=run.message)
    for group in groups:
        summary = f"{group.kind} on {group.count} of {count} videos ({_named(group.video_ids)})"
        if never_ready:
            summary = f"{run.verdict}: the package did not become ready"
        code = "P603" if group.kind is OutcomeKind.INVALID_PREDICTION else "P602"
        yield _failure("P601" if never_ready else code, summary, group, run.log_tail)
        if never_ready:
            return
    if not groups and run.verdict is not Verdict.OK:
        yield found("P602", "\n".join([f"{run.verdict}", *_lines(run.message), *_log(run.log_tail)]))
    answered = [outcome for outcome in run.outcomes if outcome.kind is OutcomeKind.PREDICTED]
    if answered:
        yield from _answers(answered)
        yield from _pace(answered, run, limits)


def _answers(answered: Sequence[Outcome]) -> Iterator[Finding]:
    """Yield warnings about answers that score nothing, or that are not the same a second time."""
    first = {one.video_id: one.probability for one in answered if not one.video_id.startswith(AGAIN)}
    for one in answered:
        before = first.get(_first_name(one.video_id))
        if not one.video_id.startswith(AGAIN) or before is None or one.probability is None:
            continue
        if abs(before - one.probability) > SAME_WITHIN:
            name = _first_name(one.video_id)
            yield found("P613", f"{before:.6f}, then {one.probability:.6f} for the same video, {name}")
    if len(first) > 1 and len(set(first.values())) == 1:
        yield found("P612", f"{next(iter(first.values())):g} for each of {len(first)} videos")


def _pace(answered: Sequence[Outcome], run: SetRun, limits: Limits) -> Iterator[Finding]:
    times = [outcome.wall_seconds for outcome in answered]
    mean_seconds = sum(times) / len(times)
    if mean_seconds > limits.mean_video_seconds:
        yield found(
            "P611",
            f"{mean_seconds:.1f} s for a video; {limits.mean_video_seconds:g} s are allowed on average",
        )
    if len(times) > 1 and times[0] > WARM_UP_SECONDS + WARM_UP_RATIO * max(times[1:]):
        yield found(
            "P614", f"{times[0]:.1f} s for the first video, at most {max(times[1:]):.1f} s for others"
        )
    shown = [outcome for outcome in answered if not outcome.video_id.startswith(AGAIN)]
    answers = ", ".join(f"{outcome.probability:.3f}" for outcome in shown)
    facts = [
        f"answered {answers}",
        f"{mean_seconds:.2f} s a video",
        f"ready after {run.startup_seconds:.1f} s",
    ]
    if run.usage.peak_memory_bytes:
        facts.append(f"at most {bytes_in_words(run.usage.peak_memory_bytes)} of memory")
    yield found("P620", ", ".join(facts))


def _failure(code: str, summary: str, group: FailureGroup, log_tail: str) -> Finding:
    lines = [summary, *_lines(group.message), *_log(log_tail)]
    return found(code, "\n".join(lines), place=group.place, severity=Severity.ERROR, remedy=group.remedy)


def _named(video_ids: Sequence[str]) -> str:
    more = f" and {len(video_ids) - SHOWN_MAX} more" if len(video_ids) > SHOWN_MAX else ""
    return ", ".join(_in_words(one) for one in video_ids[:SHOWN_MAX]) + more


def _in_words(video_id: str) -> str:
    again = " when asked again" if video_id.startswith(AGAIN) else ""
    return printable(_first_name(video_id)) + again


def _first_name(video_id: str) -> str:
    return video_id.removeprefix(AGAIN)


def _lines(text: str) -> list[str]:
    return [f"  {line}" for line in tail(text, lines=MESSAGE_LINES_MAX)]


def _log(log_tail: str) -> list[str]:
    return ["the end of its log:", *_lines(log_tail)] if log_tail.strip() else []


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
