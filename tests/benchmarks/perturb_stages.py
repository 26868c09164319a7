"""Where the CPU seconds of one `render` go: decoding, sound, the operation, and the final encode.

The renderer is run as it is; its seams are timed with the clock of the thread that passes them.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from harness.videos.perturb import render as renderer
from harness.videos.perturb.plans import Plan
from harness.videos.perturb.sound import Sound
from harness.videos.probe import VideoInfo

STAGES = ("decode", "sound", "filter", "encode")


class Stopwatch:
    """Charges each moment to the innermost stage that is under way."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._stack = ["encode"]  # what is in no other stage: the final encode and the muxer
        self._since = time.thread_time()

    def enter(self, stage: str) -> None:
        """Charge what passed to the stage before, and begin this one."""
        self._charge()
        self._stack.append(stage)

    def leave(self) -> None:
        """Charge what passed to this stage, and go on with the one before."""
        self._charge()
        self._stack.pop()

    def _charge(self) -> None:
        now = time.thread_time()
        self.seconds[self._stack[-1]] += now - self._since
        self._since = now

    def iterator(self, stage: str, make: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Return `make` with each of its iterator's steps charged to the stage."""

        def made(*arguments: Any, **named: Any) -> Iterator[Any]:
            self.enter(stage)
            inner = make(*arguments, **named)
            self.leave()
            while True:
                self.enter(stage)
                try:
                    item = next(inner, None)
                finally:
                    self.leave()
                if item is None:
                    return
                yield item

        return made

    def call(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its time charged to the stage."""

        def called(*arguments: Any, **named: Any) -> Any:
            self.enter(stage)
            try:
                return function(*arguments, **named)
            finally:
                self.leave()

        return called


def staged(source: Path, info: VideoInfo, plan: Plan, destination: Path) -> dict[str, float]:
    """Render, and return the CPU seconds of each stage and of the whole, and the wall seconds."""
    watch = Stopwatch()
    reader = renderer._Reader
    with ExitStack() as stack:
        for owner, name, wrapped in (
            (renderer, "_pictures", watch.iterator("filter", renderer._pictures)),
            (reader, "_decoded", watch.iterator("decode", reader._decoded)),
            (Sound, "take", watch.call("sound", Sound.take)),
            (Sound, "finish", watch.call("sound", Sound.finish)),
        ):
            stack.enter_context(patch.object(owner, name, wrapped))
        wall, cpu = time.monotonic(), time.process_time()
        renderer.render(source, info, plan, destination)
        watch.leave()
        whole = time.process_time() - cpu
        stages = {stage: watch.seconds[stage] for stage in STAGES}
        # Some encoders on the way have a thread of their own: what no other stage took is the filter's.
        stages["filter"] = whole - sum(seconds for stage, seconds in stages.items() if stage != "filter")
        return {"wall_seconds": time.monotonic() - wall, "cpu_seconds": whole, **stages}
