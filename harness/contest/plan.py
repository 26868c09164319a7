"""What a contest costs before it starts: machine-hours, days and money, by what is known of it. Pure.

An entry that has a public run is expected to take on the rest what it took there, video by video and start-up
by start-up; one without is expected to take what the median of the others takes, or without any, the whole
budget. Speeds of nodes come from `harness calibrate`: a node of speed 2 takes half the time.
"""

from __future__ import annotations

import heapq
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice, pairwise, repeat
from pathlib import Path
from statistics import median

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.core.errors import ConfigError
from harness.core.text import describe, listed

HOUR_SECONDS = 3600.0
SHARD_SECONDS = (
    1.0  # of the harness for one shard: fetching, opening, claiming; `tests/benchmarks/contest_scale.py`
)
VIDEO_SECONDS = 0.008  # of the harness for one video: staging, journal; likewise


class NodeKind(BaseModel):
    """One kind of node as the organiser's price table has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    count: int = Field(ge=1, le=1_000_000)
    places: int = Field(ge=1, le=10_000, description="shards that a node runs at a time")
    speed: float = Field(
        default=1.0, gt=0, le=1_000, allow_inf_nan=False, description="against the machine the times are from"
    )
    price_per_hour: float = Field(default=0.0, ge=0, allow_inf_nan=False, description="of one node")


class PriceTable(BaseModel):
    """The nodes of a contest and what they cost, all in one currency."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: str = Field(default="EUR", min_length=1)
    nodes: tuple[NodeKind, ...] = Field(min_length=1)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What is known of an entry from a run: seconds of one place."""

    video_seconds: float  # mean, from request to answer
    startup_seconds: float  # of one container
    overhead_seconds: float = SHARD_SECONDS  # of the harness for one shard, start-up not included


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be run."""

    entries: Mapping[str, Pace | None]  # by name; None: nothing is known of it
    set_videos: Sequence[int]  # of each set
    shard_videos: int | None
    budget_video_seconds: float  # what an unknown entry may take
    others: Sequence[Pace] = ()  # of entries that are not to be run: stand in if none of these is known


class StandIn(StrEnum):
    """What an entry that never ran is expected to take."""

    MEDIAN = "median"  # of the others that are to be run
    EARLIER = "earlier"  # the median of what ran before, and is not to be run
    BUDGET = "budget"  # all that it may


@dataclass(frozen=True, kw_only=True)
class CostPlan:
    """What it comes to."""

    entries: int
    unknown: int  # entries that never ran
    stand_in: StandIn  # what stands for these
    shards: int
    place_hours: float  # of work, at speed 1
    hours: float  # from start to end
    machine_hours: float  # nodes × hours: what is paid
    money: float
    currency: str
    idle_share: float  # of the places' time, mostly at the end


def load_prices(path: Path) -> PriceTable:
    """Read a price table.

    Raises:
        ConfigError: names the file and every wrong key.
    """
    try:
        return PriceTable.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", place=path, remedy="See docs/cluster.md for an example."
        ) from error
    except ValidationError as error:
        wrong = error.errors()
        # Nodes that are wrong are left out before they are counted: that there is none is said only if so.
        # Nodes that are wrong are left out before they are counted: that there is none is said only if so.
        own = [one for one in wrong if one["loc"] != ("nodes",)] or wrong
        raise ConfigError(
            listed("is not a price table", [describe(one) for one in own]),
            place=path,
            remedy="Prices are plain numbers, all of one currency, which is named once above the nodes; "
            "see docs/cluster.md for an example.",
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"is not TOML: {error}", place=path, remedy="Fix the syntax at that line."
        ) from error


def plan(asked: Asked, prices: PriceTable) -> CostPlan:
    """Lay out every shard on the nodes, each on the place that is free first, and add up.

    That is how the driver gives them out, so what waits at the end is in it.

    Args:
        asked: What is to be run.
        prices: On what.
    """
    tasks = tasks_of(asked)
    all_places = sum(kind.count * kind.places for kind in prices.nodes)
    # No place behind the first so many is ever given anything: a free one before it takes the shard.
    first = islice(_places(prices), max(1, len(tasks)))
    places = [(0.0, number, kind.speed) for number, kind in enumerate(first)]
    heapq.heapify(places)
    for seconds in tasks:
        free, number, speed = heapq.heappop(places)
        heapq.heappush(places, (free + seconds / speed, number, speed))
    hours = max(free for free, _, _ in places) / HOUR_SECONDS
    busy = sum(free for free, _, _ in places) / HOUR_SECONDS
    nodes = sum(kind.count for kind in prices.nodes)
    return CostPlan(
        entries=len(asked.entries),
        unknown=sum(pace is None for pace in asked.entries.values()),
        stand_in=_stand_in(asked),
        shards=len(tasks),
        place_hours=sum(tasks) / HOUR_SECONDS,
        hours=hours,
        machine_hours=hours * nodes,
        money=hours * sum(kind.count * kind.price_per_hour for kind in prices.nodes),
        currency=prices.currency,
        idle_share=0.0 if hours == 0 else max(0.0, 1 - busy / (hours * all_places)),
    )


def tasks_of(asked: Asked) -> list[float]:
    """Return the seconds of one place that each shard takes, in the order in which they are given out."""
    known = [pace for pace in asked.entries.values() if pace is not None]
    usual = _usual(known or asked.others, asked.budget_video_seconds)
    tasks = []
    for pace in asked.entries.values():
        one = pace or usual
        for videos in asked.set_videos:
            count = 1 if asked.shard_videos is None else math.ceil(videos / asked.shard_videos)
            bounds = [number * videos // count for number in range(count + 1)]
            tasks += [
                one.startup_seconds
                + one.overhead_seconds
                + (after - before) * (one.video_seconds + VIDEO_SECONDS)
                for before, after in pairwise(bounds)
            ]
    return tasks


def _usual(known: Sequence[Pace], budget: float) -> Pace:
    if not known:
        return Pace(video_seconds=budget, startup_seconds=0.0)
    return Pace(
        video_seconds=median(pace.video_seconds for pace in known),
        startup_seconds=median(pace.startup_seconds for pace in known),
        overhead_seconds=median(pace.overhead_seconds for pace in known),
    )


def _stand_in(asked: Asked) -> StandIn:
    if any(pace is not None for pace in asked.entries.values()):
        return StandIn.MEDIAN
    return StandIn.EARLIER if asked.others else StandIn.BUDGET


def _places(prices: PriceTable) -> Iterator[NodeKind]:
    for kind in prices.nodes:
        yield from repeat(kind, kind.count * kind.places)
