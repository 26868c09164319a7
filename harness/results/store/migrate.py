"""Bring a database's tables to what this release needs (Alembic); rows of older releases are kept."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from harness.core.errors import StoreError

NEWEST = "v0008"
VERSION_TABLE = "harness_migrations"
SCRIPTS = Path(__file__).with_name("migrations")
_LOCK = 0x68617276  # of PostgreSQL's advisory locks: any number that nobody else uses


def upgrade(connection: sa.Connection, *, place: str) -> None:
    """Make or change the tables, in the caller's transaction; nothing if they are as they must be.

    Raises:
        StoreError: the database is of a newer release, or no index of ours.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    found = _version(connection)
    if found == NEWEST:
        return
    from alembic import command  # noqa: PLC0415  (a fifth of a second, once in a database's life)
    from alembic.config import Config  # noqa: PLC0415  (likewise)

    if found is not None and found not in _known():
        raise StoreError(
            f"is of schema version {found[:40]}; this harness knows {NEWEST} and older",
            place=place,
            remedy="Use the release that made it, or name an empty database and rebuild it from the runs.",
        )
    _refuse_unknown_index(connection, place)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, NEWEST)


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()  # noqa: S608  (a name of our own)
    return str(found[0]) if found else None


def _known() -> set[str]:
    return {path.stem.split("_")[0] for path in (SCRIPTS / "versions").glob("v*.py")}


def _refuse_unknown_index(connection: sa.Connection, place: str) -> None:
    """Read the version that an index from before migrations keeps in its own table."""
    if sa.inspect(connection).has_table("harness_store"):
        versions = connection.execute(sa.text("SELECT schema_version FROM harness_store")).scalars().all()
        if versions and versions != [1]:
            raise StoreError(
                f"is of schema version {versions[0]}; this harness knows version 1 of the old index",
                place=place,
                remedy="Name an empty database, and rebuild the index from the run folders.",
            )
