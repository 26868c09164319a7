"""One database, SQLite or PostgreSQL: transactions, and our own errors in place of the driver's."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from harness.core.errors import StoreAwayError, StoreError
from harness.results.store.migrate import upgrade

_SQLITE_WAIT_SECONDS = 60
_POSTGRESQL_PATIENCE = {
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 4,
    "tcp_user_timeout": 60_000,  # milliseconds
}
_ATTEMPTS = 3  # if another harness wrote the same thing at once, or the database broke a deadlock
_WRITES = "harness_writes"
# What PostgreSQL and its client say then: a connection that fails has no SQLSTATE.
_AWAY = re.compile(
    "refused|No such file|starting up|shutting down|accepting connections|closed the connection"
    "|timeout expired|timed out|unreachable|No route to host"
)

_T = TypeVar("_T")


class Database:
    """An open database whose tables are there. Safe to use from several threads and processes at once.

    Args:
        url: `sqlite:///FILE` or `postgresql+psycopg://…`.

    Raises:
        StoreError: it cannot be reached, is of another version, or the URL makes no sense.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = sa.create_engine(url, **_options(url))
        except (SQLAlchemyError, ImportError, ValueError) as error:
            raise StoreError(
                f"no such database: {type(error).__name__}",
                place="the store's URL",
                remedy="Use sqlite:///runs.db or postgresql+psycopg://user@host/name (extra `postgresql`).",
            ) from error
        self.place = self._engine.url.render_as_string(hide_password=True)
        self._is_postgresql = self._engine.dialect.name == "postgresql"
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _sqlite_connected)
            sa.event.listen(self._engine, "begin", _sqlite_begins)
        try:
            self.write(lambda connection: upgrade(connection, place=self.place))
        except StoreError:
            self._engine.dispose()
            raise

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    def write(self, work: Callable[[sa.Connection], _T]) -> _T:
        """Do work in one transaction; if the database refused it for what others did at once, do it again.

        Raises:
            StoreError: the database cannot be written. Whatever the work raises itself goes through.
        """
        with self._our_errors():
            for _ in range(_ATTEMPTS - 1):
                with suppress(IntegrityError, OperationalError), self._writing() as connection:
                    return work(connection)
            with self._writing() as connection:
                return work(connection)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a connection for reading: everything read in it is of one moment.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._our_errors(), self._engine.connect() as connection:
            one_moment = {"isolation_level": "REPEATABLE READ"} if self._is_postgresql else {}
            yield connection.execution_options(**one_moment)

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            kind = StoreAwayError if self._is_postgresql and _is_away(error) else StoreError
            raise kind(
                f"cannot be used: {cause}",
                place=self.place,
                remedy="Check the URL and that the database is up; what was done is kept.",
            ) from error


def one_writer(connection: sa.Connection, table: sa.Table) -> None:
    """Keep other writers of a table out until the end of the transaction; readers go on.

    SQLite lets one transaction write at a time by itself.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))


def _is_away(error: SQLAlchemyError) -> bool:
    """Tell a server that does not answer, or that starts or stops just now, from one that refuses us."""
    return isinstance(error, OperationalError) and _AWAY.search(str(error.orig)) is not None


def _options(url: str) -> dict[str, Any]:
    """Return what is said to a driver beside the URL, whose own options count first.

    A server whose machine is gone says nothing more: by itself, TCP gives it up after a quarter of an hour,
    and a new connection to it after two minutes.
    """
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": _SQLITE_WAIT_SECONDS}}
    if not url.startswith("postgresql"):
        return {}
    said = sa.make_url(url).query
    return {"connect_args": {key: value for key, value in _POSTGRESQL_PATIENCE.items() if key not in said}}


def _sqlite_connected(connection: Any, _record: object) -> None:
    # Python's driver begins transactions late, which lets two writers both read first and then block each
    # other; here a transaction begins where SQLAlchemy says so, and a writing one takes the lock at once.
    connection.isolation_level = None
    cursor = connection.cursor()
    with suppress(sqlite3.OperationalError):  # another is at it just now, and it is for ever
        cursor.execute("PRAGMA journal_mode = WAL")  # readers go on while one writes
    cursor.execute("PRAGMA synchronous = FULL")  # an event that was acknowledged survives a power cut
    cursor.close()


def _sqlite_begins(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
