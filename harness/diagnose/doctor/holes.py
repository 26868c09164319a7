"""Known holes of what runs containers, and whether a version has them. No substitute for updates.

Holes that let a container reach its host, or a local user the engine. Sources: the projects' own advisories,
named by CVE. What it does not know: holes published after this release, holes of the kernel, and what a
distribution has patched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

Version = tuple[int, int, int]

_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
# Marks of Debian's, Ubuntu's, Red Hat's and Amazon's builds. They fix holes without a new upstream number.
_DISTRIBUTION = re.compile(r"[+~]ds|dfsg|deb\d+u|ubuntu|\.el\d|\.fc\d|amzn|-rhel|\.module_", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Hole:
    """One published hole. `fixed` has the first good release of each branch that got one, in order."""

    component: str
    names: tuple[str, ...]
    what: str
    fixed: tuple[Version, ...]
    escape: bool = True  # a container reaches its host; False: a local user of the host does


KNOWN_HOLES = (
    Hole(
        component="runc",
        names=("CVE-2024-21626",),
        what="a leaked file descriptor lets a container reach the host's files",
        fixed=((1, 1, 12),),
    ),
    Hole(
        component="runc",
        names=("CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"),
        what="races around masked paths, /dev/console and /proc let a container write to the host's /proc",
        fixed=((1, 2, 8), (1, 3, 3)),
    ),
    Hole(
        component="containerd",
        names=("CVE-2024-25621",),
        what="folders with too wide rights let a local user of the host gain more",
        fixed=((1, 7, 29), (2, 0, 7), (2, 1, 5)),
        escape=False,
    ),
    Hole(
        component="NVIDIA Container Toolkit",
        names=("CVE-2024-0132",),
        what="a race in mounting lets a crafted image reach the host's files",
        fixed=((1, 16, 2),),
    ),
    Hole(
        component="NVIDIA Container Toolkit",
        names=("CVE-2025-23359",),
        what="the repair of CVE-2024-0132 was not whole",
        fixed=((1, 17, 4),),
    ),
    Hole(
        component="NVIDIA Container Toolkit",
        names=("CVE-2025-23266",),
        what="a hook of the toolkit loads the container's libraries with the host's rights",
        fixed=((1, 17, 8),),
    ),
)


def version_of(text: str) -> Version | None:
    """Read the first version in a text; None if there is none."""
    match = _NUMBERS.search(text)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3] or 0))


def is_distribution_build(*texts: str) -> bool:
    """Tell whether a version's text has a distribution's mark: it may have patches that its number hides."""
    return any(_DISTRIBUTION.search(text) for text in texts)


def holes_of(component: str, version: Version, holes: Sequence[Hole] = KNOWN_HOLES) -> tuple[Hole, ...]:
    """Return the holes that a version has by its number alone.

    A version is repaired when it is at or above the good release of its own branch (the first two numbers),
    or when its branch is newer than every branch that needed repair.
    """
    return tuple(hole for hole in holes if hole.component == component and not _repaired(version, hole.fixed))


def _repaired(version: Version, fixed: Sequence[Version]) -> bool:
    own_branch = [good for good in fixed if good[:2] == version[:2]]
    if own_branch:
        return version >= own_branch[0]
    return version[:2] > max(good[:2] for good in fixed)
