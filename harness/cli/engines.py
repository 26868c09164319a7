"""Which engine runs the harness's own work: the processes of this machine, or a Ray cluster."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from harness.core.engines import Engine
from harness.core.engines.local import LocalEngine
from harness.core.errors import ConfigError
from harness.core.types import Limits


class EngineKind(StrEnum):
    """What `--engine` takes."""

    LOCAL = "local"
    RAY = "ray"


EngineOption = Annotated[
    EngineKind, typer.Option("--engine", help="local: this machine's processes. ray: a Ray cluster.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        envvar="RAY_ADDRESS",
        help="With --engine ray: HOST:PORT of the cluster. Default: one of this machine alone.",
        show_default=False,
    ),
]
SHARD_MODULES = ("harness.contest.shard_job", "harness.cli.contest_backends")  # what a shard's worker loads
REPEATS = 3  # of work whose worker or node died, and whose repetition changes nothing


@contextmanager
def opened_engine(
    kind: EngineKind, *, address: str | None = None, workers: int | None = None
) -> Iterator[Engine]:
    """Open an engine for jobs that need one core each, and may be done twice.

    Raises:
        ConfigError: an address without Ray.
        EngineUnavailableError: no cluster answers.
    """
    _must_fit(kind, address)
    if kind is EngineKind.LOCAL:
        yield LocalEngine(workers)
        return
    from harness.core.engines.ray import RayEngine  # an extra, and slow to import

    with RayEngine(address, retries=REPEATS) as engine:
        yield engine


@contextmanager
def shard_engine(
    kind: EngineKind,
    limits: Limits,
    *,
    address: str | None = None,
    workers: int | None = None,
    gpus: int = 0,
    speed: float = 0.0,
) -> Iterator[tuple[Engine, int]]:
    """Open an engine for shards, each of which holds what a package is allowed.

    Args:
        kind: Which.
        limits: What a package is allowed.
        address: Of the Ray cluster.
        workers: How many shards run at a time on this machine; by default as many as there is room for.
        gpus: GPUs that this machine has for packages.
        speed: Of a node, at least; 1 is the reference machine.

    Yields:
        The engine, and how many shards it runs at a time.

    Raises:
        ConfigError: this machine has no room for one shard; or an address without Ray.
        EngineUnavailableError: no cluster answers.
    """
    _must_fit(kind, address)
    if kind is EngineKind.LOCAL:
        room = room_for(limits, gpus=gpus)
        places = min(room, workers) if workers else room
        yield LocalEngine(places), places
        return
    from harness.core.engines.ray import Need, RayEngine  # an extra, and slow to import

    need = Need(
        cores=math.ceil(limits.cpus),
        memory_bytes=limits.memory_bytes,
        gpus=limits.gpus if gpus else 0,
        speed=speed,
    )
    with RayEngine(address, need=need, node_fault=_of_its_node) as engine:
        engine.warm(*SHARD_MODULES)
        yield engine, max(1, engine.places())


def _must_fit(kind: EngineKind, address: str | None) -> None:
    if kind is EngineKind.LOCAL and address not in {None, os.environ.get("RAY_ADDRESS")}:
        raise ConfigError(
            "names a Ray cluster, but the work would be done on this machine alone",
            place=f"--address {address}",
            remedy="Add --engine ray, or leave the address out.",
        )


def _of_its_node(error: BaseException) -> bool:
    """Tell whether a shard's error says something of its node: all do but the organiser's own wish."""
    from harness.contest.shard_job import CancelledError  # much to import, and only once something went wrong

    return not isinstance(error, CancelledError)


def room_for(limits: Limits, *, gpus: int) -> int:
    """Say how many packages this machine can run beside each other, each with all that it is allowed.

    Raises:
        ConfigError: not one.
    """
    cores = len(os.sched_getaffinity(0)) // math.ceil(limits.cpus)
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    memory = memory_bytes // limits.memory_bytes
    found = min(cores, memory, gpus // limits.gpus if gpus and limits.gpus else cores)
    if found < 1:
        raise ConfigError(
            f"this machine has no room for one package: {limits.cpus:g} cores and "
            f"{limits.memory_bytes / 1e9:.3g} GB are requested",
            remedy="Lower the limits in challenge.toml, or use a larger machine or --engine ray.",
        )
    return found
