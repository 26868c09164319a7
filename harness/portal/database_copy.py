"""A database as lines of text, and back: SQLite and PostgreSQL alike, and from the one into the other.

Every table of the store is read in one transaction, so that the copy is of one moment however long it takes.
A line is JSON: a table with its columns, then its rows, then a last line that says how many there were.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

import sqlalchemy as sa

from harness.core.errors import ConfigError
from harness.results.store import Store
from harness.results.store.migrate import NEWEST
from harness.results.store.tables import METADATA

FORMAT = 1
ROWS_AT_ONCE = 1000


def write_copy(store: Store, stream: TextIO) -> Mapping[str, int]:
    """Write every row of every table, and return how many each has.

    Raises:
        StoreError: the database cannot be read.
    """
    counts: dict[str, int] = {}
    _line(stream, {"format": FORMAT, "schema": NEWEST})
    with store.read() as connection:
        for table in METADATA.sorted_tables:
            _line(stream, {"table": table.name, "columns": [column.name for column in table.columns]})
            counts[table.name] = 0
            rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(sa.select(table))
            for row in rows:
                _line(stream, list(row))
                counts[table.name] += 1
    _line(stream, {"rows": counts})
    return counts


def read_copy(store: Store, stream: Iterable[str], *, moved: tuple[str, str] | None = None) -> dict[str, int]:
    """Put a copy into an empty database, all of it or nothing, and return how many rows each table got.

    A copy of an older release is taken: what its tables did not have is left empty.

    Args:
        store: Whose tables are empty.
        stream: The lines of a copy.
        moved: Where the folder of challenges was, and where it is now.

    Raises:
        ConfigError: it is no copy, is cut off, is of a newer release, or the database holds something.
        StoreError: the database cannot be written.
    """
    return store.write(lambda connection: _read_copy(connection, iter(stream), moved))


def _read_copy(
    connection: sa.Connection, lines: Iterator[str], moved: tuple[str, str] | None
) -> dict[str, int]:
    head = _parsed(next(lines, ""))
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise _unusable("is no copy of a database")
    if str(head.get("schema")) > NEWEST:
        raise _unusable(f"is of schema {head.get('schema')}; this harness knows {NEWEST} and older")
    for table in METADATA.sorted_tables:
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
            raise ConfigError(
                f"the database is not empty: {table.name} has rows",
                remedy="Name an empty one; what is there is not overwritten.",
            )
    counts: dict[str, int] = {}
    waiting: list[dict[str, Any]] = []
    into: sa.Table | None = None
    columns: list[str] = []
    for line in lines:
        found = _parsed(line)
        if isinstance(found, list):
            if into is None or len(found) != len(columns):
                raise _unusable("has a row that does not fit its table")
            waiting.append(_row(dict(zip(columns, found, strict=True)), moved))
            counts[into.name] += 1
            if len(waiting) >= ROWS_AT_ONCE:
                waiting = _insert(connection, into, waiting)
            continue
        waiting = _insert(connection, into, waiting)
        if "rows" in found:
            if found["rows"] != counts:
                raise _unusable("does not hold as many rows as it says")
            return counts
        into = METADATA.tables.get(str(found.get("table")))
        columns = [str(one) for one in found.get("columns", ())]
        if into is None or not set(columns) <= set(into.columns.keys()):
            raise _unusable(f"has a table or column that nobody knows: {found.get('table')!r:.60}")
        counts[into.name] = 0
    raise _unusable("is cut off: its last line is missing")


def _insert(
    connection: sa.Connection, table: sa.Table | None, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    if table is not None and rows:
        connection.execute(sa.insert(table), rows)
    return []


def _row(row: dict[str, Any], moved: tuple[str, str] | None) -> dict[str, Any]:
    path = row.get("path")
    if moved is not None and isinstance(path, str) and path.startswith(moved[0]):
        row["path"] = moved[1] + path.removeprefix(moved[0])
    return row


def _line(stream: TextIO, document: object) -> None:
    stream.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise _unusable("holds a line that is not JSON") from error


def _unusable(why: str) -> ConfigError:
    return ConfigError(f"the copy of the database {why}", remedy="Restore another backup.")
