"""What can be seen of an attack from the host: packets, processes, containers, files."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import socket
import stat
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType

import docker
import docker.errors

from harness.core.types import SandboxSpec
from harness.sandbox import Sandbox, SandboxProcess
from harness.sandbox.docker.engine_errors import engine_errors
from harness.sandbox.docker.sandbox import RUN_LABEL

SETTLE_SECONDS = 10.0  # the kernel takes a moment to clear away what has ended
HASHED_BYTES_MAX = 8 << 20  # some hostile files are a terabyte of nothing
_PAUSE_SECONDS = 0.05
_INIT_PLACES = ("/usr/sbin/docker-init", "/sbin/docker-init", "/dev/init", "/dev/shm", "/tmp", "/etc/mtab")  # noqa: S108  (looked at, not written)
_PORTS_TRIED = 20
_EVERYWHERE = ""  # every address of this host, the engine's bridge included


class Listener:
    """Hears whatever reaches this host on one port, by TCP, UDP or an abstract socket; a context manager.

    Attributes:
        port: Of TCP and UDP.
        abstract_name: Of the abstract socket, without the leading NUL.
        heard: How many connections and datagrams came in.
    """

    def __init__(self, name: str) -> None:
        self.heard = 0
        self.abstract_name = name
        self._tcp, self._udp = _same_port()
        self.port = int(self._tcp.getsockname()[1])
        self._unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._unix.bind(f"\0{name}")
            self._unix.listen()
        except OSError:
            self._close()
            raise
        self._threads = [
            threading.Thread(target=self._accept, args=(self._tcp,), daemon=True),
            threading.Thread(target=self._accept, args=(self._unix,), daemon=True),
            threading.Thread(target=self._datagrams, daemon=True),
        ]

    def __enter__(self) -> Listener:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        for thread in self._threads:
            thread.join(timeout=SETTLE_SECONDS)

    def _close(self) -> None:
        for one in (self._tcp, self._unix, self._udp):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits on it
            one.close()

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connection.close()
                self.heard += 1

    def _datagrams(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, _ = self._udp.recvfrom(64)
                if not data:  # the socket was shut
                    return
                self.heard += 1


def _same_port() -> tuple[socket.socket, socket.socket]:
    """Open a TCP and a UDP socket on one port: one picked for the first may be taken for the other."""
    for left in reversed(range(_PORTS_TRIED)):
        tcp = socket.create_server((_EVERYWHERE, 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind((_EVERYWHERE, tcp.getsockname()[1]))
        except OSError:
            tcp.close()
            udp.close()
            if not left:
                raise
        else:
            return tcp, udp
    raise AssertionError("no port was tried")


def host_addresses() -> tuple[str, ...]:
    """Return addresses under which a container with a network would reach this host."""
    found = {"127.0.0.1"}
    with contextlib.suppress(OSError):
        found |= {str(item[4][0]) for item in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: it asks the kernel which address it would use
        found.add(str(probe.getsockname()[0]))
    routes = Path("/proc/net/fib_trie")
    if routes.is_file():
        lines = routes.read_text(encoding="ascii", errors="replace").splitlines()
        found |= {line.split()[-1] for line, after in itertools.pairwise(lines) if "32 host LOCAL" in after}
    return tuple(sorted(found))


class Watched:
    """A `Sandbox` around another one that remembers which containers were started.

    Args:
        sandbox: The other one.
        client: The engine that is asked; None for a sandbox without one.
        layers: Whether to look for what a container has written to its own layer. Some engines walk the
            whole image for that, which takes seconds.

    Attributes:
        containers: Ids of the containers that were started.
        stages: Where their videos were staged.
        written: What was left in a container's own layer: it must stay empty, the root is read-only.
    """

    def __init__(self, sandbox: Sandbox, client: docker.DockerClient | None, *, layers: bool) -> None:
        self._sandbox = sandbox
        self._client = client
        self._layers = layers
        self.isolation = sandbox.isolation
        self.containers: list[str] = []
        self.stages: list[Path] = []
        self.written: list[str] = []

    @contextmanager
    def start(self, spec: SandboxSpec) -> Iterator[SandboxProcess]:
        """See `Sandbox.start`."""
        self.stages.append(spec.videos.source.parent)
        with self._sandbox.start(spec) as process:
            if self._client is None:
                yield process
                return
            with engine_errors("list the containers"):
                filters = {"label": f"{RUN_LABEL}={spec.run_id}"}
                mine = [one["Id"] for one in self._client.api.containers(all=True, filters=filters)]
            self.containers += [one for one in mine if one not in self.containers]
            yield process
            if not self._layers:
                return
            process.kill()
            with engine_errors("list what a container has written"):
                for one in mine:
                    paths = [str(change["Path"]) for change in self._client.api.diff(one) or ()]
                    self.written += [path for path in paths if path not in made_by_engine(spec)]


def made_by_engine(spec: SandboxSpec) -> frozenset[str]:
    """Return the paths that the engine itself makes in a container's layer, to mount something over them."""
    mounts = (spec.package, spec.videos, *spec.extra_mounts)
    places = {*_INIT_PLACES, *(mount.target for mount in mounts), *spec.writable}
    return frozenset(
        str(one) for place in places for one in (PurePosixPath(place), *PurePosixPath(place).parents)
    )


def containers_left(client: docker.DockerClient, run_id: str) -> tuple[str, ...]:
    """Return the names of containers of a run that are still there, in whatever state."""
    with engine_errors("list the containers"):
        filters = {"label": f"{RUN_LABEL}={run_id}"}
        return tuple(one["Names"][0] for one in client.api.containers(all=True, filters=filters))


def processes_left(marks: Collection[str], *, wait_seconds: float = SETTLE_SECONDS) -> tuple[int, ...]:
    """Return the processes of this host that carry a mark, once those that are just ending have had a moment.

    Args:
        marks: Container ids, looked for in each process's control group; or anything that stands in its
            environment or command line.
        wait_seconds: How long to wait for the last to go.
    """
    deadline = time.monotonic() + wait_seconds
    while (left := _marked(marks)) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
    return left


def _marked(marks: Collection[str]) -> tuple[int, ...]:
    wanted = [mark.encode() for mark in marks]
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or _is_zombie(folder):
            continue
        for name in ("cgroup", "environ", "cmdline"):
            try:
                content = (folder / name).read_bytes()
            except OSError:
                continue  # gone, or not ours to read
            if any(mark in content for mark in wanted):
                found.append(int(folder.name))
                break
    return tuple(sorted(found))


def _is_zombie(folder: Path) -> bool:
    try:
        return (folder / "stat").read_bytes().rpartition(b")")[2].split()[:1] == [b"Z"]
    except OSError:
        return True


def listing(root: Path) -> dict[str, str]:
    """Describe everything in a folder: kind, mode, owner, size, and the sha256 of each file's first bytes."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        plain = stat.S_ISREG(status.st_mode)
        digest = hashlib.sha256(_head(path)).hexdigest() if plain else ""
        size = status.st_size if plain else 0
        found[path.relative_to(root).as_posix()] = f"{status.st_mode:o} {status.st_uid} {size} {digest}"
    return found


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(HASHED_BYTES_MAX)
