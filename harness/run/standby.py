"""A container that is started before the package it will run: for watching one's own package while editing.

Each check gets a fresh container, under the limits and options of a real run; only its start, and the import
of the image's own modules, lie before the save. A desk belongs to one package: nothing of it is ever shared
between two entries, and no run that counts comes here.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from harness.core.types import Mode, Mount, PreparedVideo, SandboxSpec, Terms
from harness.gateway.feed import run_set
from harness.gateway.journal import Journal, header_of
from harness.gateway.run_package import spec_for
from harness.gateway.set_run import SetRun
from harness.gateway.staging import Stage, neutral_folder
from harness.package.findings import Finding
from harness.package.manifest import Layout
from harness.package.opened import Package
from harness.run.trial import smoke_findings, smoke_runner, trial_terms
from harness.sandbox import Backend, SandboxProcess
from harness.sandbox.docker.hardening import STANDBY_FOLDER
from harness.sandbox.protocol import encode_load

_DESK: Final = "/desk"  # in the container: holds the package once it is there


class Desk:
    """Runs one package again and again, with a container ready before each time.

    Args:
        backend: Starts the containers.
        terms: Those of a real run.
        videos: What is shown each time.
        preload: Modules of the image that are imported beforehand.
        seen: Given each run.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        terms: Terms,
        videos: Sequence[PreparedVideo],
        preload: Sequence[str] = (),
        seen: Callable[[SetRun], None] | None = None,
    ) -> None:
        self._backend = backend
        self._terms = terms
        self._videos = tuple(videos)
        self._preload = tuple(preload)
        self._seen = seen
        self._stack = ExitStack()
        self._waiting: _Waiting | None = None
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def get_ready(self, mode: Mode = Mode.STREAM) -> None:
        """Start a container that waits for a package of this mode."""
        self._clear()
        stack = ExitStack()
        try:
            stage = stack.enter_context(Stage())
            slot = stack.enter_context(_slot())
            spec = self._spec(slot, stage, mode)
            process = stack.enter_context(self._backend.sandbox.start(spec))
        except BaseException:
            stack.close()
            raise
        self._stack = stack
        self._waiting = _Waiting(process=process, spec=spec, stage=stage, slot=slot, backend=self._backend)

    def smoke(self, package: Package) -> list[Finding]:
        """Run a package in the container that waits, or in a new one. See `ContainerProbe.smoke`.

        Raises:
            InfrastructureError: our fault or the host's.
        """
        waiting = self._waiting
        if package.manifest.layout is not Layout.PLAIN:  # its mounts depend on its folders
            paths = [video.path for video in self._videos]
            trial = smoke_runner(
                backend=self._backend, terms=self._terms, videos=paths, ask_again=False, seen=self._seen
            )
            return trial(package)
        if waiting is None or waiting.spec.mode is not package.manifest.mode:
            self.get_ready(package.manifest.mode)
            waiting = self._waiting
        assert waiting is not None  # noqa: S101  (for the type checker)
        self._waiting = None
        self._number += 1
        run = waiting.run(package, self._videos, self._terms)
        if self._seen is not None:
            self._seen(run)
        return list(smoke_findings(run, limits=self._terms.limits))

    def _spec(self, slot: Path, stage: Stage, mode: Mode) -> SandboxSpec:
        limits = trial_terms(self._terms).limits
        return SandboxSpec(
            run_id=f"watch-{self._number}",
            image=self._backend.image.digest,
            package=Mount(source=slot, target=_DESK),
            videos=Mount(source=stage.videos, target="/videos"),
            limits=limits,
            mode=mode,
            gpu_uuids=self._backend.gpu_uuids[: limits.gpus],
            runtime=self._backend.runtime,
            standby=self._preload,
        )

    def _clear(self) -> None:
        self._waiting = None
        self._stack.close()
        self._stack = ExitStack()


class _Waiting:
    """A `Sandbox` whose first start was made before: a container that waits for its package."""

    isolation = "docker"

    def __init__(
        self, *, process: SandboxProcess, spec: SandboxSpec, stage: Stage, slot: Path, backend: Backend
    ) -> None:
        self.spec = spec
        self._process: SandboxProcess | None = process
        self._stage = stage
        self._slot = slot
        self._backend = backend
        self._package: Package | None = None

    def run(self, package: Package, videos: Sequence[PreparedVideo], terms: Terms) -> SetRun:
        """Give the package to the container, and run it on the videos."""
        self._package = package
        _link(package.root, self._slot / STANDBY_FOLDER)
        if self._process is not None:
            self._process.send(encode_load())
        header = header_of(videos=videos, limits=self.spec.limits, order_seed=0)
        with (
            tempfile.TemporaryDirectory(prefix="harness-watch-") as folder,
            Journal(Path(folder) / "outcomes.jsonl", header) as journal,
        ):
            return run_set(
                sandbox=self,
                spec=self.spec,
                stage=self._stage,
                videos=videos,
                order_seed=0,
                journal=journal,
                terms=trial_terms(terms),
                keep_messages=True,
            )

    @contextmanager
    def start(self, spec: SandboxSpec) -> Iterator[SandboxProcess]:
        """See `Sandbox.start`. A container that the package lost is replaced in the ordinary way."""
        process, self._process = self._process, None
        if process is not None:
            yield process
            return
        assert self._package is not None  # noqa: S101  (for the type checker)
        plain = spec_for(
            self._package,
            self._stage,
            backend=self._backend,
            terms=Terms(limits=spec.limits),
            run_id=spec.run_id,
        )
        with self._backend.sandbox.start(plain) as started:
            yield started


@contextmanager
def _slot() -> Iterator[Path]:
    """Make a folder that the container mounts while it is empty; remove it with what came to lie there."""
    with neutral_folder() as parent:
        slot = parent / "desk"
        slot.mkdir(mode=0o755)
        yield slot


def _link(source: Path, target: Path) -> None:
    """Put an opened package, which never changes, in another place; without a copy where that can be."""

    def link(one: str, other: str) -> str:
        try:
            os.link(one, other)
        except OSError:  # another file system
            shutil.copy2(one, other)
        return other

    shutil.copytree(source, target, copy_function=link)
