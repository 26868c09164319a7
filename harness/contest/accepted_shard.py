"""What the database keeps of a shard whose outcome counts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from harness.results.store.jobs import Job


@dataclass(frozen=True, kw_only=True)
class AcceptedShard:
    """What the database keeps of an accepted shard, as JSON."""

    file: str  # in the run's folder
    sha256: str  # of that file
    videos: int
    seconds: float  # of its worker
    billed_seconds: float  # of the package
    startup_seconds: float
    fetch_seconds: float
    node: str
    disturbed: str = ""  # in words

    def to_json(self) -> str:
        """Write it."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, job: Job) -> AcceptedShard | None:
        """Read what was accepted of a job; None if nothing was."""
        return None if job.outcome is None else cls(**json.loads(job.outcome))
