"""The executor that all stores share: one engine, bounded in time, patient with what passes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import TypeVar

from sqlalchemy import Executable, Row
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tricircle.adapters.sql.engines import Limits, build_engine
from tricircle.adapters.sql.failures import Failure, as_error, classify
from tricircle.core.errors import ServiceUnavailable

log = logging.getLogger(__name__)

ATTEMPTS = 5
FIRST_PAUSE_S = 0.02

T = TypeVar("T")
AnyRow = Row[*tuple[object, ...]]
Work = Callable[[AsyncConnection], Awaitable[T]]


class Database:
    """Runs statements. Make it with ``open_database`` and ``close`` it at the end."""

    def __init__(self, engine: AsyncEngine, timeout_s: float) -> None:
        self.engine = engine
        self.backend = engine.dialect.name
        self.timeout_s = timeout_s

    async def read(self, statement: Executable) -> list[AnyRow]:
        """Return the rows of one statement."""

        async def work(connection: AsyncConnection) -> list[AnyRow]:
            return list((await connection.execute(statement)).all())

        return await self.run(work)

    async def write(self, statement: Executable) -> int:
        """Run one statement as a transaction; return how many rows it matched.

        May run twice when the connection is lost at its end. Raises IntegrityError
        for a constraint, which the stores turn into their own errors.
        """

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(statement)).rowcount

        return await self.run(work)

    async def transact(self, work: Work[T]) -> T:
        """Return what ``work`` returns, its statements being one transaction."""

        async def transaction(connection: AsyncConnection) -> T:
            async with _Transaction(connection):
                return await work(connection)

        return await self.run(transaction)

    async def run(self, work: Work[T]) -> T:
        """Return what ``work`` returns on a connection, tried again when that may help.

        Each of its statements is a transaction. Raises ServiceUnavailable in bounded
        time, IntegrityError, or BadInput for a value that no column takes.
        """
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._try(work)
        except TimeoutError:
            log.warning("database did not answer in time", extra={"timeout_s": self.timeout_s})
            raise as_error(Failure.AWAY) from None

    async def close(self) -> None:
        """Close all connections; may be repeated."""
        await self.engine.dispose()

    async def _try(self, work: Work[T]) -> T:
        for attempt in range(ATTEMPTS):
            try:
                async with self.engine.connect() as connection:
                    return await work(connection)
            except IntegrityError:
                raise
            except PoolTimeout:
                log.warning("all database connections are busy; see [database] max_pool_size")
                raise ServiceUnavailable(
                    "all connections to the database are busy; please retry"
                ) from None
            except DBAPIError as error:
                failure, reason = classify(error), str(error.orig)
            except OSError as error:
                # asyncpg's own, from connecting
                failure, reason = Failure.TRANSIENT, str(error)
            if failure is not Failure.TRANSIENT:
                log.error("database refused a statement", extra={"reason": reason})
                raise as_error(failure)
            log.info("database statement tried again", extra={"reason": reason})
            await asyncio.sleep(_pause_s(attempt))
        log.error("database is away", extra={"reason": reason})
        raise as_error(Failure.TRANSIENT)


class _Transaction:
    """One transaction on a connection that else commits each statement.

    It is begun and ended by statements of its own: to change the isolation level of a
    connection and to set it back, as SQLAlchemy would, takes more round trips than the
    transaction itself. Level and waits are set when a connection is opened.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def __aenter__(self) -> None:
        # SQLite takes its lock now, or two that read before they write would fail
        immediate = self._connection.dialect.name == "sqlite"
        await self._run("BEGIN IMMEDIATE" if immediate else "BEGIN")

    async def __aexit__(
        self, _kind: object, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is None:
            await self._end("COMMIT")
        elif isinstance(error, Exception) and not self._connection.invalidated:
            with suppress(DBAPIError):
                await self._end("ROLLBACK")
        else:
            self._throw_away()

    async def _end(self, statement: str) -> None:
        try:
            await self._run(statement)
        except DBAPIError:
            self._throw_away()
            raise

    def _throw_away(self) -> None:
        """Close the connection at once, without a word to the database.

        Whoever is cancelled has no time left. To wait for a polite end, as the asynchronous
        ``invalidate`` does, may last for ever when that wait is cancelled too: aiosqlite
        then waits for a thread that it has just stopped.
        """
        connection = self._connection.sync_connection
        if connection is not None and not connection.invalidated:
            connection.invalidate()

    async def _run(self, statement: str) -> None:
        await self._connection.exec_driver_sql(statement)


def open_database(url: str, limits: Limits | None = None) -> Database:
    """Return a database for an operator's connection URL; nothing is connected yet.

    Raises ConfigError for a URL that cannot be used.
    """
    limits = limits or Limits()
    return Database(build_engine(url, limits), limits.timeout_s)


def _pause_s(attempt: int) -> float:
    # spread out, so that two that collided do not collide again
    longest: float = FIRST_PAUSE_S * 2**attempt
    return random.uniform(longest / 2, longest)  # noqa: S311
