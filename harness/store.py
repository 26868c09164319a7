"""The index of runs, and the leaderboards that can be read out of it.

The run folders are the truth: whatever is here can be built again from them (`Store.rebuild`), the entries'
teams included, which are written into the run's folder before they are written here. SQLite by default,
PostgreSQL by URL (`postgresql+psycopg://…`). Both hold the same rows; one test suite runs against both.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from harness.errors import ConfigError, ResultError, StoreError
from harness.result import NO_ISOLATION, Result, read_result
from harness.runfolder import RunFolder, write_text
from harness.types import SetName

SCHEMA_VERSION = 1
TEAM_CHARACTERS_MAX = 80
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


class Choice(StrEnum):
    """Which of a team's entries stands for it."""

    BEST = "best"
    LAST = "last"


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run as the index has it."""

    run_id: str
    created: str
    challenge: str
    challenge_sha256: str
    package: str
    package_sha256: str
    image_digest: str
    isolation: str
    public_verdict: str | None
    private_verdict: str | None
    public_log_loss: float | None
    private_log_loss: float | None
    eligible: bool
    team: str | None = None
    submitted: str | None = None


@dataclass(frozen=True, kw_only=True)
class LeaderboardRow:
    """One team's place. Teams whose rounded scores are equal share a rank."""

    rank: int
    team: str
    log_loss: float  # rounded
    run_id: str
    package: str
    submitted: str
    entries: int  # of this team that count


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
        name = _team(team)
        read_result(folder.result)
        before = _read_entry(folder)
        if before is not None and before["team"] != name:
            raise ConfigError(
                f"was entered by {before['team']!r} already",
                place=folder.path,
                remedy="Run the package again.",
            )
        if before is None:
            moment = (submitted or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")
            document = {"schema_version": SCHEMA_VERSION, "team": name, "submitted": moment}
            write_text(entry_path(folder), json.dumps(document, indent=2, ensure_ascii=False) + "\n")
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
        return _ranked(rows, by, choice, decimals)

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


def entry_path(folder: RunFolder) -> Path:
    """Return where a run says by which team it was entered."""
    return folder.path / "entry.json"


def _ranked(rows: Sequence[RunRow], by: SetName, choice: Choice, decimals: int) -> tuple[LeaderboardRow, ...]:
    def loss(row: RunRow) -> float:
        exact = row.public_log_loss if by is SetName.PUBLIC else row.private_log_loss
        return round(exact or 0.0, decimals)

    def moment(row: RunRow) -> tuple[str, str]:
        return row.submitted or "", row.run_id

    teams: dict[str, list[RunRow]] = {}
    for row in rows:
        teams.setdefault(row.team or "", []).append(row)
    chosen = {
        team: min(own, key=lambda row: (loss(row), moment(row)))
        if choice is Choice.BEST
        else max(own, key=moment)
        for team, own in teams.items()
    }
    order = sorted(chosen.items(), key=lambda pair: (loss(pair[1]), moment(pair[1])))
    losses = [loss(row) for _, row in order]
    return tuple(
        LeaderboardRow(
            rank=losses.index(loss(row)) + 1,
            team=team,
            log_loss=loss(row),
            run_id=row.run_id,
            package=row.package,
            submitted=row.submitted or "",
            entries=len(teams[team]),
        )
        for team, row in order
    )


def _row(folder: RunFolder) -> RunRow:
    result, entry = read_result(folder.result), _read_entry(folder)
    if result.run_id != folder.run_id:
        raise ResultError(
            f"is the result of {result.run_id}",
            place=folder.result,
            remedy="Put it back into its own folder.",
        )
    return RunRow(
        run_id=result.run_id,
        created=result.created.astimezone(UTC).isoformat(timespec="microseconds"),
        challenge=result.challenge.name,
        challenge_sha256=result.challenge.sha256,
        package=result.package.name,
        package_sha256=result.package.sha256,
        image_digest=result.image.digest,
        isolation=result.isolation,
        public_verdict=_verdict(result, SetName.PUBLIC),
        private_verdict=_verdict(result, SetName.PRIVATE),
        public_log_loss=_log_loss(result, SetName.PUBLIC),
        private_log_loss=_log_loss(result, SetName.PRIVATE),
        eligible=result.leaderboard.eligible,
        team=entry["team"] if entry else None,
        submitted=entry["submitted"] if entry else None,
    )


def _verdict(result: Result, name: SetName) -> str | None:
    return result.sets[name].verdict.value if name in result.sets else None


def _log_loss(result: Result, name: SetName) -> float | None:
    return result.sets[name].score.log_loss if name in result.sets else None


def _read_entry(folder: RunFolder) -> dict[str, str] | None:
    path = entry_path(folder)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema_version"] == SCHEMA_VERSION:
            moment = datetime.fromisoformat(document["submitted"]).astimezone(UTC)
            return {"team": _team(document["team"]), "submitted": moment.isoformat(timespec="microseconds")}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultError(
            f"entry.json cannot be read: {error}",
            place=path,
            remedy="Restore it, or delete it and submit again.",
        ) from error
    raise ResultError("entry.json is of an unknown schema version", place=path, remedy="Update the harness.")


def _team(name: str) -> str:
    team = unicodedata.normalize("NFC", " ".join(name.split()))
    if not 0 < len(team) <= TEAM_CHARACTERS_MAX or not team.isprintable():
        raise ConfigError(
            f"{team[:TEAM_CHARACTERS_MAX]!r} is no name of a team",
            remedy=f"Use 1 to {TEAM_CHARACTERS_MAX} printable characters.",
        )
    return team


def _one_writer(connection: sa.Connection) -> None:
    """Keep other writers out until the end of the transaction; readers go on. SQLite does so by itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"LOCK TABLE {_RUNS.name} IN EXCLUSIVE MODE"))


def _renew(connection: sa.Connection, folder: RunFolder) -> RunRow:
    """Write what a folder says, read *after* other writers are out: an old reading never wins over a new."""
    connection.execute(sa.delete(_RUNS).where(_RUNS.c.run_id == folder.run_id))
    row = _row(folder)
    connection.execute(sa.insert(_RUNS).values(**asdict(row)))
    return row


def _options(url: str) -> dict[str, dict[str, int]]:
    return {"connect_args": {"timeout": _SQLITE_WAIT_SECONDS}} if url.startswith("sqlite") else {}
