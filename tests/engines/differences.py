"""What differs on other engines: `make test-engines` holds it to be exactly so, and SECURITY.md shows it.

A difference that is not here fails the run; so does one that is here and has vanished, and one that has
become another: each names the checks of the hostile suite that do not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from harness.diagnose.selfcheck.behaviour import Behaviour

TITLES = {"docker": "Docker, runc", "gvisor": "Docker, gVisor", "podman": "Podman as root"}
_MIXED = "network and kernel"  # the one family that several protections share
_OF_THE_KERNEL = {
    "the system call filter": "bpf io_uring keyring perf_events ptrace userfaultfd userns",
    "no capabilities, no new rights, a read-only root": "become_root cgroup_escape chroot load_module"
    " make_device mount raise_priority reboot setns write_kernel_settings",
    "a set of cores of its own": "take_all_cores",
}
_REST_OF_THE_KERNEL = "no network, no device, no process or socket of the host"
_PROTECTION = {name: words for words, names in _OF_THE_KERNEL.items() for name in names.split()}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What one or more behaviours come to on one engine, instead of what is expected of them everywhere.

    Attributes:
        behaviours: Their names.
        broken: The checks that do not hold there, and no others.
        comes_to: What happens instead.
        means: Why, and what it means for an organiser.
    """

    behaviours: tuple[str, ...]
    broken: frozenset[str]
    comes_to: str
    means: str


DIFFERENCES: Mapping[str, tuple[Difference, ...]] = {
    "docker": (),
    "gvisor": (
        Difference(
            behaviours=("fork_bomb", "frozen_children"),
            broken=frozenset({"outcomes", "verdict"}),
            comes_to="`MEMORY_LIMIT` for the video",
            means="each process costs gVisor 4 to 8 MB, which count as the package's: with the suite's 64"
            " processes and 128 MB the memory is used up first",
        ),
        Difference(
            behaviours=("forks_in_a_namespace",),
            broken=frozenset({"answers"}),
            comes_to="it has more processes than `limits.pids`",
            means="gVisor's kernel holds a package to that limit, but not the root of a user namespace, and"
            " no filter forbids the package to make one. What bounds it there is the memory, and on the"
            " host `limits.pids` + 8,192, of processes and of gVisor's own threads",
        ),
        Difference(
            behaviours=("ram_hog_quiet_child",),
            broken=frozenset({"outcomes", "restarts", "verdict"}),
            comes_to="`MEMORY_LIMIT` for the video",
            means="all of a container is one process on the host: the child cannot be killed alone",
        ),
        Difference(
            behaviours=("tmpfs_inodes",),
            broken=frozenset({"answers", "verdict", "outcomes"}),
            comes_to="`MEMORY_LIMIT` for the video",
            means="files of a tmpfs are bounded by memory only",
        ),
        Difference(
            behaviours=("io_uring", "userns", "make_device", "raise_priority"),
            broken=frozenset({"answers"}),
            comes_to="a call is answered with success",
            means="by gVisor's kernel, inside it: the package's filter of system calls is not applied there,"
            " and nothing of it reaches the host's kernel",
        ),
        Difference(
            behaviours=("become_root",),
            broken=frozenset({"answers"}),
            comes_to="every attempt is refused, and counted all the same",
            means="nothing: `/proc/self/status` lacks `NoNewPrivs`, by which the package tells",
        ),
        Difference(
            behaviours=("system_v_memory",),
            broken=frozenset({"answers", "verdict", "outcomes"}),
            comes_to="the package fails",
            means="nothing: there is no `/proc/sysvipc`, in which it looks",
        ),
    ),
    "podman": (
        Difference(
            behaviours=("tmpfs_inodes",),
            broken=frozenset({"answers"}),
            comes_to="it makes more files than `limits.tmp_inodes`",
            means="Podman has no limit of how many files a tmpfs holds: they are bounded by memory only",
        ),
    ),
}


def expected_of(engine: str, behaviour: str) -> frozenset[str]:
    """Return the checks that a behaviour breaks on an engine; none, unless a difference is stated."""
    stated = (one.broken for one in DIFFERENCES.get(engine, ()) if behaviour in one.behaviours)
    return next(stated, frozenset())


def surprises(engine: str, found: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """Say of every behaviour that came to something else than is stated what it came to.

    Args:
        engine: Its name.
        found: The checks that each behaviour broke there; of those that were tried.
    """
    for name, broken in sorted(found.items()):
        stated = expected_of(engine, name)
        if broken == stated:
            continue
        if not broken:
            yield f"{name}: the stated difference has vanished: take it out of tests/engines/differences.py"
        elif not stated:
            yield f"{name}: {', '.join(sorted(broken))} did not hold"
        else:
            yield f"{name}: {_and(broken)} did not hold; stated is {_and(stated)}"


def protection_of(behaviour: Behaviour) -> str:
    """Name the protection that a behaviour tries."""
    family = behaviour.expect.family
    return _PROTECTION.get(behaviour.name, _REST_OF_THE_KERNEL) if family == _MIXED else family


def protections_table(
    behaviours: Iterable[Behaviour], found: Mapping[str, Mapping[str, frozenset[str]]]
) -> str:
    """Return engine × protection as Markdown: how many attacks came to what is expected everywhere.

    Args:
        behaviours: All of the suite.
        found: By engine: the checks that each behaviour broke there. What was not tried is not counted.
    """
    groups: dict[str, list[str]] = {}
    for one in behaviours:
        groups.setdefault(protection_of(one), []).append(one.name)
    heads = [TITLES[engine] for engine in found]
    lines = [
        " | ".join(("| what protects, and the attacks on it", *heads)) + " |",
        "|---" * (1 + len(heads)) + "|",
    ]
    everything = [name for names in groups.values() for name in names]
    for words, names in [*sorted(groups.items()), ("**all of the suite**", everything)]:
        cells = [_cell(names, found[engine], naming=names is not everything) for engine in found]
        lines.append("| " + " | ".join((words, *cells)) + " |")
    return "\n".join(lines)


def differences_table() -> str:
    """Return every stated difference as Markdown."""
    lines = ["| engine | behaviour | there | why, and what it means |", "|---|---|---|---|"]
    for engine, listed in DIFFERENCES.items():
        for one in listed:
            names = ", ".join(f"`{name}`" for name in one.behaviours)
            lines.append(f"| {TITLES[engine]} | {names} | {one.comes_to} | {one.means} |")
    return "\n".join(lines)


def as_stated(behaviours: Iterable[Behaviour]) -> dict[str, dict[str, frozenset[str]]]:
    """Return what a run finds on which everything is as stated."""
    names = [one.name for one in behaviours]
    return {engine: {name: expected_of(engine, name) for name in names} for engine in DIFFERENCES}


def _cell(names: list[str], found: Mapping[str, frozenset[str]], *, naming: bool) -> str:
    tried = [name for name in names if name in found]
    other = sorted(name for name in tried if found[name])
    text = f"{len(tried) - len(other)} of {len(tried)}"
    return f"{text}: not {', '.join(f'`{name}`' for name in other)}" if other and naming else text


def _and(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
