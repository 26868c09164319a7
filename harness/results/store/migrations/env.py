"""How Alembic is run here: on the connection that the store hands over, in its transaction."""

from __future__ import annotations

from alembic import context

VERSION_TABLE = "harness_migrations"

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
