"""Processes on this machine that take jobs one at a time, and outlive a death among them.

Why not a library: two well-kept ones were held to `tests/unit/core/test_engines.py`. With loky 3.7, one
killed worker fails every other job that waits (`test_a_killed_worker_is_reported_and_replaced`). With pebble
5.2, a worker that is killed between two jobs breaks the pool for good
(`test_a_worker_that_is_killed_between_two_jobs_costs_none`), and a killed parent leaves a warning of leaked
semaphores behind (`test_a_worker_whose_parent_was_killed_ends_without_a_word`). Both have one queue for all
workers, and so locks; here each worker has its own pipe, and there is no lock that the dead could hold.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Generic, NoReturn

from harness.core.engines import Job, JobResult, Value, WorkerDiedError
from harness.core.errors import ConfigError

ASK_AGAIN_SECONDS = 1.0  # for a job, while there is a free place
LEAVE_SECONDS = 30.0  # for a worker that is told to end to leave what it has begun, its container gone


@dataclass(kw_only=True)
class _Worker(Generic[Job]):
    process: multiprocessing.process.BaseProcess
    connection: Connection
    job: Job | None = None
    busy: bool = False
    taken: bool = False  # it has read its job
    fresh: bool = True  # it has never taken one


class LocalEngine:
    """Spawned processes on this machine; one job at a time each.

    Not forked from this one: that would copy its threads' locks in whatever state they were. Jobs are
    taken from the iterable only as workers become free, so it may be long or slow; one that has ended is
    asked again now and then while others run, so it may have something later. A worker that dies costs the
    job it had, not the others: it is replaced. Closing the iterator early ends the workers.

    Args:
        workers: How many processes; 0 runs the jobs in this process, one after another (for a debugger).
        loaded: Modules that take long to load. With some, workers are forked from a process of one thread
            that has loaded them and does nothing else, and that stays for later engines: the first of them in
            a process says which modules.
    """

    def __init__(self, workers: int | None = None, *, loaded: Sequence[str] = ()) -> None:
        chosen = os.cpu_count() or 1 if workers is None else workers
        if chosen < 0:
            raise ConfigError(f"{chosen} workers are requested", remedy="Give 0 (in this process) or more.")
        self.workers = chosen
        self._loaded = tuple(loaded)

    def map(self, function: Callable[[Job], Value], jobs: Iterable[Job]) -> Iterator[JobResult[Job, Value]]:
        """Yield one result per job, in the order they finish."""
        if self.workers == 0:
            for job in jobs:
                yield _run(function, job)
            return
        pool: _Pool[Job, Value] = _Pool(function, self.workers, self._loaded)
        try:
            yield from pool.run(iter(jobs))
        finally:
            pool.close()


def _run(function: Callable[[Job], Value], job: Job) -> JobResult[Job, Value]:
    try:
        return JobResult(job=job, value=function(job))
    except Exception as error:  # noqa: BLE001  (the seam's promise: an exception is a value for the caller)
        return JobResult(job=job, error=error, traceback=traceback.format_exc())


class _Pool(Generic[Job, Value]):
    """Workers, each with its own pipe."""

    def __init__(self, function: Callable[[Job], Value], limit: int, loaded: tuple[str, ...]) -> None:
        self._context: ForkServerContext | SpawnContext = multiprocessing.get_context("spawn")
        if loaded:
            self._context = multiprocessing.get_context("forkserver")
            self._context.set_forkserver_preload(list(loaded))
        self._function = function
        self._limit = limit
        self._workers: list[_Worker[Job]] = []

    def run(self, jobs: Iterator[Job]) -> Iterator[JobResult[Job, Value]]:
        """Yield one result per job, as they finish."""
        while True:
            self._hand_out(jobs)
            busy = {worker.connection: worker for worker in self._workers if worker.busy}
            if not busy:
                return
            patience = ASK_AGAIN_SECONDS if len(busy) < self._limit else None
            for ready in wait(list(busy), timeout=patience):
                result = self._collect(busy[ready])  # type: ignore[index]  # wait returns what it was given
                if result is not None:
                    yield result

    def close(self) -> None:
        """End the workers: idle ones by the end of their pipe, others by a signal, kindly and then not."""
        for worker in self._workers:
            worker.connection.close()
            if worker.busy:
                worker.process.terminate()
        until = time.monotonic() + LEAVE_SECONDS
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()))
            worker.process.kill()
            worker.process.join()

    def _hand_out(self, jobs: Iterator[Job]) -> None:
        """Give every free place a job, starting processes as they are needed."""
        for _ in range(self._limit - sum(worker.busy for worker in self._workers)):
            try:
                job = next(jobs)
            except StopIteration:
                return
            idle = next((worker for worker in self._workers if not worker.busy), None)
            self._give(idle or self._started(), job)

    def _started(self) -> _Worker[Job]:
        ours, theirs = self._context.Pipe()
        # Of a process that others are forked from, they would have the environment of its own start.
        arguments = (theirs, self._function, dict(os.environ))
        process = self._context.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        theirs.close()  # so that a dead worker reads as the end of the pipe
        worker: _Worker[Job] = _Worker(process=process, connection=ours)
        self._workers.append(worker)
        return worker

    def _give(self, worker: _Worker[Job], job: Job) -> None:
        worker.job, worker.busy, worker.taken = job, True, False
        with contextlib.suppress(BrokenPipeError):  # it has died while idle: the end of its pipe is read next
            worker.connection.send(job)

    def _collect(self, worker: _Worker[Job]) -> JobResult[Job, Value] | None:
        """Read what a worker says; None if that was not yet a result."""
        job: Job = worker.job  # type: ignore[assignment]  # a busy worker has one
        try:
            said = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            return self._bury(worker, job)
        if said is None:
            worker.taken, worker.fresh = True, False
            return None
        worker.job, worker.busy = None, False
        value, error, text = said
        return JobResult(job=job, value=value, error=error, traceback=text)

    def _bury(self, worker: _Worker[Job], job: Job) -> JobResult[Job, Value] | None:
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        if not worker.taken and not worker.fresh:  # it died between two jobs: the next one is not to blame
            self._give(self._started(), job)
            return None
        died = WorkerDiedError(f"the worker process ended with exit code {worker.process.exitcode}")
        return JobResult(job=job, error=died, worker_died=True)


def _leave(number: int, frame: object) -> NoReturn:
    """End by an exception: what a job has begun, a container say, is removed on the way out."""
    del frame
    signal.signal(number, signal.SIG_IGN)  # once is enough
    raise SystemExit(128 + number)


def _leave_with_the_parent() -> None:
    """Leave when the parent has died, however: nobody waits for the job, and its places are wanted anew."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _serve(connection: Connection, function: Callable[[Job], Value], environment: dict[str, str]) -> None:
    """Run a worker: take jobs and send results until the pipe ends."""
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it ends us
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_leave_with_the_parent, name="parent", daemon=True).start()
    while True:
        try:
            job = connection.recv()
            connection.send(None)  # taken: from here on a death is this job's
        except (EOFError, BrokenPipeError, ConnectionResetError):
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
