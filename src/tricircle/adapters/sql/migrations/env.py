"""Alembic's entry: migrate on the connection that ``schema`` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from tricircle.adapters.sql.tables import metadata

connection: Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    # SQLite cannot alter a table: Alembic makes a new one and copies
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
