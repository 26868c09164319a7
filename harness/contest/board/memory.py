"""What a keeper of boards remembers between two changes: answers of runs, and the last statistics.

A run's answers do not change once it is over; a regrade gives it another result, and another digest. So a
change reads the runs that are new to it, and works statistics out again only if they are of other runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from harness.contest.board.profiles import Cut
from harness.contest.board.read_runs import Answers, answers_of
from harness.contest.board.statistics import Board
from harness.core.types import SetName
from harness.results.run_folder import RunFolder
from harness.results.run_row import RunRow

Statistics = tuple[Board | None, tuple[Cut, ...]]
BYTES_MAX = 1_000_000_000  # 4,000 runs of 10,000 videos are 320 MB


@dataclass(kw_only=True)
class Memory:
    """Of one set of one contest. For one thread.

    Attributes:
        bytes_max: Of answers; what comes when they are full is not remembered, and read again each time.
    """

    bytes_max: int = BYTES_MAX
    read: int = 0  # runs, since it was made
    worked_out: int = 0  # statistics, since it was made
    _answers: dict[tuple[SetName, str, str], Answers] = field(default_factory=dict)
    _bytes: int = 0
    _last: tuple[object, Statistics] | None = None

    def answers(
        self, folder: RunFolder, row: RunRow, name: SetName, video_ids: Sequence[str]
    ) -> Answers | str:
        """Return a run's answers to a set, or why there are none; see `read_runs.answers_of`."""
        key = (name, row.run_id, row.result_sha256 or "")
        known = self._answers.get(key) if row.result_sha256 else None
        if known is not None:
            return known
        found = answers_of(folder, name, video_ids)
        self.read += 1
        if not isinstance(found, str) and row.result_sha256:
            size = found.probability.nbytes
            if self._bytes + size <= self.bytes_max:  # of a round through more than fits, the first stay
                self._answers[key] = found
                self._bytes += size
        return found

    def keep_only(self, rows: Iterable[RunRow]) -> None:
        """Forget the answers of all runs but these."""
        wanted = {(row.run_id, row.result_sha256) for row in rows}
        for key in [key for key in self._answers if key[1:] not in wanted]:
            self._bytes -= self._answers.pop(key).probability.nbytes

    def statistics(self, key: object, work: Callable[[], Statistics]) -> Statistics:
        """Return what was worked out the last time if it was of the same; else work it out."""
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        found = work()
        self.worked_out += 1
        whole = found[0] is not None and not found[0].absent  # what is missing may be there the next time
        self._last = (key, found) if whole else None
        return found
