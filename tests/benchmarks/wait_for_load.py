"""Wait until a machine is quiet: what is measured on a busy one is about the others."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

AGAIN_SECONDS = 5.0


def wait_for_load(
    most: float,
    minutes: float,
    *,
    load: Callable[[], float] = lambda: os.getloadavg()[0],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Wait until the load average of the last minute is below `most`, and return it.

    What was measured just before counts in it: after a piece of one busy core, a minute is usual.

    Raises:
        SystemExit: It was not within `minutes`.
    """
    began = clock()
    told = False
    while (now := load()) >= most:
        if clock() - began >= minutes * 60:
            raise SystemExit(
                f"the load average is still {now:.2f} after {minutes:g} minutes, not below {most:g}: end "
                "what else runs here, or ask for another with --wait-for-load or --wait-minutes"
            )
        if not told:
            print(
                f"waiting for a load average below {most:g}: it is {now:.2f} (at most {minutes:g} minutes)",
                file=sys.stderr,
                flush=True,
            )
            told = True
        sleep(AGAIN_SECONDS)
    if told:
        print(f"load average {now:.2f}: going on after {clock() - began:.0f} s", file=sys.stderr, flush=True)
    return now
