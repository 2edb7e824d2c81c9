"""Positions of recent list pages in the database."""

from __future__ import annotations

from tricircle.adapters.sql.database import Database
from tricircle.adapters.sql.statements import positions as statements
from tricircle.core.texts import is_storable, require_storable

PURGE_BATCH = 500


class SqlPositions:
    """``interfaces.store.PositionStore`` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep_position(self, key: str, position: bytes, ttl_s: float) -> None:
        """Keep ``position`` under ``key`` for a while, replacing an older one."""
        require_storable("the key of the list position", key)
        await self._database.write(
            statements.keep_position(self._database.backend, key, position, ttl_s)
        )

    async def find_position(self, key: str) -> bytes | None:
        """Return a position that has not expired, if any."""
        if not is_storable(key):
            return None
        rows = await self._database.read(statements.find_position(key))
        return bytes(rows[0].position) if rows else None

    async def purge_positions(self) -> int:
        """Delete expired positions, some at a time so that none waits; return how many."""
        purged = 0
        while True:
            expired = await self._database.read(statements.list_expired(PURGE_BATCH))
            keys = sorted(str(row[0]) for row in expired)
            if not keys:
                return purged
            purged += await self._database.write(statements.delete_expired(keys))
