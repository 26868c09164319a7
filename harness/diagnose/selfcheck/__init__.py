"""Attacks on the sandbox as data, and what runs them: the core of the hostile suite.

A behaviour is a folder: a tiny package and `expect.toml`, which says what the harness must make of it and
what must be true of the host afterwards. The core is in `packages/` beside this file; the test suite runs
the same folders and many more. Their Python is kept as `*.py.txt` here, so that nothing imports or compiles
it by accident.
"""

from __future__ import annotations
