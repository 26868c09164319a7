"""The store: an index of run folders, the events of contests, and jobs, in one database.

SQLite by default, PostgreSQL by URL; one test suite runs against both. Run folders are the truth of what was
run, events of what was decided; the rest can be rebuilt from them.
"""

from harness.results.store.runs import Rebuilt
from harness.results.store.store import Store

__all__ = ["Rebuilt", "Store"]
