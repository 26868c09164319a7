"""A package's own `wheels/`: can the image's Python use them, what do they bring, how large are they."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from harness.core.limits import bytes_in_words
from harness.core.types import Limits
from harness.package.findings import Finding, Severity, found
from harness.package.static.scan import IMAGE_PYTHON
from harness.package.zip_reader import read_directory

FOLDER: Final = "wheels"
ENTRIES_MAX: Final = 100_000  # of all wheels of a package together: small zips can list very many names
GLIBC_MINOR_MAX: Final = 36  # of the image
_NAME = re.compile(
    r"(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl"
)
_MANYLINUX = re.compile(r"manylinux_2_(?P<minor>\d+)_")


@dataclass(frozen=True, kw_only=True)
class OwnWheel:
    """One wheel of a package, looked into and not unpacked."""

    path: str
    problem: str = ""  # why the image's Python cannot use it
    modules: frozenset[str] = frozenset()  # top-level names that it brings
    unpacked_bytes: int = 0
    entries: int = 0  # names that its zip lists


def is_own_wheel(path: str) -> bool:
    """Tell whether the runner will unpack a file of a package."""
    return path.startswith(f"{FOLDER}/") and path.count("/") == 1 and path.endswith(".whl")


def look(path: str, stream: BinaryIO, before: Iterable[OwnWheel] = ()) -> OwnWheel:
    """Look into a wheel. Reads its directory alone, with the caution that a package's own zip gets.

    Args:
        path: In the package.
        stream: Its content.
        before: The package's wheels that were looked into before: `ENTRIES_MAX` is for all together.
    """
    directory = read_directory(stream, entries_max=ENTRIES_MAX - sum(wheel.entries for wheel in before))
    if any(finding.severity is Severity.ERROR for finding in directory.findings):
        return OwnWheel(path=path, problem="cannot be read as a zip")
    names = [member.entry.path for member in directory.members]
    return OwnWheel(
        path=path,
        problem=problem_of(path.rpartition("/")[2]),
        modules=frozenset(filter(None, map(_module, names))),
        unpacked_bytes=sum(member.entry.size_bytes for member in directory.members),
        entries=len(directory.members),
    )


def problem_of(name: str) -> str:
    """Say why the image's Python cannot use a wheel of this file name; empty if it can."""
    match = _NAME.fullmatch(name)
    if match is None:
        return "the name is not that of a wheel"
    if not any(_python(tag, match["abi"]) for tag in match["python"].split(".")):
        image = "cp{}{}".format(*IMAGE_PYTHON)
        return f"is made for {match['python']}-{match['abi']}; the image has {image}"
    if not any(_platform(tag) for tag in match["platform"].split(".")):
        return f"is made for {match['platform']}; the image is Linux with glibc 2.{GLIBC_MINOR_MAX}"
    return ""


def wheel_findings(wheels: Iterable[OwnWheel], limits: Limits) -> Iterator[Finding]:
    """Yield what is wrong with a package's own wheels."""
    listed = list(wheels)
    for wheel in listed:
        if wheel.problem:
            yield found("P131", wheel.problem, place=wheel.path)
    unpacked = sum(wheel.unpacked_bytes for wheel in listed)
    if unpacked > limits.tmp_bytes:
        yield found(
            "P132",
            f"{bytes_in_words(unpacked)} unpacked; the temporary disk has {bytes_in_words(limits.tmp_bytes)}",
            place=FOLDER,
        )
    elif listed:
        yield found("P133", f"{len(listed)} wheels, {bytes_in_words(unpacked)} of temporary disk and memory")


def _python(tag: str, abi: str) -> bool:
    major, minor = IMAGE_PYTHON
    if tag in {f"py{major}", f"py{major}{minor}"}:
        return abi == "none"
    older = re.fullmatch(rf"cp{major}(\d+)", tag)
    if older is None:
        return False
    return int(older[1]) == minor or (int(older[1]) < minor and "abi3" in abi.split("."))


def _platform(tag: str) -> bool:
    if tag == "any" or tag.startswith(("manylinux1_", "manylinux2010_", "manylinux2014_", "linux_")):
        return True
    match = _MANYLINUX.match(tag)
    return match is not None and int(match["minor"]) <= GLIBC_MINOR_MAX


def _module(path: str) -> str:
    parts = path.split("/")
    if parts[0].endswith(".data") and len(parts) > 2:
        parts = parts[2:]
    first = parts[0]
    if first.endswith((".dist-info", ".libs")):
        return ""
    if len(parts) == 1:
        return first.split(".")[0] if first.endswith((".py", ".so")) else ""
    return first
