"""The index of runs, and the leaderboards that can be read out of it.

The run folders are the truth: whatever is here can be built again from them (`Store.rebuild`), the entries'
teams included, which are written into the run's folder before they are written here. SQLite by default,
PostgreSQL by URL (`postgresql+psycopg://…`). Both hold the same rows; one test suite runs against both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from harness.core.errors import ConfigError, ResultError, StoreError
from harness.core.types import SetName
from harness.results.leaderboard import Choice, LeaderboardRow, ranked
from harness.results.result import NO_ISOLATION
from harness.results.run_folder import RunFolder
from harness.results.run_row import RunRow, enter, read_row

SCHEMA_VERSION = 1  # of the tables
_SQLITE_WAIT_SECONDS = 30
_ATTEMPTS = 3  # to make the tables, which another harness may be making too

_T = TypeVar("_T")
_METADATA = sa.MetaData()
_VERSION = sa.Table("harness_store", _METADATA, sa.Column("schema_version", sa.Integer, primary_key=True))
_RUNS = sa.Table(
    "harness_runs",
    _METADATA,
    sa.Column("run_id", sa.String(128), primary_key=True),
    sa.Column("created", sa.String(40), nullable=False),  # ISO 8601 in UTC: sorts as text, in any database
    sa.Column("challenge", sa.String(64), nullable=False),
    sa.Column("challenge_sha256", sa.String(64), nullable=False, index=True),
    sa.Column("package", sa.Text, nullable=False),
    sa.Column("package_sha256", sa.String(64), nullable=False),
    sa.Column("image_digest", sa.Text, nullable=False),
    sa.Column("isolation", sa.String(40), nullable=False),
    sa.Column("public_verdict", sa.String(40)),
    sa.Column("private_verdict", sa.String(40)),
    sa.Column("public_log_loss", sa.Double),
    sa.Column("private_log_loss", sa.Double),
    sa.Column("eligible", sa.Boolean, nullable=False),
    sa.Column("team", sa.Text, index=True),  # none: a run that was not submitted
    sa.Column("submitted", sa.String(40)),
)


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What a rebuild found."""

    runs: int
    entries: int
    problems: tuple[str, ...]  # folders that could not be read, each with why


class Store:
    """An index of runs in one database. Safe to use from several harnesses at once."""

    def __init__(self, url: str) -> None:
        """Open the database, and create its tables where there are none.

        Raises:
            StoreError: it cannot be reached, is of another version, or the URL makes no sense.
        """
        try:
            self._engine = sa.create_engine(url, **_options(url))
        except (SQLAlchemyError, ImportError, ValueError) as error:
            raise StoreError(
                f"no such database: {type(error).__name__}",
                place="the store's URL",
                remedy="Use sqlite:///runs.db or postgresql+psycopg://user@host/name (extra `postgresql`).",
            ) from error
        self._place = self._engine.url.render_as_string(hide_password=True)
        try:
            self._write(self._create)
        except StoreError:
            self._engine.dispose()
            raise

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    def record(self, folder: RunFolder) -> RunRow:
        """Put a finished run into the index, or renew what it says; twice is once.

        Raises:
            ResultError: the folder holds no result that can be read.
            StoreError: the database cannot be written.
        """

        def write(connection: sa.Connection) -> RunRow:
            _one_writer(connection)
            return _renew(connection, folder)

        return self._write(write)

    def submit(self, folder: RunFolder, *, team: str, submitted: datetime | None = None) -> RunRow:
        """Enter a finished run under a team's name. Whether it stands on a board is for its result to say.

        Raises:
            ConfigError: the name is empty, too long or not printable; or the run was entered by another team.
            ResultError: the folder holds no result that can be read.
            StoreError: the database cannot be written.
        """
        enter(folder, team=team, submitted=submitted)
        return self.record(folder)

    def rebuild(self, runs_root: Path) -> Rebuilt:
        """Forget everything and read every run folder again, in one transaction.

        A folder without a result is an unfinished run and no problem; one that cannot be read is named.
        """

        def write(connection: sa.Connection) -> Rebuilt:
            _one_writer(connection)
            connection.execute(sa.delete(_RUNS))
            rows, problems = [], []
            for path in sorted(runs_root.iterdir()) if runs_root.is_dir() else []:
                folder = RunFolder(path=path)
                if folder.result.exists():
                    try:
                        rows.append(_renew(connection, folder))
                    except ResultError as error:
                        problems.append(f"{path.name}: {error.message}")
            entries = sum(row.team is not None for row in rows)
            return Rebuilt(runs=len(rows), entries=entries, problems=tuple(problems))

        return self._write(write)

    def runs(self) -> tuple[RunRow, ...]:
        """Return every run, the newest first."""
        with self._connection() as connection:
            found = connection.execute(
                sa.select(_RUNS).order_by(_RUNS.c.created.desc(), _RUNS.c.run_id.desc())
            )
            return tuple(RunRow(**row) for row in found.mappings())

    def leaderboard(
        self,
        *,
        challenge_sha256: str,
        by: SetName = SetName.PUBLIC,
        choice: Choice = Choice.BEST,
        decimals: int = 4,
    ) -> tuple[LeaderboardRow, ...]:
        """Rank the teams of one challenge by the log loss of a set, the lowest first.

        Only runs that were submitted, isolated, and scored on both sets count. Ranks are those of the
        rounded scores, so that a board gives away no more than it shows; within a rank the earlier entry is
        first.

        Raises:
            ConfigError: `by` is a set that has no leaderboard.
            StoreError: the database cannot be read.
        """
        if by not in {SetName.PUBLIC, SetName.PRIVATE}:
            raise ConfigError(f"no leaderboard by the {by} set", remedy="By public or private.")
        with self._connection() as connection:
            query = sa.select(_RUNS).where(_RUNS.c.challenge_sha256 == challenge_sha256, *_COUNTS)
            rows = [RunRow(**row) for row in connection.execute(query).mappings()]
        return ranked(rows, by=by, choice=choice, decimals=decimals)

    def _create(self, connection: sa.Connection) -> None:
        for table in _METADATA.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))
        versions = connection.execute(sa.select(_VERSION.c.schema_version)).scalars().all()
        if not versions:
            connection.execute(sa.insert(_VERSION).values(schema_version=SCHEMA_VERSION))
        elif versions != [SCHEMA_VERSION]:
            raise StoreError(
                f"is of schema version {versions[0]}; this harness needs {SCHEMA_VERSION}",
                place=self._place,
                remedy="Name an empty database, and rebuild the index from the run folders.",
            )

    def _write(self, work: Callable[[sa.Connection], _T]) -> _T:
        """Do work in a transaction; where another harness wrote the same thing at once, do it again."""
        with self._our_errors():
            for _ in range(_ATTEMPTS - 1):
                with suppress(IntegrityError, ProgrammingError), self._engine.begin() as connection:
                    return work(connection)
            with self._engine.begin() as connection:
                return work(connection)

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        with self._our_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise StoreError(
                f"cannot be used: {cause}",
                place=self._place,
                remedy="Check the URL and that the database is up; the index can be rebuilt from the runs.",
            ) from error


_COUNTS = (
    _RUNS.c.eligible,
    _RUNS.c.isolation != NO_ISOLATION,
    _RUNS.c.team.is_not(None),
    _RUNS.c.public_log_loss.is_not(None),
    _RUNS.c.private_log_loss.is_not(None),
)


def _one_writer(connection: sa.Connection) -> None:
    """Keep other writers out until the end of the transaction; readers go on. SQLite does so by itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"LOCK TABLE {_RUNS.name} IN EXCLUSIVE MODE"))


def _renew(connection: sa.Connection, folder: RunFolder) -> RunRow:
    """Write what a folder says, read *after* other writers are out: an old reading never wins over a new."""
    connection.execute(sa.delete(_RUNS).where(_RUNS.c.run_id == folder.run_id))
    row = read_row(folder)
    connection.execute(sa.insert(_RUNS).values(**asdict(row)))
    return row


def _options(url: str) -> dict[str, dict[str, int]]:
    return {"connect_args": {"timeout": _SQLITE_WAIT_SECONDS}} if url.startswith("sqlite") else {}
