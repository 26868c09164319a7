"""Holds what an attack came to against what was expected of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.core.limits import bytes_in_words
from harness.core.text import printable
from harness.core.types import OutcomeKind
from harness.diagnose.selfcheck.attack import Observed
from harness.diagnose.selfcheck.behaviour import After, Behaviour

WRITTEN_BYTES_MAX = 256 * 1024  # what the harness may keep of one tiny run: a capped log, a few messages
CPU_TOLERANCE = 1.25
CPU_GRACE_SECONDS = 1.0
OWN_WORDS = "EVIDENCE "


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that had to be so."""

    name: str
    held: bool
    evidence: str


def judge(behaviour: Behaviour, observed: Observed) -> tuple[Check, ...]:
    """Return everything that was looked at: the verdicts, the outcomes, and the host afterwards."""
    return (*_what_it_came_to(behaviour, observed), *_host(behaviour, observed))


def _what_it_came_to(behaviour: Behaviour, observed: Observed) -> Iterator[Check]:
    expect = behaviour.expect
    wanted = (expect.verdicts.lenient, expect.verdicts.strict)
    shown = f"lenient {observed.verdicts[0]}, strict {observed.verdicts[1]}"
    yield Check(name="verdict", held=observed.verdicts == wanted, evidence=shown)
    if expect.findings:
        missing = set(expect.findings) - set(observed.findings)
        yield Check(name="findings", held=not missing, evidence=observed.refusal)
        yield Check(
            name="never started",
            held=not observed.containers_started,
            evidence=f"{observed.containers_started} containers started",
        )
        return
    for number, run in enumerate(observed.runs, start=1):
        which = f"set {number}: " if len(observed.runs) > 1 else ""
        kinds = tuple(outcome.kind for outcome in run.outcomes)
        yield Check(name="outcomes", held=kinds == expect.outcomes, evidence=which + _kinds(kinds))
        if expect.probabilities:
            answers = (outcome.probability for outcome in run.outcomes)
            given = tuple(answer for answer in answers if answer is not None)
            text = ", ".join(f"{answer:g}" for answer in given)
            yield Check(
                name="answers", held=given == expect.probabilities, evidence=f"{which}answered {text}"
            )
        if expect.restarts is not None:
            yield Check(
                name="restarts",
                held=run.restarts == expect.restarts,
                evidence=f"{which}{run.restarts} containers replaced",
            )
        if expect.billed_seconds_min:
            yield Check(
                name="clock",
                held=run.billed_seconds >= expect.billed_seconds_min,
                evidence=f"{which}billed {run.billed_seconds:.2f} s",
            )


def _host(behaviour: Behaviour, observed: Observed) -> Iterator[Check]:
    left = {
        After.CONTAINER: observed.containers,
        After.PROCESS: observed.processes,
        After.FILE: (*observed.files, *observed.layer),
        After.PACKAGE: observed.package_changes,
        After.VIDEO: observed.video_changes,
    }
    for name, found in left.items():
        shown = ", ".join(str(one) for one in found[:5])
        said = f"{len(found)} left or changed: {shown}" if found else f"{name.value} afterwards"
        yield Check(name=name.value, held=not found, evidence=said)
    yield Check(
        name=After.PACKET.value, held=observed.packets == 0, evidence=f"{observed.packets} packets heard"
    )
    yield Check(
        name=After.GROWTH.value,
        held=observed.written_bytes <= WRITTEN_BYTES_MAX,
        evidence=f"{observed.written_bytes:,} bytes kept of it",
    )
    yield from _use(behaviour, observed)
    if behaviour.expect.private:
        kept = "its own words were kept" if observed.said else "nothing of its own words was kept"
        yield Check(name=After.SILENCE.value, held=not observed.said, evidence=kept)


def _use(behaviour: Behaviour, observed: Observed) -> Iterator[Check]:
    limits, usages = behaviour.limits, [run.usage for run in observed.runs]
    peaks = [used.peak_memory_bytes for used in usages if used.peak_memory_bytes is not None]
    if peaks:
        yield Check(
            name=After.MEMORY.value,
            held=max(peaks) <= limits.memory_bytes,
            evidence=f"peak {bytes_in_words(max(peaks))} of {bytes_in_words(limits.memory_bytes)}",
        )
    used = [one.cpu_seconds for one in usages if one.cpu_seconds is not None]
    if used:
        allowed = CPU_TOLERANCE * limits.cpus * observed.seconds + CPU_GRACE_SECONDS
        yield Check(
            name=After.CPU.value,
            held=sum(used) <= allowed,
            evidence=f"{sum(used):.1f} CPU seconds in {observed.seconds:.1f} s",
        )


def _kinds(kinds: tuple[OutcomeKind, ...]) -> str:
    return f"{kinds[0]} × {len(kinds)}" if len(set(kinds)) == 1 else ", ".join(kinds)


def evidence(behaviour: Behaviour, observed: Observed, checks: tuple[Check, ...]) -> str:
    """Return the evidence in one line: what failed, or what the attack aims at and its own last words."""
    failed = [check for check in checks if not check.held]
    if failed:
        return "; ".join(f"{check.name}: {check.evidence}" for check in failed)
    aims = {after.value for after in behaviour.expect.afterwards}
    told = [check for check in checks if check.name in {"findings", "answers", "outcomes", "clock"} | aims]
    return "; ".join([*(check.evidence for check in told), *_own_words(observed)])


def _own_words(observed: Observed) -> Iterator[str]:
    """Give what the package wrote of its own failure: our packages say why they got nowhere."""
    for run in observed.runs[-1:]:
        lines = [line for line in run.log_tail.splitlines() if line.startswith(OWN_WORDS)]
        yield from (printable(line.removeprefix(OWN_WORDS), cap=120) for line in lines[-1:])
