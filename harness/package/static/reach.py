"""Which files of a package its entry's own imports reach: findings elsewhere matter less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.package.static.scan import Link, Scan, Unreadable


def reached_from(main_file: str | None, scans: Mapping[str, Scan | Unreadable]) -> frozenset[str] | None:
    """Follow imports from the file that is started.

    Args:
        main_file: Relative to the package's root; None if it is unknown or not Python.
        scans: Every Python file of the package, by path.

    Returns:
        The files reached, the first included; None if that cannot be told, since something on the way
        imports or starts code by names that cannot be read.
    """
    if main_file is None or main_file not in scans:
        return None
    reached: set[str] = set()
    waiting = [main_file]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        scan = scans[path]
        if not isinstance(scan, Scan):
            continue
        if scan.habits.dynamic:
            return None
        for link in scan.links:
            waiting += _files(path, link, scans)
    return frozenset(reached)


def _files(path: str, link: Link, scans: Mapping[str, Scan | Unreadable]) -> Iterator[str]:
    module = link.module.replace(".", "/")
    candidates = [module, *(f"{module}/{name}".lstrip("/") for name in link.names)]
    if link.level:
        folder = "/".join(path.split("/")[: -link.level])
        targets = {f"{folder}/{one}".strip("/") for one in candidates}
        yield from _present(targets, scans)
        return
    wanted = {one for one in candidates if one}
    # At the root, beside the file, or where else a package puts on sys.path: a name that fits may be meant.
    for other in scans:
        stem = other.removesuffix(".py").removesuffix("/__init__")
        if any(stem == one or stem.endswith(f"/{one}") for one in wanted):
            yield other
    # `import a.b.c` runs a/__init__.py and a/b/__init__.py too.
    parts = module.split("/")
    yield from _present({"/".join(parts[:count]) for count in range(1, len(parts))}, scans)


def _present(stems: set[str], scans: Mapping[str, Scan | Unreadable]) -> Iterator[str]:
    for stem in stems:
        for path in (f"{stem}.py", f"{stem}/__init__.py".lstrip("/")):
            if path in scans:
                yield path
