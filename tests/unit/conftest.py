"""What unit tests share: an empty database of each kind, PostgreSQL's a real server of the tests' own.

Needs Debian's `postgresql`; fails without it. A finished run to look at, made once.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

if TYPE_CHECKING:  # where no test asks for a run, what makes one is not loaded
    from portal_kit import Kit

    from harness.core.types import SetName
    from harness.report import SetData
    from harness.results.result import Result


@pytest.fixture(scope="session")
def finished_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Result, dict[SetName, SetData]]:
    """A finished run without pages: its folder, which stays as it is, its result, and what each set left."""
    from example_run import example_result

    folder = tmp_path_factory.mktemp("example") / "20300102-example"
    return folder, *example_result(folder)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """One portal for all tests of a module; each makes the entries that it looks at."""
    from portal_kit import portal

    with portal(tmp_path_factory.mktemp("portal")) as found:
        yield found


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL of our own: a fresh cluster that listens on a socket in a temporary folder only."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    binary = shutil.which("initdb") or (str(found[-1]) if found else None)
    assert binary, "no PostgreSQL server: apt-get install postgresql"
    programs = Path(binary).resolve().parent
    user = _other_user()
    home = Path(tempfile.mkdtemp(prefix="harness-pg-"))
    try:
        if user is not None:  # the server refuses to run as root
            shutil.chown(home, user)
        data = home / "data"

        def run(*command: str) -> None:
            done = subprocess.run(
                command, user=user, cwd=home, capture_output=True, text=True, check=False, timeout=300
            )
            assert done.returncode == 0, done.stdout + done.stderr

        run(
            str(programs / "initdb"),
            "-D",
            str(data),
            "-U",
            "harness",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
        )
        settings = f"-k {home} -c listen_addresses= -c fsync=off"
        log = str(home / "log")
        run(str(programs / "pg_ctl"), "-D", str(data), "-o", settings, "-l", log, "-w", "-t", "240", "start")
        try:
            yield f"postgresql+psycopg://harness@/postgres?host={home}"
        finally:
            run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "-t", "240", "stop")
    finally:
        shutil.rmtree(home)


def _other_user() -> str | None:
    if os.geteuid() != 0:
        return None
    return "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else "nobody"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once SQLite and once PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'runs.db'}"
    found = request.getfixturevalue("postgresql")
    assert isinstance(found, str)
    engine = sa.create_engine(found)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()
    return found
