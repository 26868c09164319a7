"""Cores and GPUs of this machine, each claimed by one process at a time.

A claim is a locked file in one folder for the whole machine. The kernel lets it go when its process ends,
however it ends: nothing is left to clear up after a kill. Two claims conflict within one process too, so that
its threads and its sandboxes get their own cores.

Other claims are not seen: those of other programs, of a harness in a container with its own
`/tmp`, or of one on another machine that uses the same engine. `HARNESS_CLAIMS` names another folder, which
such harnesses may share.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import ConfigError
from harness.core.locks import (
    LOOK_AGAIN_SECONDS,
    Teller,
    Waiting,
    exclusive,
    holder_of,
    is_locked,
    machine_folder,
    try_lock,
)


class ClaimedError(ConfigError):
    """What was requested is claimed by others, and waiting was not allowed."""


@dataclass(frozen=True, kw_only=True)
class Cores:
    """Cores that are held until the claim ends."""

    numbers: tuple[int, ...]  # ascending
    shared: tuple[int, ...] = ()  # those that others had already claimed

    @property
    def cpuset(self) -> str:
        """In the kernel's list format, as container engines and `taskset` take it."""
        return ",".join(map(str, self.numbers))


@contextmanager
def claim_cores(
    count: int, *, among: Iterable[int] | None = None, waiting: Waiting | None = None
) -> Iterator[Cores]:
    """Hold a number of cores that no other claim holds.

    Those who wait get their cores in the order in which they came, before all others. Those who do not
    wait share if too few cores are free: they get the cores with the fewest claims, and are told which.

    Args:
        count: How many.
        among: Which may be taken, the best first. By default those that this process may run on.
        waiting: Wait for exclusive cores, and report to this meanwhile. If None, do not wait but share.

    Raises:
        ConfigError: there are fewer cores than `count`.
        InfrastructureError: the folder of claims cannot be used.
    """
    cores = sorted(os.sched_getaffinity(0)) if among is None else list(among)
    if not 0 <= count <= len(cores):
        raise ConfigError(
            f"{count} CPU cores are requested, but there are {len(cores)}",
            remedy="Lower `limits.cpus` in challenge.toml, or use a larger machine.",
        )
    folder = machine_folder()
    with ExitStack() as held:
        if waiting is None:
            taken = _spread(folder, cores, count, held)
        else:
            names = {_core_file(core, 0): core for core in cores}
            with exclusive(folder / "cores-turn", waiting=waiting, what="its turn for cores"):
                picked = _collect(
                    _Wanted(folder=folder, kind="cores", names=tuple(names), count=count), held, waiting
                )
            taken = [names[name] for name in picked]
        shared = [core for core in taken if _claims_on(folder, core) > 1]
        yield Cores(numbers=tuple(sorted(taken)), shared=tuple(sorted(shared)))


@contextmanager
def claim_gpus(
    count: int,
    *,
    among: Sequence[str],
    fit: Callable[[str], bool] = lambda _: True,
    waiting: Waiting | None = None,
) -> Iterator[tuple[str, ...]]:
    """Hold a number of GPUs, or partitions of GPUs, that no other claim holds. They are never shared.

    Args:
        count: How many.
        among: The uuids of those that may be taken, the best first.
        fit: Whether a GPU that nobody has claimed may be used now. If only unfit ones are left, they are
            taken, so that the caller can say what is wrong with them.
        waiting: Wait for GPUs that others hold, and report to this meanwhile. If None, do not wait.

    Yields:
        Their uuids, in the order of `among`.

    Raises:
        ClaimedError: too few are free, and waiting is not allowed.
        ConfigError: there are fewer than `count`.
        InfrastructureError: the folder of claims cannot be used.
    """
    if not 0 <= count <= len(among):
        raise ConfigError(
            f"{count} GPUs are requested, but there are {len(among)}",
            remedy="Lower `limits.gpus` in challenge.toml, or use a larger machine.",
        )
    folder = machine_folder()
    names = {f"gpu-{uuid}": uuid for uuid in among}
    wanted = _Wanted(
        folder=folder, kind="GPUs", names=tuple(names), count=count, fit=lambda name: fit(names[name])
    )
    with ExitStack() as held:
        with ExitStack() as turn:
            if waiting is not None:
                turn.enter_context(exclusive(folder / "GPUs-turn", waiting=waiting, what="its turn for GPUs"))
            picked = _collect(wanted, held, waiting)
        yield tuple(uuid for name, uuid in names.items() if name in picked)


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    folder: Path
    kind: str
    names: tuple[str, ...]  # of the files, the best first
    count: int
    fit: Callable[[str], bool] = lambda _: True


def _collect(wanted: _Wanted, held: ExitStack, waiting: Waiting | None) -> list[str]:
    """Lock as many files as are wanted, as they become free.

    It keeps what it has meanwhile. Two that each waited with half would wait for ever: hence the turns.
    """
    taken: list[str] = []
    teller = Teller(waiting)
    while True:
        with exclusive(wanted.folder / f"{wanted.kind}-choosing", every_seconds=0.001):
            busy = _take(wanted, taken, held, or_unfit=waiting is None)
        missing = wanted.count - len(taken)
        if not missing:
            return taken
        if waiting is None:
            raise ClaimedError(
                f"{missing} of {wanted.count} {wanted.kind} are not free: {_held_by(wanted.folder, busy)}",
                remedy="Wait for its run to end (`harness run` waits unless you pass --no-wait), or choose "
                "fewer in challenge.toml. The run resumes.",
            )
        teller.tell(f"{missing} of {wanted.count} {wanted.kind}: {_held_by(wanted.folder, busy)}")
        time.sleep(LOOK_AGAIN_SECONDS)


def _take(wanted: _Wanted, taken: list[str], held: ExitStack, *, or_unfit: bool) -> list[str]:
    """Lock what is free and fit, and return what others hold. If others hold none, take the unfit too."""
    busy: list[str] = []
    with ExitStack() as rejected:
        unfit: list[str] = []
        for name in (name for name in wanted.names if name not in taken):
            if len(taken) == wanted.count:
                return busy
            with ExitStack() as lock:
                if not try_lock(wanted.folder / name, lock):
                    busy.append(name)
                elif wanted.fit(name):
                    held.push(lock.pop_all())
                    taken.append(name)
                else:
                    rejected.push(lock.pop_all())
                    unfit.append(name)
    if or_unfit or not busy:
        for name in unfit[: wanted.count - len(taken)]:
            if try_lock(wanted.folder / name, held):
                taken.append(name)
    return busy


def _spread(folder: Path, cores: Sequence[int], count: int, held: ExitStack) -> list[int]:
    """Take the cores with the fewest claims. The first place on each is left to those who wait for it."""
    with exclusive(folder / "cores-choosing", every_seconds=0.001):
        claims = {core: _claims_on(folder, core) for core in cores}
        taken = sorted(cores, key=lambda core: claims[core])[:count]  # a stable sort keeps the order
        first = 1 if is_locked(folder / "cores-turn") else 0
        for core in taken:
            place = first if claims[core] == 0 else 1
            while not try_lock(folder / _core_file(core, place), held):
                place += 1
    return taken


def _core_file(core: int, place: int) -> str:
    """Name the file of one place on a core: 0 for an exclusive core, the others for those who share."""
    return f"core-{core}.{place}"


def _claims_on(folder: Path, core: int) -> int:
    return sum(is_locked(path) for path in folder.glob(f"core-{core}.*"))


def _held_by(folder: Path, names: Iterable[str]) -> str:
    """Name what is held, and by which processes, as far as the kernel says."""
    found = []
    for name in names:
        holder = holder_of(folder / name)
        who = f"process {holder}" if holder else "another harness"
        found.append(f"{name.removesuffix('.0').replace('-', ' ', 1)} is held by {who}")
    return "; ".join(found) or "there are no others"
