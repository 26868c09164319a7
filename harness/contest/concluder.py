"""Concludes finished entries beside the driver."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from harness.contest.conclusion import Conclusion, conclude
from harness.core.engines import JobResult
from harness.core.engines.local import LocalEngine
from harness.core.errors import InfrastructureError


class Concluder(threading.Thread):
    """Scores and reports finished entries in its own process, so that shards do not wait for it."""

    def __init__(self, then: Callable[[JobResult[Conclusion, object]], None]) -> None:
        super().__init__(name="concluder", daemon=True)
        self._then = then
        self._queue: queue.SimpleQueue[Conclusion | None] = queue.SimpleQueue()
        self._seen: set[str] = set()
        self._fault: BaseException | None = None

    def put(self, asked: Conclusion) -> None:
        """Have an entry concluded; doing it twice changes nothing."""
        if asked.entry.run_id not in self._seen:
            self._seen.add(asked.entry.run_id)
            self._queue.put(asked)

    def finish(self, *, seconds: float | None = None) -> None:
        """Wait until all is concluded, or for so many seconds at most. May be called twice.

        Raises:
            InfrastructureError: it could not be recorded.
        """
        if self.is_alive():
            self._queue.put(None)
            self.join(seconds)
        self.check()

    def check(self) -> None:
        """Raise what ended it before its time; once.

        Raises:
            InfrastructureError: a result could not be recorded.
        """
        fault, self._fault = self._fault, None
        if isinstance(fault, InfrastructureError):
            raise fault
        if fault is not None:
            raise InfrastructureError(
                f"a result could not be recorded: {fault}",
                remedy="Run the same command again: what was done is kept.",
            ) from fault

    def run(self) -> None:
        """See `threading.Thread.run`."""
        try:
            for result in LocalEngine(1).map(conclude, iter(self._queue.get, None)):
                self._then(result)  # type: ignore[arg-type]  # the queue's end is none, and is not handed on
        except Exception as error:  # noqa: BLE001  (a thread's exception is told by whoever waits for it)
            self._fault = error
