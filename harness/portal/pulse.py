"""Server-sent events: one look at the database for all watchers of this process, not one for each.

A watcher is told the present state when it comes, and then what has changed; nothing is kept for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

LOOK_SECONDS = 0.7
BEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 2000


@dataclass(kw_only=True)
class Pulse:
    """What has changed, for everybody who watches one thing.

    Attributes:
        look: Returns what is seen now; compared with what was seen before. Runs in a thread.
    """

    look: Callable[[], Any]
    seen: Any = None
    number: int = 0
    _watchers: int = 0
    _task: asyncio.Task[None] | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def watch(self) -> AsyncIterator[Any]:
        """Yield what is seen: at once, and whenever it changes; None if nothing did for a while."""
        self._watchers += 1
        if self._task is None:
            self.seen = await run_in_threadpool(self.look)
            if self._task is None:
                self._task = asyncio.create_task(self._beat())
        number = self.number
        try:
            yield self.seen
            while True:
                try:
                    async with self._changed:
                        await asyncio.wait_for(
                            self._changed.wait_for(partial(self._after, number)), BEAT_SECONDS
                        )
                    number = self.number
                    yield self.seen
                except TimeoutError:
                    yield None
        finally:
            self._watchers -= 1
            if not self._watchers and self._task is not None:
                self._task.cancel()
                self._task = None

    def _after(self, number: int) -> bool:
        return self.number != number

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                seen = await run_in_threadpool(self.look)
            except Exception:  # noqa: BLE001, S112  (a database that is away comes back; watchers wait)
                continue
            if seen != self.seen:
                self.seen = seen
                async with self._changed:
                    self.number += 1
                    self._changed.notify_all()


class Pulses:
    """The pulses of this process, by what is watched."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Pulse] = {}

    def of(self, key: tuple[str, ...], look: Callable[[], Any]) -> Pulse:
        """Return the pulse of something; made if nobody watches it yet."""
        if key not in self._known:
            self._known[key] = Pulse(look=look)
        return self._known[key]


def message(kind: str, data: Any, number: int) -> str:
    """Write one event."""
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def stream(events: AsyncIterator[str]) -> StreamingResponse:
    """Answer with a stream of events."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)
