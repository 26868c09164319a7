"""A minimal Debian bookworm with Python, made on this machine if no registry can be reached.

The same packages always make the same archive.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import docker

from harness.core.errors import ImageError
from harness.image.container_engine import install_debian_packages, is_debian_family

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
DEBIAN_BASE: Final = f"{_DEBIAN_REPOSITORY}:{_DEBIAN_TAG}"  # its name


def make_debian_base(client: docker.DockerClient, *, say: Callable[[str], None]) -> str:
    """Make the image `DEBIAN_BASE`, and return its name.

    Raises:
        ImageError: mmdebstrap is missing or fails, or the engine does not take what it made.
    """
    if shutil.which("mmdebstrap") is None:
        if not (is_debian_family() and os.geteuid() == 0):
            raise ImageError(
                "no registry can be reached, and mmdebstrap, which makes a base from Debian's packages,"
                " is not installed",
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
    return DEBIAN_BASE


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
    """Return how much memory could be had without swapping; 0 if this system does not say."""
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
    if not client.images.list(DEBIAN_BASE):
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
