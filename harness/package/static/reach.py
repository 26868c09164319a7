"""Which files of a package its entry's own imports reach: findings elsewhere matter less."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from harness.package.static.scan import Link, Scan, Unreadable


def reached_from(main_file: str | None, scans: Mapping[str, Scan | Unreadable]) -> frozenset[str] | None:
    """Follow imports from the file that is started.

    Each file and each name is looked up once, however often it is imported: a package may be written to make
    this take for ever.

    Args:
        main_file: Relative to the package's root; None if it is unknown or not Python.
        scans: Every Python file of the package, by path.

    Returns:
        The files reached, the first included; None if that cannot be told, since something on the way
        imports or starts code by names that cannot be read.
    """
    if main_file is None or main_file not in scans:
        return None
    by_ending = _by_ending(scans)
    reached = {main_file}
    waiting = [main_file]
    while waiting:
        path = waiting.pop()
        scan = scans[path]
        if not isinstance(scan, Scan):
            continue
        if scan.habits.dynamic:
            return None
        for link in dict.fromkeys(scan.links):
            found = set(_files(path, link, scans, by_ending)) - reached
            reached |= found
            waiting += found
    return frozenset(reached)


def _by_ending(scans: Iterable[str]) -> dict[str, list[str]]:
    """Return the files by every ending of their module's path: a/b/c.py by c, b/c and a/b/c."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in scans:
        parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
        for first in range(len(parts)):
            found["/".join(parts[first:])].append(path)
    return found


def _files(path: str, link: Link, scans: Collection[str], by_ending: dict[str, list[str]]) -> Iterator[str]:
    module = link.module.replace(".", "/")
    candidates = {module, *(f"{module}/{name}".lstrip("/") for name in link.names)}
    if link.level:
        folder = "/".join(path.split("/")[: -link.level])
        yield from _present({f"{folder}/{one}".strip("/") for one in candidates}, scans)
        return
    # At the root, beside the file, or where else a package puts on sys.path: a name that fits may be meant.
    # It is looked for everywhere, so once is enough: it is taken out.
    for one in candidates - {""}:
        yield from by_ending.pop(one, ())
    # `import a.b.c` runs a/__init__.py and a/b/__init__.py too.
    parts = module.split("/")
    yield from _present({"/".join(parts[:count]) for count in range(1, len(parts))}, scans)


def _present(stems: set[str], scans: Collection[str]) -> Iterator[str]:
    for stem in stems:
        for path in (f"{stem}.py", f"{stem}/__init__.py".lstrip("/")):
            if path in scans:
                yield path
