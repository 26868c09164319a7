"""The harness's own work on a Ray cluster of the organiser's trusted nodes: extra `cluster`.

Ray decides which node has room; there is no queue of our own. Only as many jobs are handed over as the
cluster can hold at the moment, so that nodes may come and go. What a job needs is claimed from Ray, and a
node is trusted to have said truly what it has (`harness contest node`).

What it does not do: run a contestant's code. A worker starts a container on its node's own container engine.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import socket
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from harness import __version__
from harness.core.engines import Job, JobResult, Value, WorkerDiedError
from harness.core.errors import ConfigError, EngineUnavailableError

NO_NODE_SECONDS = 300.0  # without a node that has room for one job before the work is given up
POLL_SECONDS = 1.0  # between two looks at what the cluster has
CANCEL_SECONDS = 30.0  # for workers to leave what they have begun, their containers gone
CONNECT_SECONDS = 10.0
SPEED_STEPS = 20  # classes of speed; the fastest known machine is below twice the reference
SPEED_PLACES = 10_000  # of each class on a node: more than it could ever run jobs
_SPEED_SHARE = 0.001
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # of workers that were only to be warm; all others are asked
}


@dataclass(frozen=True, kw_only=True)
class Need:
    """What one job holds on its node while it runs."""

    cores: float = 1.0
    memory_bytes: int = 0
    gpus: float = 0.0
    speed: float = 0.0  # the node's, at least; 1 is the reference machine (`harness calibrate`), 0: any

    def options(self) -> dict[str, Any]:
        """Return it in Ray's words."""
        found: dict[str, Any] = {"num_cpus": self.cores, "max_retries": 0}
        if self.memory_bytes:
            found["memory"] = self.memory_bytes
        if self.gpus:
            found["num_gpus"] = self.gpus
        if self.speed > 0:
            found["resources"] = {speed_class(self.speed): _SPEED_SHARE}
        return found

    def resources(self) -> dict[str, float]:
        """Return it as Ray counts what a node has."""
        found = {"CPU": self.cores, "memory": float(self.memory_bytes), "GPU": self.gpus}
        if self.speed > 0:
            found[speed_class(self.speed)] = _SPEED_SHARE
        return {name: amount for name, amount in found.items() if amount > 0}


def speed_class(speed: float) -> str:
    """Name the class of nodes that are at least this fast, in steps of a tenth of the reference."""
    return f"speed-{min(SPEED_STEPS, max(1, -int(-speed * 10 // 1)))}"


def speed_resources(speed: float) -> dict[str, float]:
    """Return what a node of this speed offers: its own class and every slower one."""
    return {f"speed-{step}": float(SPEED_PLACES) for step in range(1, min(SPEED_STEPS, int(speed * 10)) + 1)}


def _must_listen(address: str | None) -> None:
    """Raise an `OSError` at once if nothing listens there; Ray itself asks again for minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdecimal() and "://" not in host:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


class RayEngine:
    """An `Engine` on a Ray cluster; `close` lets go of it.

    Args:
        address: Of the cluster, `HOST:PORT`; None: a cluster of this one machine, started for the purpose.
        need: What each job holds.
        retries: How often a job is given out again whose worker or node died. For work whose repetition
            changes nothing; if somebody else decides on that, leave it 0.

    Raises:
        ConfigError: Ray is not installed.
        EngineUnavailableError: no cluster answers.
    """

    def __init__(self, address: str | None = None, *, need: Need | None = None, retries: int = 0) -> None:
        self.need = need or Need()
        self._retries = retries
        self._warming: list[Any] = []  # kept: what nobody refers to is cancelled
        self._ray = _ray()
        self._ours = not self._ray.is_initialized()
        if not self._ours:
            return
        try:
            _must_listen(address)
            with _few_words():
                self._ray.init(
                    address=address or "local",
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    namespace="harness",
                    **({} if address else {"include_dashboard": False}),
                )
        except (OSError, RuntimeError, ValueError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise EngineUnavailableError(
                f"no Ray cluster answers: {why}",
                place=address or "this machine",
                remedy="Start one with `harness contest node`, and name its address (docs/cluster.md).",
            ) from error

    def close(self) -> None:
        """Let go of the cluster; one that was started here ends."""
        if self._ours and self._ray.is_initialized():
            self._ray.shutdown()

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def nodes(self) -> list[Mapping[str, Any]]:
        """Return the living nodes as Ray describes them."""
        return [node for node in self._ray.nodes() if node["Alive"]]

    def places(self) -> int:
        """Return how many jobs the living nodes can hold at a time, were they empty."""
        return sum(_places(node["Resources"], self.need) for node in self.nodes())

    def warm(self, *modules: str) -> None:
        """Have a worker started at every place, with these modules loaded; does not wait for it.

        A worker takes seconds to start, which otherwise are the first job's. What fails here fails there too.
        """
        remote = self._ray.remote(**self.need.options())(_load)
        self._warming = [remote.remote(modules) for _ in range(self.places())]

    def map(self, function: Callable[[Job], Value], jobs: Iterable[Job]) -> Iterator[JobResult[Job, Value]]:
        """Yield one result per job, in the order they finish. Jobs are taken as places become free.

        Raises:
            EngineUnavailableError: for minutes no node had room for a job, or the cluster is gone.
        """
        remote = self._ray.remote(**self.need.options())(_serve)
        payload = self._ray.put((__version__, function))
        waiting, flying = iter(jobs), dict[Any, tuple[Job, int]]()
        watch = _Watch(self)
        try:
            while True:
                places = watch.places()
                if places == 0 and not flying:
                    watch.despair()
                while len(flying) < places and (job := next(waiting, _NOTHING)) is not _NOTHING:
                    flying[remote.remote(payload, job)] = (job, 0)  # type: ignore[assignment]  # `_NOTHING` is not a job, and is not handed out
                if not flying:
                    if places == 0:
                        continue
                    return
                done, _ = self._ray.wait(list(flying), timeout=POLL_SECONDS)
                for reference in done:
                    job, tries = flying.pop(reference)
                    result: JobResult[Job, Value] = self._collect(reference, job)
                    if result.worker_died and tries < self._retries:
                        flying[remote.remote(payload, job)] = (job, tries + 1)
                    else:
                        yield result
        finally:
            self._abandon(list(flying))

    def _collect(self, reference: Any, job: Job) -> JobResult[Job, Value]:
        try:
            value, error, text = self._ray.get(reference)
        except self._ray.exceptions.RayError as cause:
            words = str(cause).strip().splitlines()
            died = WorkerDiedError(f"{type(cause).__name__}: {words[0] if words else 'no word of it'}")
            return JobResult(job=job, error=died, worker_died=True)
        return JobResult(job=job, value=value, error=error, traceback=text)

    def _abandon(self, references: list[Any]) -> None:
        """Have what still runs end: kindly, so that containers are removed, and then by force."""
        if not references or not self._ray.is_initialized():
            return
        for force in (False, True):
            for reference in references:
                with contextlib.suppress(self._ray.exceptions.RayError, ValueError):
                    self._ray.cancel(reference, force=force)
            with contextlib.suppress(self._ray.exceptions.RayError):
                _, references = self._ray.wait(
                    references, num_returns=len(references), timeout=CANCEL_SECONDS, fetch_local=False
                )
            if not references:
                return


class _Watch:
    """Looks at what the cluster has, not more often than it changes."""

    def __init__(self, engine: RayEngine) -> None:
        self._engine = engine
        self._looked = -POLL_SECONDS
        self._seen = time.monotonic()
        self._places = 0

    def places(self) -> int:
        now = time.monotonic()
        if now - self._looked >= POLL_SECONDS:
            self._looked, self._places = now, self._engine.places()
            self._seen = now if self._places else self._seen
        return self._places

    def despair(self) -> None:
        if time.monotonic() - self._seen < NO_NODE_SECONDS:
            time.sleep(POLL_SECONDS)
            return
        nodes = [
            ", ".join(f"{name} {amount:g}" for name, amount in _told(node["Resources"]).items())
            for node in self._engine.nodes()
        ]
        raise EngineUnavailableError(
            f"no node has room for one job, which needs {self._engine.need.resources()}",
            place="the Ray cluster",
            remedy=f"Start nodes that have it. Those at hand: {'; '.join(nodes) or 'none'}.",
        )


_NOTHING = object()


def _load(modules: tuple[str, ...]) -> None:
    for name in modules:
        import_module(name)


def _serve(payload: tuple[str, Callable[[Job], Value]], job: Job) -> tuple[Any, Any, str]:
    """Run one job in a worker; an exception is a value, as with the local engine."""
    version, function = payload
    if version != __version__:
        theirs = ConfigError(
            f"a node has harness {__version__}, the driver {version}",
            remedy="Install the same release on every node.",
        )
        return None, theirs, ""
    value, error, text = None, None, ""
    try:
        value = function(job)
    except Exception as raised:  # noqa: BLE001  (the seam's promise: an exception is a value for the caller)
        error, text = raised, traceback.format_exc()
    try:
        pickle.dumps(value)
        if error is not None:
            pickle.loads(pickle.dumps(error))  # noqa: S301  (our own bytes: can the driver read them?)
    except Exception as unfit:  # noqa: BLE001  (whatever pickle raises: the result cannot travel)
        return None, TypeError(f"{error or 'the value'!r} cannot be sent back: {unfit}"), text
    return value, error, text


def _places(resources: Mapping[str, float], need: Need) -> int:
    needed = need.resources()
    if not needed:
        return max(1, int(resources.get("CPU", 1)))
    return int(min(resources.get(name, 0.0) / amount + 1e-9 for name, amount in needed.items()))


def _told(resources: Mapping[str, float]) -> dict[str, float]:
    return {name: resources[name] for name in ("CPU", "memory", "GPU") if name in resources}


def _ray() -> Any:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        return import_module("ray")
    except ImportError as error:
        raise ConfigError(
            "`--engine ray` needs Ray, which is not installed",
            remedy="Install the extra: pip install 'blackbox-video-harness[cluster]'.",
        ) from error


@contextlib.contextmanager
def _few_words() -> Iterator[None]:
    """Keep Ray's own notes off the terminal: a worker's death comes back as a result."""
    logger = logging.getLogger("ray")
    before = logger.level
    logger.setLevel(logging.ERROR)
    with contextlib.suppress(AttributeError, ImportError):  # no public switch: it prints to standard output
        worker: Any = import_module("ray._private.worker")
        worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        logger.setLevel(before)
