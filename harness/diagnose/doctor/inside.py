"""Start one container as a real run would, and look at its walls from inside.

The probe is a package like any other: it goes through the runner, the mounts, the limits and the profile of
system calls that every entry gets, so nothing is taken on the engine's word.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import docker
import docker.errors
from pydantic import TypeAdapter, ValidationError

from harness.core.errors import HarnessError, InfrastructureError, SandboxSignal
from harness.core.limits import bytes_in_words
from harness.core.types import ImageFacts, Limits, Terms
from harness.diagnose.doctor.checkup import Diagnosis, Patient, fails, warns, well
from harness.gateway.run_package import opened_beside, spec_for
from harness.gateway.staging import Stage
from harness.image.base_image import find_base, image_id_of
from harness.image.runtime_image import RUNTIME_FOLDER, host_variant, runtime_tag
from harness.sandbox import Backend
from harness.sandbox.docker.sandbox import DockerSandbox
from harness.sandbox.protocol import Failed, Ready, decode_reply

MARK = "harness-probe "
TOKEN = "token"  # noqa: S105  (a file name)
NO_SOURCE = "bind source path does not exist"  # the engine's own words
IMAGE_DISK_BYTES = 8_000_000_000  # wheels, their layer and the build on top of it, once


@dataclass(frozen=True, kw_only=True)
class ProbeFacts:
    """What the probe saw from inside."""

    seccomp_mode: str
    no_new_privileges: str
    capabilities: str
    user: int
    keyctl_blocked: bool | None  # None: not known how to ask on this kind of processor
    interfaces: tuple[str, ...]
    root_read_only: bool
    package_read_only: bool
    token: str
    memory_limit: str
    swap_limit: str  # control groups of version 1: memory and swap together
    swap_max: str  # version 2: swap alone
    user_map: str


_FACTS = TypeAdapter(ProbeFacts)


def probe_container(client: docker.DockerClient, patient: Patient) -> Iterator[Diagnosis]:
    """Look for the runtime image, and start the probe in it.

    Yields warnings instead of a probe if the image has not been built yet.
    """
    image = find_runtime_image(client)
    if image is None:
        yield from _room_for_image(client)
        yield warns(
            "container",
            "not tried: there is no runtime image yet, so its walls are unproven",
            "`harness image` builds it; then ask again.",
        )
        return
    yield well("runtime image", image[:19])
    token = secrets.token_hex(16)
    try:
        facts = run_probe(client, image, limits=patient.limits, temporary=patient.temporary, token=token)
    except HarnessError as error:
        yield judge_failure(error)
        return
    yield from judge_probe(facts, limits=patient.limits, token=token)


def find_runtime_image(client: docker.DockerClient) -> str | None:
    """Return the runtime image's id if the engine has it; nothing is built."""
    base = find_base(client)
    if base is None:
        return None
    return image_id_of(client, runtime_tag(base.image_id, host_variant(client), RUNTIME_FOLDER))


def run_probe(
    client: docker.DockerClient, image: str, *, limits: Limits, temporary: Path, token: str
) -> ProbeFacts:
    """Start the probe under the options and limits of a real run, and return what it saw.

    Raises:
        InfrastructureError: it could not be started, or said nothing that can be read.
    """
    backend = Backend(
        sandbox=DockerSandbox(client), image=ImageFacts(label="", digest=image, variant=""), engine=""
    )
    with (
        as_file(files("harness.diagnose.doctor") / "packages" / "probe") as source,
        Stage(temporary) as stage,
        opened_beside(source, stage, limits=limits) as package,
    ):
        (stage.videos / TOKEN).write_text(token, encoding="utf-8")
        (stage.videos / TOKEN).chmod(0o644)
        spec = spec_for(package, stage, backend=backend, terms=Terms(limits=limits), run_id="doctor")
        with backend.sandbox.start(spec) as process:
            try:
                reply = decode_reply(process.receive(limits.startup_seconds))
            except SandboxSignal as signal:
                raise InfrastructureError(
                    f"a container that only looks around did not get ready: {signal}",
                    remedy=f"Its last words: {process.facts().log_tail[-500:] or 'none'}",
                ) from signal
            process.kill()
            log = process.facts().log_tail
    if isinstance(reply, Failed) and reply.package_missing:
        raise InfrastructureError(
            f"{NO_SOURCE}: the package's folder is empty in a container",
            remedy="Give the engine the folder for temporary files (TMPDIR), as it sees it.",
        )
    if not isinstance(reply, Ready):
        raise InfrastructureError(
            f"the probe failed: {reply}",
            remedy="`harness image` builds the image again if its parts changed.",
        )
    return parse_probe(log)


def parse_probe(log: str) -> ProbeFacts:
    """Find the probe's line in a log.

    Raises:
        InfrastructureError: there is none that can be read.
    """
    said = next((line.partition(MARK)[2] for line in log.splitlines() if line.startswith(MARK)), "")
    try:
        return _FACTS.validate_python(json.loads(said))
    except (ValueError, ValidationError) as error:
        raise InfrastructureError(
            f"what the probe said cannot be read: {said[:200]!r}", remedy="Report this as a fault."
        ) from error


def judge_failure(error: HarnessError) -> Diagnosis:
    """Say what it means that the probe did not even start."""
    if NO_SOURCE in error.message:
        return fails(
            "bind mounts",
            "a container does not see what is staged here: the engine is on another machine, or in one that"
            " shares other folders",
            "Use an engine on this machine (unset DOCKER_HOST), or set TMPDIR to a folder that both share.",
        )
    return fails("container", error.message, "Look at the engine's log; `docker run` should fail alike.")


def judge_probe(facts: ProbeFacts, *, limits: Limits, token: str) -> Iterator[Diagnosis]:
    """Judge what the probe saw.

    Args:
        facts: As it saw them.
        limits: That the container was started with.
        token: What was staged for it.
    """
    if facts.token == token:
        yield well("bind mounts", "what is staged here is seen in a container")
    else:
        yield fails(
            "bind mounts",
            "a file that was staged here is not seen in a container: the engine is elsewhere",
            "Use an engine on this machine; unset DOCKER_HOST.",
        )
    if facts.seccomp_mode == "2" and facts.keyctl_blocked is not False:
        tried = "keyctl was refused" if facts.keyctl_blocked else "not tried on this kind of processor"
        yield well("seccomp", f"in force in a container ({tried})")
    else:
        yield fails(
            "seccomp",
            f"not in force in a container (mode {facts.seccomp_mode or 'unknown'})",
            "Use an engine and a kernel with seccomp, and no runtime that drops profiles.",
        )
    walls = {
        "it has capabilities": set(facts.capabilities) - {"0"},
        "it may gain privileges": facts.no_new_privileges != "1",
        "it runs as root": facts.user == 0,
        f"it has network interfaces: {', '.join(facts.interfaces)}": set(facts.interfaces) - {"lo"},
        "its root file system can be written": not facts.root_read_only,
        "its package can be written": not facts.package_read_only,
    }
    broken = [what for what, is_so in walls.items() if is_so]
    if broken:
        yield fails(
            "walls", f"in a container {'; '.join(broken)}", "Use runc, or a runtime that keeps every option."
        )
    else:
        yield well("walls", "no capability, no network, nothing to write, no way to gain privileges")
    yield _judge_memory(facts, limits)
    if facts.user_map.split()[:2] == ["0", "0"]:
        return
    yield well("user namespace", f"in force in a container ({facts.user_map})")


def _judge_memory(facts: ProbeFacts, limits: Limits) -> Diagnosis:
    wanted = limits.memory_bytes
    held = facts.memory_limit.isdecimal() and int(facts.memory_limit) <= wanted
    if not held:
        return fails(
            "memory limit",
            f"a container sees a limit of {facts.memory_limit or 'nothing'}, not {wanted}",
            "Enable the memory controller (cgroup_enable=memory); rootless engines need it delegated.",
        )
    swapless = facts.swap_max == "0" or (facts.swap_limit.isdecimal() and int(facts.swap_limit) <= wanted)
    if not swapless:
        return warns(
            "memory limit",
            f"{bytes_in_words(wanted)} in force; swap on top of it is not limited",
            "Turn swap off (`swapoff -a`), or start the kernel with swapaccount=1.",
        )
    return well("memory limit", f"{bytes_in_words(wanted)} in force in a container, no swap")


def _room_for_image(client: docker.DockerClient) -> Iterator[Diagnosis]:
    root = Path(str(client.info().get("DockerRootDir", "")))
    if not root.is_dir():
        return
    free = shutil.disk_usage(root).free
    words = f"{bytes_in_words(free)} free at {root}"
    if free < IMAGE_DISK_BYTES:
        yield fails(
            "disk: image",
            f"{words}; building the runtime image takes {bytes_in_words(IMAGE_DISK_BYTES)}",
            "Make room there, or move the engine's data-root.",
        )
    else:
        yield well("disk: image", words)
