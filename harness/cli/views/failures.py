"""What failed on the public set, in a terminal: each error once, with place, count and remedy."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from harness.core.types import Limits
from harness.gateway.set_run import SetRun
from harness.results.failures import FailureGroup, grouped, in_words, tail

GROUPS_SHOWN = 5
LOG_LINES = 20


def failures_of(public: SetRun, limits: Limits) -> tuple[FailureGroup, ...]:
    """Return what failed on the public set, the most frequent first."""
    return grouped(
        public.outcomes,
        limits=limits,
        usage=public.usage,
        log_tail=public.log_tail,
        message=public.message,
    )


def render_failures(public: SetRun, limits: Limits) -> Iterator[Text]:
    """Yield nothing if every video was answered; else the failures, the first traceback and the log's end.

    All of it is the package's own text, cleaned, and plain: it can neither colour nor move anything.
    """
    groups = failures_of(public, limits)
    if not groups:
        return
    yield Text("What failed on the public set:", "bold")
    for group in groups[:GROUPS_SHOWN]:
        yield Text(f"  {in_words(group, total=len(public.outcomes))}", "red")
        if "\n" in group.message:
            yield Text("\n".join(f"    {line}" for line in group.message.splitlines()))
        if group.remedy:
            yield Text(f"  → {group.remedy}")
    if len(groups) > GROUPS_SHOWN:
        yield Text(f"  and {len(groups) - GROUPS_SHOWN} other kinds of failure: see the report")
    if public.log_tail.strip():
        yield Text("The end of its log:", "bold")
        yield Text("\n".join(f"  {line}" for line in tail(public.log_tail, lines=LOG_LINES)))
