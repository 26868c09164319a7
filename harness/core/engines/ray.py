"""The harness's own work on a Ray cluster of the organiser's trusted nodes: extra `cluster`.

Ray decides which node has room; there is no queue of our own. Only as many jobs are handed over as the
cluster can hold at the moment, so that nodes may come and go. What a job needs is claimed from Ray, and a
node is trusted to have said truly what it has (`harness contest node`).

What it does not do: run a contestant's code. A worker starts a container on its node's own container engine.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from harness import __version__
from harness.core.engines import Job, JobResult, Value, WorkerDiedError
from harness.core.engines.node_faults import NodeFaults
from harness.core.engines.ray_start import few_words, loaded_ray, must_listen
from harness.core.errors import ConfigError, EngineUnavailableError

NO_NODE_SECONDS = 300.0  # without a node that has room for one job before the work is given up
POLL_SECONDS = 1.0  # between two looks at what the cluster has
CANCEL_SECONDS = 30.0  # for workers to leave what they have begun, their containers gone
SPEED_STEPS = 20  # classes of speed; the fastest known machine is below twice the reference
SPEED_PLACES = 10_000  # of each class on a node: more than it could ever run jobs
_SPEED_SHARE = 0.001
_NODE_LABEL = "ray.io/node-id"  # Ray's own, of every node


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


class RayEngine:
    """An `Engine` on a Ray cluster; `close` lets go of it.

    Args:
        address: Of the cluster, `HOST:PORT`; None: a cluster of this one machine, started for the purpose.
        need: What each job holds.
        retries: How often a job is given out again whose worker or node died. For work whose repetition
            changes nothing; if somebody else decides on that, leave it 0.
        node_fault: Tells which of a job's errors are its node's fault; a node with several in a row is
            avoided for a while. By default none.

    Raises:
        ConfigError: Ray is not installed, or this is no address.
        EngineUnavailableError: no cluster answers.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        need: Need | None = None,
        retries: int = 0,
        node_fault: Callable[[BaseException], bool] = lambda _: False,
    ) -> None:
        self.need = need or Need()
        self.faults = NodeFaults()
        self._node_fault = node_fault
        self._retries = retries
        self._warming: list[Any] = []  # kept: what nobody refers to is cancelled
        self._ray = loaded_ray()
        self._ours = not self._ray.is_initialized()
        if not self._ours:
            return
        try:
            must_listen(address)
            with few_words():
                self._ray.init(
                    address=address or "local",
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    namespace="harness",
                    **({} if address else {"include_dashboard": False}),
                )
        except ConfigError:
            raise
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
        return sum(self.places_by_node().values())

    def places_by_node(self) -> dict[str, int]:
        """Return the same for each living node."""
        return {str(node["NodeID"]): _places(node["Resources"], self.need) for node in self.nodes()}

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
                    flying[watch.aimed(remote).remote(payload, job)] = (job, 0)  # type: ignore[assignment]  # `_NOTHING` is not a job, and is not handed out
                if not flying:
                    if places == 0:
                        continue
                    return
                done, _ = self._ray.wait(list(flying), timeout=POLL_SECONDS)
                for reference in done:
                    job, tries = flying.pop(reference)
                    result: JobResult[Job, Value] = self._collect(reference, job)
                    if result.worker_died and tries < self._retries:
                        flying[watch.aimed(remote).remote(payload, job)] = (job, tries + 1)
                    else:
                        yield result
        finally:
            self._abandon(list(flying))

    def _collect(self, reference: Any, job: Job) -> JobResult[Job, Value]:
        try:
            value, error, text, node = self._ray.get(reference)
        except self._ray.exceptions.RayError as cause:
            words = str(cause).strip().splitlines()
            first = words[0].split(". ")[0] if words else "no word of it"
            died = WorkerDiedError(f"{type(cause).__name__}: {first}")
            return JobResult(job=job, error=died, worker_died=True)
        self.faults.note(node, fault=error is not None and self._node_fault(error))
        return JobResult(job=job, value=value, error=error, traceback=text, node=node)

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
        self._places: dict[str, int] = {}
        self._avoided: frozenset[str] = frozenset()

    def places(self) -> int:
        now = time.monotonic()
        if now - self._looked >= POLL_SECONDS:
            self._looked, self._places = now, self._engine.places_by_node()
            self._seen = now if any(self._places.values()) else self._seen
        with_room = [node for node, places in self._places.items() if places]
        self._avoided = self._engine.faults.avoided(with_room)
        return sum(self._places[node] for node in with_room if node not in self._avoided)

    def aimed(self, remote: Any) -> Any:
        """Return a remote function that runs on none of the nodes that are avoided."""
        if not self._avoided:
            return remote
        return remote.options(label_selector={_NODE_LABEL: f"!in({','.join(sorted(self._avoided))})"})

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


def _serve(payload: tuple[str, Callable[[Job], Value]], job: Job) -> tuple[Any, Any, str, str]:
    """Run one job in a worker, and say on which node; an exception is a value, as with the local engine."""
    node = str(import_module("ray").get_runtime_context().get_node_id())
    return (*_tried(payload, job), node)


def _tried(payload: tuple[str, Callable[[Job], Value]], job: Job) -> tuple[Any, Any, str]:
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
