"""Many failures in few lines: the same error once, with its count, the package's own line, and a remedy.

For the public set only: what a package says about hidden videos is never kept. Everything here is text that a
package wrote; it is cut and cleaned, never believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from harness.core.text import printable
from harness.core.types import Limits, OutcomeKind
from harness.core.usage import Usage
from harness.results.remedies import remedy_of

MESSAGE_LINES_MAX: Final = 40
INDENT_MAX: Final = 40
_HEAD: Final = "Traceback (most recent call last)"
_FRAME = re.compile(r'^\s*File "(?P<path>[^"]+)", line (?P<line>\d+)(?:, in (?P<name>.+))?$')
_FOREIGN = re.compile(
    r"^<frozen |/(?:site|dist)-packages/|/lib(?:64)?/python3|^/opt/(?:venv|harness)/"
    r"|/harness/image/runtime/runner\.py$"
)
_LIBRARY = re.compile(r"/(?:site|dist)-packages/(?P<name>[^/]+?)(?:\.py)?(?:/|$)")
_OWN_ROOT = re.compile(r"^.*?/package/")
_CHANGING = re.compile(r"/videos/\S+|\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{16,}\b")
_LAST_LINE = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning|Iteration)?\b.*")


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """What failed in one way."""

    kind: OutcomeKind
    count: int
    video_ids: tuple[str, ...]  # in the order given
    exception: str  # the last line, such as "ValueError: no face"; empty if nothing was said
    place: str  # file:line of the package's own code, the one nearest to the error; empty if it has none
    message: str  # the whole, with the frames of libraries folded
    remedy: str = ""


class FailedVideo(Protocol):
    """What may have failed: an outcome, or one joined with its label."""

    @property
    def video_id(self) -> str:
        """Name the video."""

    @property
    def kind(self) -> OutcomeKind:
        """Say what happened."""

    @property
    def message(self) -> str:
        """Return what the package said."""


def grouped(
    outcomes: Iterable[FailedVideo],
    *,
    limits: Limits | None = None,
    usage: Usage | None = None,
    log_tail: str = "",
    message: str = "",
) -> tuple[FailureGroup, ...]:
    """Group what failed by kind, exception and place, the most frequent first.

    Args:
        outcomes: Of a public set, or of any set whose messages were not kept.
        limits: Named in remedies if they are known.
        usage: Likewise: what the run took at most.
        log_tail: The end of the package's log: some errors say more there than in their exception.
        message: Why the package never became ready: the words of videos that were not reached.
    """
    found: dict[tuple[str, str, str], list[FailedVideo]] = {}
    for outcome in outcomes:
        if outcome.kind is OutcomeKind.PREDICTED:
            continue
        words = _with_traceback(outcome.message or message, log_tail)
        key = (outcome.kind, _CHANGING.sub("…", exception_of(words)), own_line(words))
        found.setdefault(key, []).append(outcome)
    groups = [
        FailureGroup(
            kind=cases[0].kind,
            count=len(cases),
            video_ids=tuple(case.video_id for case in cases),
            exception=exception_of(_with_traceback(cases[0].message or message, log_tail)),
            place=place,
            message=folded(_with_traceback(cases[0].message or message, log_tail)),
            remedy=remedy_of(
                cases[0].kind, cases[0].message or message, log_tail=log_tail, limits=limits, usage=usage
            ),
        )
        for (_, _, place), cases in found.items()
    ]
    return tuple(sorted(groups, key=lambda group: -group.count))


def _with_traceback(words: str, log_tail: str) -> str:
    """Add the log's last traceback if the words hold none: a batch entry's own is only there."""
    if _HEAD in words or _HEAD not in log_tail:
        return words
    lines = log_tail[log_tail.rindex(_HEAD) :].splitlines()
    end = next(
        (n for n, line in enumerate(lines[1:], start=2) if line and not line.startswith(" ")), len(lines)
    )
    return "\n".join(filter(None, [words, *lines[:end]]))


def exception_of(text: str) -> str:
    """Return the line that says what went wrong: the last of a traceback, or the first of other words."""
    lines = [line for line in text.rstrip().splitlines() if line.strip()]
    if _HEAD not in text and not any(_FRAME.match(line) for line in lines):
        return printable(lines[0]) if lines else ""
    ends = [line for line in lines if _LAST_LINE.match(line) and not line.startswith("Traceback")]
    return printable((ends or lines)[-1])


def own_line(text: str) -> str:
    """Return file:line of the last frame that is in the package's own code; empty if there is none."""
    frames = [match for line in text.splitlines() if (match := _FRAME.match(line))]
    own = [frame for frame in frames if not _FOREIGN.search(frame["path"])]
    return f"{printable(_OWN_ROOT.sub('', own[-1]['path']))}:{own[-1]['line']}" if own else ""


def folded(text: str) -> str:
    """Return a traceback in which the frames of importlib, the runner and libraries are one line each run."""
    kept: list[str] = []
    names: list[str] = []
    foreign = False
    for line in text.rstrip().splitlines():
        frame = _FRAME.match(line)
        if frame is not None:
            foreign = bool(_FOREIGN.search(frame["path"]))
            if foreign:
                names.append(_library(frame["path"]))
                continue
            kept += _fold(names)
            kept.append(line.replace(frame["path"], _OWN_ROOT.sub("", frame["path"])))
        elif foreign and line.startswith("    "):
            continue  # the source line of a folded frame
        else:
            kept += _fold(names)
            foreign = False
            kept.append(line)
    kept += _fold(names)
    return "\n".join(_indented(line) for line in kept[-MESSAGE_LINES_MAX:])


def in_words(group: FailureGroup, *, total: int) -> str:
    """Say in one line what failed, how often and where."""
    where = f" at {group.place}" if group.place else ""
    return f"{group.count} of {total} videos: {group.kind}" + (
        f": {group.exception}{where}" if group.exception else where
    )


def tail(text: str, *, lines: int) -> Sequence[str]:
    """Return the last lines of a log, each safe to print."""
    return [_indented(line) for line in text.rstrip().splitlines()[-lines:]]


def _indented(line: str) -> str:
    """Make a line safe to print, and keep what it is indented by."""
    bare = line.lstrip(" ")
    return " " * min(len(line) - len(bare), INDENT_MAX) + printable(bare)


def _fold(names: list[str]) -> list[str]:
    if not names:
        return []
    of = ", ".join(dict.fromkeys(names))
    line = f"  … {len(names)} frame{'s' if len(names) > 1 else ''} of {of}"
    names.clear()
    return [line]


def _library(path: str) -> str:
    if path.endswith("runner.py"):
        return "the runner"
    match = _LIBRARY.search(path)
    if match:
        return match["name"]
    return "importlib" if "importlib" in path else "Python"
