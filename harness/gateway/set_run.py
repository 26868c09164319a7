"""What the run of one video set comes to: its verdict, its outcomes, and what was measured from outside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter

from harness.core.errors import ResultError
from harness.core.files import write_text
from harness.core.text import outcomes_in_words
from harness.core.types import (
    VERDICT_PRIORITY,
    FailureRule,
    Outcome,
    OutcomeKind,
    ResourceSample,
    SandboxFacts,
    Terms,
    Verdict,
    too_many_failed,
)
from harness.core.usage import Usage, total

LOG_CHARACTERS_MAX = 64 * 1024  # kept of what a package printed in the run of one set
_VERDICT_OF_KIND: Mapping[OutcomeKind, Verdict] = {
    OutcomeKind.VIDEO_TIMEOUT: Verdict.TIME_LIMIT,
    OutcomeKind.MEMORY_LIMIT: Verdict.MEMORY_LIMIT,
    OutcomeKind.GPU_MEMORY_LIMIT: Verdict.GPU_MEMORY_LIMIT,
    OutcomeKind.OUTPUT_LIMIT: Verdict.OUTPUT_LIMIT,
    OutcomeKind.PROTOCOL_ERROR: Verdict.PROTOCOL_ERROR,
    OutcomeKind.RUNTIME_ERROR: Verdict.RUNTIME_ERROR,
    OutcomeKind.INVALID_PREDICTION: Verdict.INVALID_PREDICTION,
}


class Phase(StrEnum):
    """What the gateway is waiting for."""

    STARTING = "starting"
    PREDICTING = "predicting"
    FINISHED = "finished"


@dataclass(frozen=True, kw_only=True)
class SetProgress:
    """How far the run of a set is."""

    phase: Phase
    done: int
    total: int
    failures: int
    restarts: int
    elapsed_seconds: float  # of this harness, start-ups and staging included
    billed_seconds: float
    budget_seconds: float
    news: tuple[Outcome, ...] = ()  # since it was last told; at first, what an earlier harness did
    log_loss: float | None = None  # so far; filled in by who holds labels, for the public set alone


@dataclass(frozen=True, kw_only=True)
class SetRun:
    """The run of one video set, or of a part of one. Nothing in it knows a label."""

    verdict: Verdict
    detail: str  # in the harness's own words: may be shown wherever the verdict may
    outcomes: tuple[Outcome, ...]  # one for each video, in the order the videos were given
    isolation: str
    billed_seconds: float
    budget_seconds: float
    startup_seconds: float | None = None  # of the first container; None if none became ready
    restarts: int = 0  # containers lost to the package's own doing, by all harnesses that worked on the set
    ending: Verdict | None = None  # what ended the run before its last video, if anything did
    blemishes: tuple[Verdict, ...] = ()  # what is wrong with the run but with no one video
    usage: Usage = Usage()  # of all containers together
    samples: tuple[ResourceSample, ...] = ()  # of all containers, one after the other
    log_bytes: int = 0
    log_tail: str = ""  # empty unless messages were kept
    message: str = ""  # why it never became ready or gave no table: the package's own words, likewise


def verdict_of(
    kinds: Iterable[OutcomeKind],
    *,
    terms: Terms,
    ending: Verdict | None = None,
    blemishes: Iterable[Verdict] = (),
) -> Verdict:
    """Give the first verdict in order of priority.

    Under the strict rule every failure is a fact. Under the lenient rule failures are one fact, the most
    frequent of them, and only if there are more than `terms.max_failed_share` or no video was answered:
    a set without an answer is never OK.

    Args:
        kinds: What happened to each video.
        terms: The failure rule, and the share of a set that may fail under the lenient one.
        ending: What ended the run before its last video, if anything did: it counts under both rules.
        blemishes: What is wrong with the run but with no one video; under the strict rule only.
    """
    counts = Counter(kinds)
    failures = [verdict_of_kind(kind) for kind in counts.elements() if kind in _VERDICT_OF_KIND]
    facts = [] if ending is None else [ending]
    if terms.failure_rule is FailureRule.STRICT:
        facts += [*blemishes, *failures]
    elif too_many_failed(
        failed=counts.total() - counts[OutcomeKind.PREDICTED],
        videos=counts.total(),
        max_failed_share=terms.max_failed_share,
    ):
        facts += _most_frequent(failures)
    unanswered = bool(counts) and not counts[OutcomeKind.PREDICTED]
    return worst(facts or ([Verdict.RUNTIME_ERROR] if unanswered else []))


def _most_frequent(failures: Sequence[Verdict]) -> list[Verdict]:
    counts = Counter(failures)
    highest = max(counts.values(), default=0)
    return [verdict for verdict, count in counts.items() if count == highest]


def merged(parts: Sequence[SetRun], *, terms: Terms) -> SetRun:
    """Judge the runs of the parts of one set together, as if one container after the other had served it.

    What ended or spoiled a part ends or spoils the whole; failures are counted over all videos. Times,
    budgets and replaced containers add up.

    Args:
        parts: At least one; each video in exactly one of them.
        terms: Those of the whole.

    Raises:
        ValueError: there is no part, two hold the same video, or their isolation differs.
    """
    outcomes = tuple(outcome for part in parts for outcome in part.outcomes)
    if len({outcome.video_id for outcome in outcomes}) != len(outcomes):
        raise ValueError("a video is in two parts")
    isolations = {part.isolation for part in parts}
    if len(isolations) != 1:
        raise ValueError(f"parts of one set that ran with isolation {sorted(isolations)}")
    endings = [part.ending for part in parts if part.ending is not None]
    ending = worst(endings) if endings else None
    blemishes = tuple(blemish for part in parts for blemish in part.blemishes)
    kinds = [outcome.kind for outcome in outcomes]
    started = [part.startup_seconds for part in parts if part.startup_seconds is not None]
    return SetRun(
        verdict=verdict_of(kinds, terms=terms, ending=ending, blemishes=blemishes),
        detail=outcomes_in_words(kinds),
        outcomes=outcomes,
        isolation=isolations.pop(),
        billed_seconds=sum(part.billed_seconds for part in parts),
        budget_seconds=sum(part.budget_seconds for part in parts),
        startup_seconds=next(iter(started), None),
        restarts=sum(part.restarts for part in parts),
        ending=ending,
        blemishes=blemishes,
        usage=total(part.usage for part in parts),
        samples=tuple(sample for part in parts for sample in part.samples),
        log_bytes=sum(part.log_bytes for part in parts),
        log_tail="".join(part.log_tail for part in parts)[-LOG_CHARACTERS_MAX:],
        message=next((part.message for part in parts if part.message), ""),
    )


def read_set_run(path: Path, *, terms: Terms) -> SetRun | None:
    """Read the summary of a finished set; None if there is none.

    A summary of a release that had each measurement on its own line, and called a set OK in which
    everything had failed, is read and judged by today's rule.

    Raises:
        ResultError: it is damaged.
    """
    try:
        document = json.loads(path.read_bytes())
        if "usage" in document:
            return _SET_RUN.validate_python(document, strict=False)
        names = [one.name for one in fields(Usage) if one.name in document]
        older = _SET_RUN.validate_python(document | {"usage": {name: document[name] for name in names}})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise ResultError(
            "cannot be read", place=path, remedy="Delete it; the set's journal is used to resume."
        ) from error
    if older.verdict is not Verdict.OK:
        return replace(older, ending=older.verdict)
    return replace(older, verdict=verdict_of([one.kind for one in older.outcomes], terms=terms))


def write_set_run(run: SetRun, path: Path) -> None:
    """Write the summary of a finished set.

    Raises:
        InfrastructureError: the disk refuses.
    """
    write_text(path, _SET_RUN.dump_json(run, indent=1).decode() + "\n")


def verdict_of_kind(kind: OutcomeKind) -> Verdict:
    """Return what a video's failure comes to if it ends or spoils the run.

    Raises:
        KeyError: it is not a failure.
    """
    return _VERDICT_OF_KIND[kind]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the first of them in order of priority; OK if there are none."""
    return min(verdicts, key=VERDICT_PRIORITY.__getitem__, default=Verdict.OK)


def kind_of_end(facts: SandboxFacts) -> OutcomeKind:
    """Say why a sandbox ended by itself, from the facts and not from its exit code alone."""
    if facts.oom_killed:
        return OutcomeKind.MEMORY_LIMIT
    if facts.gpu_limit_exceeded:
        return OutcomeKind.GPU_MEMORY_LIMIT
    if facts.log_limit_exceeded:
        return OutcomeKind.OUTPUT_LIMIT
    return OutcomeKind.RUNTIME_ERROR


_SET_RUN = TypeAdapter(SetRun)
