"""What `harness doctor` asks of the container engine: its release, known holes, limits, walls, leftovers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import docker

from harness.diagnose.doctor.checkup import Diagnosis, EngineCheck, Patient, fails, warns, well
from harness.diagnose.doctor.holes import holes_of, is_distribution_build, version_of
from harness.sandbox.docker.engine_facts import facts_of
from harness.sandbox.docker.hardening import USERS
from harness.sandbox.docker.owner import Owner
from harness.sandbox.docker.sandbox import OWNER_LABEL

API_MINIMUM = (1, 41)  # knows private control group namespaces, which every container is given
_REPORTED = {"containerd": "containerd", "runc": "runc"}


def engine_version(client: docker.DockerClient, patient: Patient) -> Iterator[Diagnosis]:
    """Look at the engine's release and API."""
    answer = client.version()
    api = version_of(str(answer.get("ApiVersion", ""))) or (0, 0, 0)
    named = f"{answer.get('Version', 'unknown')}, API {answer.get('ApiVersion', 'unknown')}"
    if api[:2] < API_MINIMUM:
        yield fails(
            "engine", f"{named}: API 1.41 is needed", "Update the engine (Docker 20.10, Podman 4 or later)."
        )
    else:
        yield well("engine", named)


def engine_holes(client: docker.DockerClient, patient: Patient) -> Iterator[Diagnosis]:
    """Look the engine's parts up in the table of known holes."""
    yield from component_holes(client.version().get("Components") or ())


def component_holes(components: Iterable[Mapping[str, Any]]) -> Iterator[Diagnosis]:
    """Judge the parts that an engine lists; one that it does not list is named as unknown."""
    listed = {str(one.get("Name", "")).lower(): one for one in components}
    for name, component in _REPORTED.items():
        part = listed.get(name)
        if part is None:
            yield warns(
                name, "the engine does not say its version", f"Look whether this host's {name} is current."
            )
            continue
        details = part.get("Details") or {}
        yield from version_holes(component, str(part.get("Version", "")), str(details.get("GitCommit", "")))


def version_holes(component: str, text: str, build: str = "") -> Iterator[Diagnosis]:
    """Judge one part's version; a distribution's build may be patched and is a warning, not a failure."""
    check, version = component.lower(), version_of(text)
    if version is None:
        yield warns(check, f"its version {text!r} cannot be read", f"Look whether {component} is current.")
        return
    holes = holes_of(component, version)
    if not holes:
        yield well(check, f"{text}: no hole that this release of the harness knows of")
    for hole in holes:
        names = ", ".join(hole.names)
        good = " or ".join(".".join(map(str, one)) for one in hole.fixed)
        if is_distribution_build(text, build):
            yield warns(
                check,
                f"{build or text} has, by its number, {names}: {hole.what};"
                " it may be patched by the distribution",
                f"Install the distribution's updates and look {names} up in its security tracker.",
            )
        else:
            level = fails if hole.escape else warns
            yield level(check, f"{text} has {names}: {hole.what}", f"Update {component} to {good} or later.")


def control_groups(client: docker.DockerClient, patient: Patient) -> Iterator[Diagnosis]:
    """Look whether the engine can hold a container to every limit."""
    info = client.info()
    named = f"version {info.get('CgroupVersion', '1')}, driver {info.get('CgroupDriver', 'unknown')}"
    no_limits = facts_of(client.version(), info).no_limits
    if no_limits:
        yield fails(
            "control groups",
            f"no limit would be in force: {no_limits}",
            "Rootless engines need control groups of version 2 and systemd.",
        )
        return
    yield well("control groups", named)
    needed = {
        "MemoryLimit": "memory",
        "PidsLimit": "the number of processes",
        "CpuCfsQuota": "CPU time",
        "CPUSet": "CPU cores",
    }
    missing = [what for key, what in needed.items() if info.get(key) is False]
    if missing:
        yield fails(
            "limits",
            f"the engine cannot limit {', '.join(missing)}",
            "Enable these controllers in the kernel, and delegate them if the engine is rootless.",
        )
    elif info.get("SwapLimit") is False:
        yield warns(
            "limits",
            "swap is not counted: if the host has swap, a package gets more memory than its limit",
            "Turn swap off (`swapoff -a`), or start the kernel with swapaccount=1.",
        )
    else:
        yield well("limits", "memory with swap, processes, CPU time and cores can be limited")


def confinement(client: docker.DockerClient, patient: Patient) -> Iterator[Diagnosis]:
    """Look at what the engine says of its own walls."""
    options = [str(one) for one in client.info().get("SecurityOptions") or ()]
    if not any("seccomp" in one for one in options):
        yield fails(
            "seccomp",
            "the engine was built without it: every system call is open to a package",
            "Use an engine and a kernel with seccomp.",
        )
    modules = [name for name in ("apparmor", "selinux") if any(name in one for one in options)]
    if modules:
        yield well("mandatory access control", ", ".join(modules))
    else:
        yield warns(
            "mandatory access control",
            "neither AppArmor nor SELinux confines containers: one wall fewer",
            "Install AppArmor (`apt-get install apparmor`) or enable SELinux, then restart the engine.",
        )
    if any("rootless" in one or "userns" in one for one in options):
        yield well("user namespace", "root in a container is nobody on the host")
    else:
        yield warns(
            "user namespace",
            "container users are the host's; each container draws its own of"
            f" {USERS[0]} to {USERS[-1]}, without capabilities all the same",
            'Set "userns-remap": "default" in daemon.json, or run the engine rootless.',
        )


def authorization(client: docker.DockerClient, patient: Patient) -> Iterator[Diagnosis]:
    """Look for authorization plugins, which CVE-2024-41110 goes around."""
    plugins = (client.info().get("Plugins") or {}).get("Authorization") or ()
    version = version_of(str(client.version().get("Version", ""))) or (0, 0, 0)
    if plugins and version < (27, 1, 1):
        yield warns(
            "authorization",
            "CVE-2024-41110: requests without a body go around authorization plugins, which this engine uses",
            "Update Docker Engine to 27.1.1 or later, or a patched build of an older branch.",
        )


def leftovers(client: docker.DockerClient, patient: Patient) -> Iterator[Diagnosis]:
    """Look for containers of dead harnesses; they are listed, not removed."""
    yield judge_leftovers(client.api.containers(all=True, filters={"label": OWNER_LABEL}))


def judge_leftovers(containers: Iterable[Mapping[str, Any]]) -> Diagnosis:
    """Judge the engine's list of containers that harnesses started."""
    dead, others = [], 0
    for container in containers:
        owner = Owner.parse(container["Labels"].get(OWNER_LABEL, ""))
        if owner is not None and owner.is_dead():
            dead.append((container.get("Names") or [container["Id"]])[0].lstrip("/"))
        else:
            others += 1
    if dead:
        return warns(
            "leftovers",
            f"{len(dead)} containers of dead harnesses: {', '.join(sorted(dead)[:5])}",
            "`harness reap` removes them; so does the next run.",
        )
    return well("leftovers", f"none; {others} containers of harnesses that are alive, or not ours to judge")


ENGINE_CHECKS: tuple[EngineCheck, ...] = (
    engine_version,
    engine_holes,
    control_groups,
    confinement,
    authorization,
    leftovers,
)
