"""The one hot read, straight on the driver's connection.

On every miss of the route cache a gateway reads ``routing`` by the beginning of
its primary key. SQLAlchemy's asynchronous layer costs 350-800 µs of CPU for that
where the drivers need 140-180 µs with the same pool (2025-11, Python 3.11). So
SQLAlchemy writes the statement, once, and lends the connection. Whatever goes
wrong here is left to ``Database.read``, which knows when to try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, cast

from sqlalchemy import Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.util import greenlet_spawn

from tricircle.adapters.sql.database import Database
from tricircle.adapters.sql.failures import Failure, as_error

RawRow = Sequence[object]


class Driver(Protocol):
    """What differs between the drivers."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Return what the driver raises."""
        ...

    async def fetch(self, connection: object, sql: str, values: Sequence[str]) -> Sequence[RawRow]:
        """Return the rows of one statement outside of a transaction."""
        ...


class Lookup:
    """Runs one SELECT whose parameters are text, many times."""

    def __init__(self, database: Database, statement: Select[*tuple[object, ...]]) -> None:
        self._database = database
        self._statement = statement
        self._driver: Driver = _DRIVERS[database.backend]()
        self._errors: tuple[type[Exception], ...] = (DBAPIError, *self._driver.errors)
        compiled = statement.compile(dialect=database.engine.dialect)
        self._sql = str(compiled)
        self._order = tuple(compiled.positiontup or ())

    async def read(self, **values: str) -> Sequence[RawRow]:
        """Return the rows for these parameters; times are as the driver has them.

        Raises ServiceUnavailable.
        """
        try:
            async with asyncio.timeout(self._database.timeout_s):
                return await self._fetch([values[name] for name in self._order])
        except (TimeoutError, PoolTimeout):
            raise as_error(Failure.AWAY) from None
        except self._errors:
            return await self._database.read(self._statement.params(**values))

    async def _fetch(self, values: Sequence[str]) -> Sequence[RawRow]:
        borrowed = await self._database.engine.raw_connection()
        try:
            rows = await self._driver.fetch(borrowed.driver_connection, self._sql, values)
        except BaseException:
            # cancelled or failed half-way: nobody knows what it would answer next
            borrowed.invalidate()
            raise
        # closing really closes a connection that the pool has no room for
        await greenlet_spawn(borrowed.close)
        return rows


class _AsyncpgConnection(Protocol):
    async def fetch(self, query: str, *args: str) -> Sequence[RawRow]: ...


class _Asyncpg:
    def __init__(self) -> None:
        import asyncpg

        self.errors: tuple[type[Exception], ...] = (
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            OSError,
        )

    async def fetch(self, connection: object, sql: str, values: Sequence[str]) -> Sequence[RawRow]:
        return await cast(_AsyncpgConnection, connection).fetch(sql, *values)


class _AsyncmyCursor(Protocol):
    async def __aenter__(self) -> _AsyncmyCursor: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def execute(self, query: str, args: Sequence[str]) -> int: ...

    async def fetchall(self) -> Sequence[RawRow]: ...


class _AsyncmyConnection(Protocol):
    def cursor(self) -> _AsyncmyCursor: ...


class _Asyncmy:
    def __init__(self) -> None:
        import asyncmy.errors

        self.errors: tuple[type[Exception], ...] = (asyncmy.errors.Error, OSError)

    async def fetch(self, connection: object, sql: str, values: Sequence[str]) -> Sequence[RawRow]:
        async with cast(_AsyncmyConnection, connection).cursor() as cursor:
            await cursor.execute(sql, values)
            return await cursor.fetchall()


class _AiosqliteConnection(Protocol):
    async def execute_fetchall(self, sql: str, parameters: Sequence[str]) -> Sequence[RawRow]: ...


class _Aiosqlite:
    def __init__(self) -> None:
        import sqlite3

        # ValueError is aiosqlite's "no active connection"
        self.errors: tuple[type[Exception], ...] = (sqlite3.Error, ValueError, OSError)

    async def fetch(self, connection: object, sql: str, values: Sequence[str]) -> Sequence[RawRow]:
        return await cast(_AiosqliteConnection, connection).execute_fetchall(sql, values)


_DRIVERS: dict[str, type[_Asyncpg] | type[_Asyncmy] | type[_Aiosqlite]] = {
    "postgresql": _Asyncpg,
    "mysql": _Asyncmy,
    "sqlite": _Aiosqlite,
}
