"""Where the harness's own work runs: many small jobs, results as they finish.

A job's fate is a value: an exception in the function, and the death of a worker, are results like any other.
The contestant's code never runs here. `local` has the processes of this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Job = TypeVar("Job")
Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class JobResult(Generic[Job, Value]):
    """What happened to one job: exactly one of `value` and `error` counts, as `ok` says."""

    job: Job
    value: Value | None = None
    error: BaseException | None = None
    traceback: str = ""  # of the worker, as text
    worker_died: bool = False  # killed or crashed: `error` says how
    node: str = ""  # where it ran; empty: here, or nobody knows

    @property
    def ok(self) -> bool:
        """Whether the function returned."""
        return self.error is None

    def unwrap(self) -> Value:
        """Return the function's value.

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

    def map(self, function: Callable[[Job], Value], jobs: Iterable[Job]) -> Iterator[JobResult[Job, Value]]:
        """Yield one result per job, in the order they finish. Function and jobs must pickle."""
        ...
