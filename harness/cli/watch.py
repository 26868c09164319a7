"""`harness check --watch`: one package of one's own, checked again at every save."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from rich.text import Text

from harness.cli.back_ends import docker_backend
from harness.cli.progress import ConsoleObserver
from harness.cli.terminal import printer
from harness.cli.trial import public_videos
from harness.cli.views.check import render_report
from harness.core.challenge import Challenge
from harness.core.errors import ConfigError
from harness.package.check import ContainerProbe, check_package, shipped_modules
from harness.package.manifest import left_out_by
from harness.package.static.scan import SOURCE_BYTES_MAX, Scan, scan
from harness.run.standby import Desk
from harness.run.trial import sample_videos

LOOK_EVERY_SECONDS: Final = 0.1  # at the files of a watched package
_out = printer()
_err = printer(errors=True)


def watch_package(package: Path, challenge: Challenge, *, videos: int, everything: bool) -> None:
    """Check at every save, until interrupted.

    Raises:
        ConfigError: the package is not a folder, or the challenge has no public videos.
    """
    if not package.is_dir():
        raise ConfigError("is not a folder", place=package, remedy="Give the folder that you edit.")
    with ConsoleObserver(_err) as observer, ExitStack() as held:
        backend = docker_backend(observer.say, gpus=challenge.limits.gpus, held=held)
        shown = sample_videos(public_videos(challenge, videos), ask_again=False)
        preload = imported_modules(package)
        with Desk(backend=backend, terms=challenge.terms, videos=shown, preload=preload) as desk:
            desk.get_ready()
            inside = ContainerProbe(modules=shipped_modules(), smoke=desk.smoke)
            observer.say("Watching this one package, on this desk only: each check has its own container,")
            observer.say("started beforehand with the image's modules imported, so starts look shorter.")
            for saved_at in Saves(package):
                report = check_package(
                    package, limits=challenge.limits, contract=challenge.contract, inside=inside
                )
                _out.print(render_report(report, everything=everything))
                seconds = time.monotonic() - saved_at
                _out.print(Text(f"{seconds:.1f} s after the save; waiting for the next (Ctrl-C ends)", "dim"))
                desk.get_ready()


def imported_modules(package: Path) -> tuple[str, ...]:
    """Return the image's own modules that a package's files import at their top, for importing beforehand."""
    known = shipped_modules()
    wanted: set[str] = set()
    for path in sorted(package.rglob("*.py")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= SOURCE_BYTES_MAX:
            found = scan(path.read_bytes(), place=path.name)
            if isinstance(found, Scan):
                wanted |= {one.module.partition(".")[0] for one in found.imports if not one.guarded}
    own = {path.stem for path in package.iterdir()}
    return tuple(sorted((wanted & known) - own - sys.stdlib_module_names))


class Saves:
    """Yields the time of each change to a package's files, the first at once; saves together are one."""

    def __init__(self, package: Path) -> None:
        self._package = package
        self._seen: frozenset[tuple[str, int, int]] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> float:
        while (now := _state(self._package)) == self._seen:
            time.sleep(LOOK_EVERY_SECONDS)
        changed_at = time.monotonic()
        while True:  # an editor writes a file in more than one step
            time.sleep(LOOK_EVERY_SECONDS / 2)
            again = _state(self._package)
            if again == now:
                break
            now = again
        self._seen = now
        return changed_at


def _state(package: Path) -> frozenset[tuple[str, int, int]]:
    """Return name, time and size of every file that may belong to a package."""
    left_out = left_out_by(())
    found = set()
    for folder, folders, names in os.walk(package):
        folders[:] = [name for name in folders if left_out(name) is None]
        for name in names:
            if left_out(name) is None:
                try:
                    status = (Path(folder) / name).stat()
                except OSError:
                    continue  # replaced at this moment, or a link to nothing
                found.add((f"{folder}/{name}", status.st_mtime_ns, status.st_size))
    return frozenset(found)
