"""Which shard of which run: known to workers, which have no database and load none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class JobKey:
    """Which job."""

    run_id: str
    set_name: str
    shard: int = 0
