"""Where the harness's own work runs: many small jobs, results as they finish.

A job's fate is a value: an exception in the function, and the death of a worker, are results like any other.
The contestant's code never runs here.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from typing import Generic, Protocol, TypeVar

from harness.core.errors import ConfigError

Job = TypeVar("Job")
Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Result(Generic[Job, Value]):
    """What became of one job: exactly one of `value` and `error` tells, by `ok`."""

    job: Job
    value: Value | None = None
    error: BaseException | None = None
    traceback: str = ""  # of the worker, as text
    worker_died: bool = False  # killed or crashed: `error` says how

    @property
    def ok(self) -> bool:
        """Whether the function returned."""
        return self.error is None

    def unwrap(self) -> Value:
        """The function's value.

        Raises:
            BaseException: What the function raised, or `WorkerDiedError`.
        """
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # ok: it is what the function returned


class WorkerDiedError(RuntimeError):
    """A worker process was killed or crashed while it had a job."""


class Engine(Protocol):
    """Runs a function over jobs, somewhere."""

    def map(self, function: Callable[[Job], Value], jobs: Iterable[Job]) -> Iterator[Result[Job, Value]]:
        """Yield one result per job, in the order they finish. Function and jobs must pickle."""
        ...


@dataclass(kw_only=True)
class _Worker(Generic[Job]):
    process: multiprocessing.process.BaseProcess
    connection: Connection
    job: Job | None = None
    busy: bool = False


class LocalEngine:
    """Spawned processes on this machine; one job at a time each.

    Spawned, not forked: a fork would copy the parent's threads' locks in whatever state they were. Jobs are
    taken from the iterable only as workers become free, so it may be long or slow. A worker that dies costs
    its job, not the others: it is replaced. Closing the iterator early ends the workers.

    Args:
        workers: How many processes; 0 runs the jobs in this process, one after another (for a debugger).
    """

    def __init__(self, workers: int | None = None) -> None:
        chosen = os.cpu_count() or 1 if workers is None else workers
        if chosen < 0:
            raise ConfigError(f"{chosen} workers asked for", remedy="give 0 (in this process) or more")
        self.workers = chosen

    def map(self, function: Callable[[Job], Value], jobs: Iterable[Job]) -> Iterator[Result[Job, Value]]:
        """Yield one result per job, in the order they finish."""
        if self.workers == 0:
            for job in jobs:
                yield _run(function, job)
            return
        yield from _map_in_processes(function, iter(jobs), self.workers)


def _run(function: Callable[[Job], Value], job: Job) -> Result[Job, Value]:
    try:
        return Result(job=job, value=function(job))
    except Exception as error:  # noqa: BLE001  (the seam's promise: an exception is a value for the caller)
        return Result(job=job, error=error, traceback=traceback.format_exc())


def _map_in_processes(
    function: Callable[[Job], Value], jobs: Iterator[Job], limit: int
) -> Iterator[Result[Job, Value]]:
    context = multiprocessing.get_context("spawn")
    workers: list[_Worker[Job]] = []
    try:
        while True:
            _hand_out(context, function, jobs, workers, limit)
            busy = {worker.connection: worker for worker in workers if worker.busy}
            if not busy:
                return
            for ready in wait(list(busy)):
                worker = busy[ready]  # type: ignore[index]  # wait returns what it was given
                yield _collect(worker, workers)
    finally:
        for worker in workers:
            worker.connection.close()  # an idle worker reads the end of its pipe and leaves
            if worker.busy:
                worker.process.terminate()
            worker.process.join()


def _hand_out(
    context: SpawnContext,
    function: Callable[[Job], Value],
    jobs: Iterator[Job],
    workers: list[_Worker[Job]],
    limit: int,
) -> None:
    """Give every free place a job, starting processes as they are needed."""
    for _ in range(limit - sum(worker.busy for worker in workers)):
        try:
            job = next(jobs)
        except StopIteration:
            return
        worker = next((idle for idle in workers if not idle.busy), None)
        if worker is None:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, function), daemon=True)
            process.start()
            theirs.close()  # so that a dead worker reads as the end of the pipe
            worker = _Worker(process=process, connection=ours)
            workers.append(worker)
        worker.job, worker.busy = job, True
        with contextlib.suppress(BrokenPipeError):
            # It may have died while idle: the end of its pipe is read next, and reported with this job.
            worker.connection.send(job)


def _collect(worker: _Worker[Job], workers: list[_Worker[Job]]) -> Result[Job, Value]:
    job: Job = worker.job  # type: ignore[assignment]  # a busy worker has one
    try:
        value, error, text = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        worker.connection.close()
        workers.remove(worker)
        died = WorkerDiedError(f"the worker process ended with exit code {worker.process.exitcode}")
        return Result(job=job, error=died, worker_died=True)
    worker.job, worker.busy = None, False
    return Result(job=job, value=value, error=error, traceback=text)


def _serve(connection: Connection, function: Callable[[Job], Value]) -> None:
    """A worker's life: jobs in, results out, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it ends us
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        result = _run(function, job)
        try:
            if result.error is not None:
                pickle.loads(pickle.dumps(result.error))  # noqa: S301  (our own bytes: can the parent read them?)
            connection.send((result.value, result.error, result.traceback))
        except (BrokenPipeError, ConnectionResetError):
            return  # the parent was killed: nobody is left to tell
        except Exception as error:  # noqa: BLE001  (whatever pickle raises: the result cannot travel)
            unsendable = TypeError(f"{result.error or 'the value'!r} cannot be sent back: {error}")
            connection.send((None, unsendable, result.traceback))
