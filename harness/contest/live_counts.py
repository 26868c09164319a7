"""How many videos of a running shard are done: from the worker's file on this machine into the database.

A shard on another machine is counted once it is done: its worker writes to its own disk. Only the public
set is counted. From when each private video was done a package could tell its team what it has seen there.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.contest.shard_ledger import ShardLedger
from harness.contest.video_count import read_count
from harness.core.errors import StoreError
from harness.core.types import SetName
from harness.results.job_key import JobKey
from harness.results.run_folder import RunFolder
from harness.results.store import jobs
from harness.results.store.jobs import Job


@dataclass(kw_only=True)
class LiveCounts:
    """Knows what was written down last.

    Attributes:
        ledger: Where counts go.
        runs: Where run folders are.
    """

    ledger: ShardLedger
    runs: Path
    _known: dict[tuple[JobKey, int], int] = field(default_factory=dict)

    def look(self, held: Iterable[Job]) -> None:
        """Write down what has changed of the shards in hand."""
        for job in held:
            if job.set_name != SetName.PUBLIC.value:
                continue
            place = RunFolder(path=self.runs / job.run_id).videos_done(SetName.PUBLIC, job.shard)
            done = read_count(place)
            if done is not None and self._known.get((job.key, job.token)) != done:
                self._known[job.key, job.token] = done
                self._note(job, done)

    def _note(self, job: Job, done: int) -> None:
        """Write a count down; a database that is away is not waited for: the next count will do."""
        with suppress(StoreError):
            self.ledger.store.write(
                lambda connection: jobs.note_videos(
                    connection, job.key, attempt=job.attempt, token=job.token, videos=done
                )
            )
