"""The real sandbox: one hardened container per start, through the engine's API.

What it does not do: share containers between entries, enter a running container, or pull images. On an
engine elsewhere than on this machine the mounts would show that machine's folders: it must be local.
"""

from __future__ import annotations

import math
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import docker
import docker.errors

from harness.core.claims import claim_cores
from harness.core.errors import SandboxError
from harness.core.locks import Waiting
from harness.core.types import SandboxSpec
from harness.sandbox.docker import ISOLATION
from harness.sandbox.docker.container import ContainerProcess
from harness.sandbox.docker.engine_errors import engine_errors
from harness.sandbox.docker.engine_facts import EngineFacts, facts_of
from harness.sandbox.docker.hardening import USERS, cdi_name, container_options
from harness.sandbox.docker.owner import Owner
from harness.sandbox.meters.gpu import Lease, leased

LABEL = "black-box-video-harness"
OWNER_LABEL = f"{LABEL}.owner"
RUN_LABEL = f"{LABEL}.run"
CPUSET_LABEL = f"{LABEL}.cpuset"
_REMOVAL_SECONDS = 30.0  # for a removal that another harness has begun


class DockerSandbox:
    """A `Sandbox` on a container engine.

    Args:
        client: Connected to the engine.
        cpuset: The cores of every container of this sandbox, e.g. `2-3`, which the caller has claimed. If not
            given, each container claims its own cores.
        gpus: GPUs that the caller has claimed; others are claimed for each container.
        waiting: Wait for cores that other claims hold, and report to this meanwhile. If None, share them.
        sharing: Called with a sentence if a container shares cores.
    """

    isolation = ISOLATION

    def __init__(
        self,
        client: docker.DockerClient,
        *,
        cpuset: str | None = None,
        gpus: Iterable[str] = (),
        waiting: Waiting | None = None,
        sharing: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._api = client.api
        self._cpuset = cpuset
        self._gpus = frozenset(gpus)
        self._waiting = waiting
        self._sharing = sharing
        self._facts: EngineFacts | None = None  # not asked yet

    @contextmanager
    def start(self, spec: SandboxSpec) -> Iterator[ContainerProcess]:
        """See `Sandbox.start`.

        Raises:
            ConfigError: a GPU is claimed by another harness, or not idle.
            ImageError: the image is not there.
            SandboxError: the engine failed, or the container outlived its removal.
        """
        with leased(spec.gpu_uuids, held=self._gpus) as lease, self._cores_for(spec.limits.cpus) as cpuset:
            yield from self._started(spec, lease, cpuset)

    def _started(self, spec: SandboxSpec, lease: Lease, cpuset: str) -> Iterator[ContainerProcess]:
        name = f"harness-{secrets.token_hex(8)}"
        process: ContainerProcess | None = None
        try:
            container_id = self._create(spec, name, cpuset, lease)
            process = ContainerProcess(self._api, container_id, spec, cores=_cores(cpuset), lease=lease)
            process.begin()
            yield process
        finally:
            try:
                if process is not None:
                    process.close()
            finally:
                self._remove(name)

    def _create(self, spec: SandboxSpec, name: str, cpuset: str, lease: Lease) -> str:
        labels = {OWNER_LABEL: str(Owner.current()), RUN_LABEL: spec.run_id, CPUSET_LABEL: cpuset}
        engine = self._engine()
        options = container_options(
            spec,
            labels=labels,
            cpuset=cpuset,
            cdi=bool(lease.gpus) and self._lists_as_cdi(spec.gpu_uuids),
            podman=engine.podman,
            gvisor=engine.runs_on_gvisor(spec.runtime),
            torch_fraction=lease.torch_fraction(spec.limits.gpu_memory_bytes),
            user=_fresh_user(),
        )
        with engine_errors("create the container"):
            # The stubs lack its types. It takes the engine's own words, which is what a test can hold.
            created = self._api.create_container_from_config(options, name)  # type: ignore[no-untyped-call]  # as said
            return str(created["Id"])

    @contextmanager
    def _cores_for(self, cpus: float) -> Iterator[str]:
        """Claim cores, and yield them in the kernel's list format."""
        if self._cpuset is not None:
            yield self._cpuset
            return
        with engine_errors("say how many cores it has"):
            available = int(self._api.info()["NCPU"])
            running = self._api.containers(filters={"label": CPUSET_LABEL})
        if cpus > available:
            raise SandboxError(
                f"the limits ask for {cpus:g} CPU cores, the engine has {available}",
                remedy="Lower `limits.cpus` in challenge.toml, or use a larger machine.",
            )
        # Harnesses whose claims are not seen from here (in containers, on other machines) show by labels.
        uses = Counter(
            core for container in running for core in _cores(container["Labels"].get(CPUSET_LABEL, ""))
        )
        best_first = sorted(range(available), key=lambda core: (uses[core], core))
        with claim_cores(math.ceil(cpus), among=best_first, waiting=self._waiting) as claim:
            if claim.shared:
                cores = ", ".join(map(str, claim.shared))
                self._sharing(f"core {cores} is shared with another package: both are slower than alone")
            yield claim.cpuset

    def _lists_as_cdi(self, uuids: Iterable[str]) -> bool:
        with engine_errors("say which devices it knows"):
            devices = self._api.info().get("DiscoveredDevices") or ()
        listed = {device.get("ID") for device in devices if device.get("Source") == "cdi"}
        return all(cdi_name(uuid) in listed for uuid in uuids)

    def _engine(self) -> EngineFacts:
        """Return what the engine is; asked once.

        Raises:
            SandboxError: it could hold a package to no limit.
        """
        if self._facts is None:
            with engine_errors("say which engine it is"):
                self._facts = facts_of(self._api.version(), self._api.info())
        if self._facts.no_limits:
            raise SandboxError(
                f"the container engine can hold a package to no limit: {self._facts.no_limits}",
                remedy="Use an engine that runs as root, or a host with control groups of version 2.",
            )
        return self._facts

    def _remove(self, name: str) -> None:
        with engine_errors("remove the container"):
            remove(self._api, name)


def reap(client: docker.DockerClient) -> tuple[str, ...]:
    """Remove the containers that dead harnesses of this machine left, and return their names.

    Containers of a living harness, of another machine, or of nobody known to us are left alone.

    Raises:
        SandboxError: the engine failed.
    """
    removed = []
    with engine_errors("list or remove what a dead harness left"):
        for container in client.api.containers(all=True, filters={"label": OWNER_LABEL}):
            owner = Owner.parse(container["Labels"].get(OWNER_LABEL, ""))
            if owner is not None and owner.is_dead():
                remove(client.api, container["Id"])
                removed.append(container["Names"][0].lstrip("/") if container["Names"] else container["Id"])
    return tuple(removed)


def remove(api: docker.APIClient, container: str) -> None:
    """Remove a container with all that runs in it, and see that it is gone. It is fine if there is none.

    Raises:
        SandboxError: it is still there.
        docker.errors.APIError: the engine refused.
    """
    deadline = time.monotonic() + _REMOVAL_SECONDS
    patient = False
    while True:
        try:
            api.remove_container(container, force=True, v=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if not _passes(error) or time.monotonic() >= deadline:
                raise
            patient = True
        try:
            state = api.inspect_container(container)["State"]
        except docker.errors.NotFound:
            return
        if not patient or time.monotonic() >= deadline:
            break
        time.sleep(0.05)
    raise SandboxError(
        f"container {container} is still there after its removal ({state.get('Status')})",
        remedy="Remove it by hand; if it cannot be removed, restart the engine.",
    )


def _passes(error: docker.errors.APIError) -> bool:
    """Tell whether a refused removal may be asked for again.

    Docker says 409 while another harness removes the container; Podman says 500 where it has just ended.
    """
    return error.status_code == 409 or (error.status_code == 500 and "state improper" in str(error))


def _fresh_user() -> str:
    """Draw the user of one container; two at the same time get the same one once in 50,000 times."""
    number = secrets.choice(USERS)
    return f"{number}:{number}"


def _cores(cpuset: str) -> Iterator[int]:
    """Read the kernel's list format, e.g. `0-2,5`."""
    for part in filter(None, cpuset.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
