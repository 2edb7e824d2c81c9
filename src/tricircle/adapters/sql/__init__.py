"""The store: SQLite, MariaDB, MySQL or PostgreSQL behind ``interfaces.store``."""

from tricircle.adapters.sql.database import Database, open_database
from tricircle.adapters.sql.engines import Limits
from tricircle.adapters.sql.stores import SqlStores

__all__ = ["Database", "Limits", "SqlStores", "open_database"]
