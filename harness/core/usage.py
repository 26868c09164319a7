"""What a package used, as seen from outside: one value from the meters to the record.

A new measured resource is a field here, with its law of addition, and the meter that fills it. What is
recorded, resumed and merged follows from the field.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import reduce
from typing import Annotated

from pydantic import Field

Count = Annotated[int | None, Field(ge=0)]
Seconds = Annotated[float | None, Field(ge=0)]


class GpuLevel(StrEnum):
    """How the GPU memory limit was in force. Never claim more."""

    HARD = "hard"
    SAMPLED = "sampled"
    NONE = "none"


def _highest(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _sum(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def _weakest(one: GpuLevel, other: GpuLevel) -> GpuLevel:
    order = list(GpuLevel)
    return max(one, other, key=order.index)


# How two measurements of one resource become one.
_HIGHEST = {"merge": _highest}
_SUM = {"merge": _sum}
_WEAKEST = {"merge": _weakest}


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What was used; None if nobody could measure it."""

    peak_memory_bytes: Count = field(default=None, metadata=_HIGHEST)
    peak_gpu_memory_bytes: Count = field(default=None, metadata=_HIGHEST)
    cpu_seconds: Seconds = field(default=None, metadata=_SUM)
    throttled_seconds: Annotated[
        Seconds, Field(description="held back because it wanted more CPU than its limit allows")
    ] = field(default=None, metadata=_SUM)
    steal_seconds: Annotated[
        Seconds, Field(description="time of its cores that the machine's own host took away: not its fault")
    ] = field(default=None, metadata=_SUM)
    gpu_seconds: Annotated[
        Seconds, Field(description="time in which its GPUs were busy, added up; recorded, not limited")
    ] = field(default=None, metadata=_SUM)
    gpu_level: Annotated[
        GpuLevel, Field(description="how the GPU memory limit was in force: the weakest of what was merged")
    ] = field(default=GpuLevel.NONE, metadata=_WEAKEST)

    def merged(self, other: Usage) -> Usage:
        """Return what both used together, one after the other or side by side.

        Peaks are those of one container: the highest counts. Times add up. Of two levels only the
        weaker may be claimed of both.
        """
        return Usage(
            **{
                one.name: one.metadata["merge"](getattr(self, one.name), getattr(other, one.name))
                for one in fields(Usage)
            }
        )


def total(parts: Iterable[Usage]) -> Usage:
    """Return what all parts used together; without parts, nothing is known."""
    found = list(parts)
    return reduce(Usage.merged, found) if found else Usage()
