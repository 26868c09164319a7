"""Whether anything but a package's own work was on its cores while it was timed.

Three things are listened for, since none of them shows all: time that others spent on the claimed cores, time
that the machine's own host took away, and how much longer than ever before on this node a fixed piece of work
takes on these cores. The last one shows neighbours that share a cache, the memory or one half of a core.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from harness.core.files import write_text
from harness.gateway.set_run import SetRun

SHARE_MAX = 0.03  # the issue of fairness: beside others as fast as alone, to 3% in median seconds per video
PROBE_EVERY_SECONDS = 20.0
PROBE_ROUNDS = 3  # of each probe the fastest counts: it is the one that chance disturbed least
_PROBE_WORK = 60_000
_BUSY = (1, 2, 3, 6, 7, 8)  # columns of /proc/stat: user, nice, system, irq, softirq, stolen
_STOLEN = 8


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """What was heard, as shares of the time that the cores were held; None if unknown."""

    foreign_share: float | None = None  # of the claimed cores' time, spent by others
    stolen_share: float | None = None  # taken by the machine's own host
    slowdown: float | None = None  # of a fixed piece of work against this node's best, 0.05: 5% longer

    @property
    def disturbed(self) -> bool:
        """Whether the run's times are not those of a run alone."""
        return any(
            share is not None and share > SHARE_MAX
            for share in (self.foreign_share, self.stolen_share, self.slowdown)
        )

    def in_words(self) -> str:
        """Say it in one line; empty if it was not disturbed."""
        if not self.disturbed:
            return ""
        heard = [
            (self.foreign_share, "of its cores' time was spent by others"),
            (self.stolen_share, "of its cores' time was taken by the machine's own host"),
            (self.slowdown, "longer than alone for a fixed piece of work"),
        ]
        parts = [f"{share:.0%} {words}" for share, words in heard if share is not None and share > SHARE_MAX]
        return f"disturbed: {'; '.join(parts)}"


def worst_of(parts: Sequence[Disturbance]) -> Disturbance:
    """Return the worst that any part of a set heard."""

    def most(values: Sequence[float | None]) -> float | None:
        return max((value for value in values if value is not None), default=None)

    return Disturbance(
        foreign_share=most([part.foreign_share for part in parts]),
        stolen_share=most([part.stolen_share for part in parts]),
        slowdown=most([part.slowdown for part in parts]),
    )


class DisturbanceListener:
    """Listens to the cores that one run has claimed, from the outside.

    Args:
        cores: Their numbers; if None, nothing is listened to.
        best: Where this node keeps the shortest time of the fixed piece of work.
        stat: The kernel's table of CPU times.
    """

    def __init__(
        self, cores: Sequence[int], *, best: Path | None = None, stat: Path = Path("/proc/stat")
    ) -> None:
        self._cores = tuple(cores)
        self._best = best
        self._stat = stat
        self._began = time.monotonic()
        self._before = self._ticks()
        self._own_before = time.process_time()
        self._probed = -PROBE_EVERY_SECONDS
        self._probes: list[float] = []
        self.listen()

    def listen(self) -> None:
        """Probe the cores now and then; to be called while the package waits for its next video."""
        if not self._cores or self._best is None or time.monotonic() - self._probed < PROBE_EVERY_SECONDS:
            return
        self._probes.append(probe(self._cores[0]))
        self._probed = time.monotonic()

    def heard(self, run: SetRun) -> Disturbance:
        """Sum up what was heard during a run.

        Args:
            run: Says what CPU time its containers used.
        """
        now, seconds = self._ticks(), time.monotonic() - self._began
        if now is None or self._before is None or not self._cores or seconds <= 0:
            return Disturbance()
        per_second = os.sysconf("SC_CLK_TCK")
        busy, stolen = (
            (after - before) / per_second for after, before in zip(now, self._before, strict=True)
        )
        own = time.process_time() - self._own_before
        held = seconds * len(self._cores)
        foreign = busy - stolen - (run.usage.cpu_seconds or 0.0) - own
        return Disturbance(
            foreign_share=max(0.0, foreign / held),
            stolen_share=max(0.0, stolen / held),
            slowdown=self._slowdown(),
        )

    def _slowdown(self) -> float | None:
        if not self._probes or self._best is None:
            return None
        best = min([*self._probes, *_read_best(self._best)])
        with contextlib.suppress(Exception):  # a best that is lost is measured again
            write_text(self._best, f"{best!r}\n")
        return max(0.0, median(self._probes) / best - 1)

    def _ticks(self) -> tuple[int, int] | None:
        names = {f"cpu{core}" for core in self._cores}
        try:
            rows = [line.split() for line in self._stat.read_text(encoding="ascii").splitlines()]
            found = [[int(number) for number in row[1:]] for row in rows if row and row[0] in names]
            busy = sum(row[column - 1] for row in found for column in _BUSY)
            stolen = sum(row[_STOLEN - 1] for row in found)
        except (OSError, ValueError, IndexError):
            return None
        return (busy, stolen) if len(found) == len(names) else None


def probe(core: int) -> float:
    """Return the seconds that a fixed piece of work takes on a core: the shortest of a few rounds."""
    before = os.sched_getaffinity(0)
    try:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {core})
        return min(_round() for _ in range(PROBE_ROUNDS))
    finally:
        os.sched_setaffinity(0, before)


def _round() -> float:
    began, total = time.perf_counter(), 0
    for number in range(_PROBE_WORK):
        total += number * number % 7
    return time.perf_counter() - began


def _read_best(path: Path) -> list[float]:
    try:
        best = float(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return []
    return [best] if best > 0 else []
