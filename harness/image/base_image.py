"""The base of the runtime image: named, pulled, or made from Debian's packages.

`BASE_IMAGE` names it; it needs Python 3.11 and nothing else. If it is not set, the default is used,
and if no registry can be reached, a minimal Debian bookworm with Python is made on this machine. A base
that was named is never replaced by another.
"""

from __future__ import annotations

import hashlib
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import docker
import requests
from docker.errors import DockerException
from docker.utils import parse_repository_tag

from harness.core.errors import ImageError
from harness.core.locks import exclusive, machine_folder
from harness.image.compiler import add_compiler, compiler_tag
from harness.image.container_engine import install_debian_packages, is_debian_family

DEFAULT_BASE_IMAGE: Final = "python:3.11-slim-bookworm"

_FIRST_ANSWER_SECONDS: Final = (
    20.0  # a registry that cannot be reached mostly says so at once; a firewall never does
)
_NEXT_ANSWER_SECONDS: Final = 300.0
_DEBIAN_SECONDS: Final = 900.0
_MEMORY_BYTES: Final = 2_000_000_000  # a third of it is used

# libstdc++6: wheels bring their own libraries, but not this one. The compiler and Python's headers are for
# torch.compile, which writes C++ and compiles it while the package runs.
_DEBIAN_PACKAGES: Final = "python3,libstdc++6,ca-certificates,g++,libpython3.11-dev"
_DEBIAN_LEFT_OUT: Final = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    # What compiling a kernel does not need: a static Python, sanitizers, link-time optimisation.
    "path-exclude=/usr/lib/python3.11/config-3.11-*/*.a",
    "path-exclude=/usr/lib/x86_64-linux-gnu/libpython3.11.a",
    *(f"path-exclude=/usr/lib/*/lib{name}.*" for name in ("asan", "tsan", "lsan", "ubsan", "hwasan")),
    "path-exclude=/usr/lib/gcc/*/lto*",
)
_DEBIAN_OPTIONS: Final = (
    "--variant=essential",
    f"--include={_DEBIAN_PACKAGES}",
    "--dpkgopt=force-unsafe-io",  # no file is forced to the disk: what fails halfway is made again
    # The symlinks /bin, /lib…; without them Debian's `usrmerge` would make them, which brings all of Perl.
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    # What is left out is dpkg's matter: as mmdebstrap's own option, each package would go through a filter in
    # Python, half of all the time. The first packages are unpacked before there is a dpkg; it does it again.
    '--setup-hook=mkdir -p "$1"/etc/dpkg/dpkg.cfg.d && cat >"$1"/etc/dpkg/dpkg.cfg.d/left-out <<END\n'
    + "\n".join(_DEBIAN_LEFT_OUT)
    + "\nEND",
    '--extract-hook=rm -rf "$1"/usr/share/man/* "$1"/usr/share/locale/* "$1"/usr/share/doc/*',
    # While the first packages are installed, the others are fetched: as long as that lasts, the lock is held.
    # What could not be fetched then, mmdebstrap fetches when it comes to it.
    '--extract-hook=exec 9>"$1"/var/cache/apt/fetching; flock 9; '
    "apt-get --yes --download-only -oDebug::NoLocking=1 install "
    + _DEBIAN_PACKAGES.replace(",", " ")
    + " </dev/null >/dev/null 2>&1 &",
    '--essential-hook=flock "$1"/var/cache/apt/fetching rm "$1"/var/cache/apt/fetching',
    # The host's mirrors and proxies, which may carry credentials, stay on the host.
    '--customize-hook=rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/apt/sources.list',
)
_MIRROR_REMEDY: Final = (
    "Check that Debian's package mirror can be reached, or set BASE_IMAGE to a local image with Python 3.11."
)
_DEBIAN_REPOSITORY: Final = "blackbox-video-harness/base"
_DEBIAN_TAG: Final = "bookworm-" + hashlib.sha256("\n".join(_DEBIAN_OPTIONS).encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class BaseImage:
    """A base image in the engine."""

    name: str
    image_id: str


def requested_base() -> str:
    """Return the name of the base image that the operator wants."""
    return os.environ.get("BASE_IMAGE") or DEFAULT_BASE_IMAGE


def find_base(client: docker.DockerClient) -> BaseImage | None:
    """Return the base image if the engine already has it; no registry is asked."""
    name = requested_base()
    image_id = image_id_of(client, name)
    if image_id is not None:
        image_id = image_id_of(client, compiler_tag(image_id))
    elif name == DEFAULT_BASE_IMAGE:
        name = f"{_DEBIAN_REPOSITORY}:{_DEBIAN_TAG}"
        image_id = image_id_of(client, name)
    return None if image_id is None else BaseImage(name=name, image_id=image_id)


def ensure_base(client: docker.DockerClient, *, say: Callable[[str], None]) -> BaseImage:
    """Return the base image, pulling or making it if the engine does not have it.

    Several processes may ask at once: one pulls or makes it, the others wait and find it.

    Raises:
        ImageError: a named base image is not available, or a base cannot be made on this machine.
    """
    found = find_base(client)
    if found is not None:
        return found
    with exclusive(machine_folder() / "base-image", waiting=say, what="the base image"):
        return find_base(client) or _obtained(client, say)


def _obtained(client: docker.DockerClient, say: Callable[[str], None]) -> BaseImage:
    name = requested_base()
    try:
        if image_id_of(client, name) is None:
            say(f"Pulling the base image {name}.")
            _pull(client, name)
    except (DockerException, requests.RequestException, TimeoutError) as error:
        if name != DEFAULT_BASE_IMAGE:
            raise ImageError(
                f"the base image {name} is not on this machine and cannot be pulled: {_first_line(error)}",
                remedy="Load it (`docker load`), correct BASE_IMAGE, or unset it to use the default.",
            ) from error
        say(f"It cannot be pulled ({_first_line(error)}). Making a minimal Debian base instead (about 30 s).")
        name = _make_debian_base(client, say=say)
    image_id = image_id_of(client, name)
    if image_id is None:
        raise ImageError(f"the base image {name} has disappeared again", remedy="Run the command once more.")
    if name == requested_base():
        _must_have_python(client, name, image_id)
        image_id = add_compiler(client, image_id, say=say)
    return BaseImage(name=name, image_id=image_id)


def _must_have_python(client: docker.DockerClient, name: str, image_id: str) -> None:
    """Refuse a base without Python 3.11 before anything is built on it.

    Raises:
        ImageError: it has none.
    """
    program = ["-c", "import sys; sys.exit(sys.version_info[:2] != (3, 11))"]
    container = client.containers.create(
        image_id, entrypoint=["python3"], command=program, network_disabled=True, user="0"
    )
    try:
        container.start()
        status = int(container.wait()["StatusCode"])
    except docker.errors.APIError:
        status = -1  # there is no such program
    finally:
        container.remove(force=True)
    if status != 0:
        raise ImageError(
            f"the base image {name} has no Python 3.11",
            remedy="Set BASE_IMAGE to an image whose python3 is release 3.11, or unset it for the default.",
        )


def image_id_of(client: docker.DockerClient, name: str) -> str | None:
    """Return the id ("sha256:...") of a local image; None if the engine has none of that name."""
    try:
        return str(client.images.get(name).id)
    except docker.errors.ImageNotFound:
        return None


def _first_line(error: BaseException) -> str:
    text = str(getattr(error, "explanation", None) or error)  # the engine's own words, if there are any
    return (text.splitlines() or [type(error).__name__])[0][:200]


def _pull(client: docker.DockerClient, name: str) -> None:
    """Pull an image, giving up on a registry that stays silent.

    The engine alone decides how long it waits for a registry, so the waiting is done in a thread that can be
    left behind.
    """
    repository, tag = parse_repository_tag(name)
    events: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()

    def follow() -> None:
        try:
            for event in client.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
                events.put(event)
        except (DockerException, requests.RequestException) as error:
            events.put(error)
        else:
            events.put(None)

    threading.Thread(target=follow, name="image-pull", daemon=True).start()
    patience = _FIRST_ANSWER_SECONDS
    while True:
        try:
            event = events.get(timeout=patience)
        except queue.Empty:
            raise TimeoutError(f"no answer from the registry in {patience:.0f} s") from None
        if event is None:
            return
        if isinstance(event, Exception):
            raise event
        if "error" in event:
            raise DockerException(str(event["error"]))
        patience = _NEXT_ANSWER_SECONDS


def _make_debian_base(client: docker.DockerClient, *, say: Callable[[str], None]) -> str:
    if shutil.which("mmdebstrap") is None:
        if not (is_debian_family() and os.geteuid() == 0):
            raise ImageError(
                f"no registry can be reached for {DEFAULT_BASE_IMAGE}, and mmdebstrap, which makes a base"
                " from Debian's packages, is not installed",
                remedy="Install mmdebstrap, or set BASE_IMAGE to a local image with Python 3.11.",
            )
        install_debian_packages(["mmdebstrap"], say=say)
    with (
        tempfile.TemporaryDirectory(prefix="harness-base-") as folder,
        tempfile.TemporaryDirectory(prefix="harness-base-") as memory,
    ):
        archive = Path(folder) / "base.tar"
        options = Path(folder) / "apt.conf"
        options.write_text(_apt_options(), encoding="utf-8")
        command = ["mmdebstrap", "--quiet", *_DEBIAN_OPTIONS, f"--aptopt={options}", "bookworm", str(archive)]
        command = _in_memory([*command, *_debian_sources()], Path(memory))
        # The same packages then make the same archive, whenever it is made.
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        try:
            done = subprocess.run(  # noqa: S603  (our own arguments)
                command, capture_output=True, encoding="utf-8", errors="replace", check=False,
                timeout=_DEBIAN_SECONDS, env=environment, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ImageError(
                f"mmdebstrap took more than {_DEBIAN_SECONDS:.0f} s to make a base image",
                remedy=_MIRROR_REMEDY,
            ) from error
        if done.returncode != 0:
            tail = "\n    ".join(done.stderr.strip().splitlines()[-8:])
            raise ImageError(
                f"mmdebstrap could not make a base image:\n    {tail}",
                remedy=_MIRROR_REMEDY,
            )
        _import(client, archive)
    return f"{_DEBIAN_REPOSITORY}:{_DEBIAN_TAG}"


def _in_memory(command: list[str], folder: Path) -> list[str]:
    """Let a command have its temporary files in memory, where root may mount some and there is plenty.

    Thousands of small files are written, and removed again: on some disks that takes half a minute.
    Only the command sees what is mounted over the folder, and it is gone with the command.
    """
    folder.chmod(0o755)  # apt fetches as a user of its own
    mount = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o mode=755,size={_MEMORY_BYTES} none "$0"']
    if os.geteuid() != 0 or _available_bytes() < 2 * _MEMORY_BYTES or not _works([*mount, str(folder)]):
        return command
    return [*mount[:-1], f'{mount[-1]} && TMPDIR="$0" exec "$@"', str(folder), *command]


def _available_bytes() -> int:
    """Return how much memory could be had without swapping; 0 if this system does not tell."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    return 0


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603
    except OSError:
        return False


def _import(client: docker.DockerClient, archive: Path) -> None:
    client.api.import_image_from_file(
        str(archive),
        repository=_DEBIAN_REPOSITORY,
        tag=_DEBIAN_TAG,
        changes=["ENV LANG=C.UTF-8", "LABEL blackbox-video-harness.image.base=debian-bookworm"],
    )
    if image_id_of(client, f"{_DEBIAN_REPOSITORY}:{_DEBIAN_TAG}") is None:
        raise ImageError("the engine did not take the base image", remedy="Look at the engine's log.")


def _apt_options() -> str:
    """How the host reaches its mirrors (proxies, certificates); mmdebstrap looks at none of it by itself."""
    dump = _output(["apt-config", "dump", "Acquire"])
    wanted = re.compile(r'^Acquire::(https?(::[\w.:/-]*)?|Check-Date|Check-Valid-Until) "')
    return "".join(
        line + "\n" for line in dump.splitlines() if wanted.match(line) and not line.endswith('"";')
    )


def _debian_sources() -> list[str]:
    """Name the host's own Debian bookworm mirrors; nothing, hence Debian's public ones, if it has none."""
    listing = _output(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(SUITE) $(CODENAME) $(COMPONENT) $(ORIGIN)",
         "Created-By: Packages"]
    )  # fmt: skip
    lines = []
    for target in listing.splitlines():
        uri, *_, codename, component, origin = [*target.split(" "), "", "", "", ""][:5]
        if origin == "Debian" and component == "main" and codename.startswith("bookworm"):
            lines.append(f"deb {uri} {codename} main")
    return list(dict.fromkeys(lines))


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603  (our own arguments)
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=30,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""  # no apt here: mmdebstrap then uses Debian's public mirrors, with no settings of this host
    return done.stdout if done.returncode == 0 else ""
