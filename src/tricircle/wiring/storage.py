"""The database of a program, opened as its options say."""

from __future__ import annotations

from tricircle.adapters.config import Settings
from tricircle.adapters.sql import Database, Limits, open_database


def open_storage(settings: Settings) -> Database:
    """Return the database; nothing is asked of it yet."""
    options = settings.database
    return open_database(
        options.connection,
        Limits(
            max_pool_size=options.max_pool_size,
            max_overflow=options.max_overflow,
            pool_timeout_s=options.pool_timeout_s,
            connection_recycle_s=options.connection_recycle_s,
        ),
    )
