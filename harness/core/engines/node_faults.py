"""Which nodes of a cluster fail job after job by our own fault: they get no more of them for a while.

A node that cannot do a job fails it at once and has room for the next: without this it would take, and spoil,
every job that waits, while the nodes that can are at work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

IN_A_ROW = 3  # faults before a node is avoided
FIRST_SECONDS, LONGEST_SECONDS = 60.0, 1800.0  # of a pause; each one twice as long as the last


@dataclass(kw_only=True)
class NodeFaults:
    """Counts each node's faults in a row.

    Attributes:
        now: A clock.
    """

    now: Callable[[], float] = time.monotonic
    _row: dict[str, int] = field(default_factory=dict)
    _until: dict[str, float] = field(default_factory=dict)

    def note(self, node: str, *, fault: bool) -> None:
        """Hear what became of a job on a node."""
        if not fault:
            self._row.pop(node, None)
            self._until.pop(node, None)
            return
        if self.now() < self._until.get(node, 0.0):
            return  # a job that was there before
        self._row[node] = self._row.get(node, 0) + 1
        beyond = self._row[node] - IN_A_ROW
        if beyond >= 0:
            self._until[node] = self.now() + min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(beyond, 10))

    def avoided(self, among: Iterable[str]) -> frozenset[str]:
        """Return those of some nodes that get no job just now; none of them, if no other would be left."""
        nodes = frozenset(among)
        found = frozenset(node for node in nodes if self.now() < self._until.get(node, 0.0))
        return frozenset() if found == nodes else found
