"""An engine for each database, with every wait bounded on the server's side too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import aiosqlite
from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

from tricircle.adapters.sql.columns import MARIADB_COLLATION, MYSQL_COLLATION
from tricircle.adapters.sql.connection_url import driver_url, tls_arguments


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections are kept, and how long anything may take.

    The first four are the options of [database]. ``timeout_s`` bounds one call of a
    store, retries included; ``lock_timeout_s`` the wait for a row or a SQLite file.
    """

    max_pool_size: int = 5
    max_overflow: int = 10
    pool_timeout_s: float = 10.0
    connection_recycle_s: float = 1800.0
    timeout_s: float = 10.0
    lock_timeout_s: float = 5.0
    connect_timeout_s: float = 3.0


def build_engine(url: str, limits: Limits) -> AsyncEngine:
    """Return an engine whose statements are transactions of their own.

    Autocommit saves two of three round trips of the usual one-statement
    transaction; ``Database.transact`` begins and ends longer ones, whose isolation
    level each connection has from its start: READ COMMITTED, in SQLite serialisable.
    As no transaction is left open, connections go back to the pool without a reset.
    Nothing is connected yet. Raises ConfigError.
    """
    target = driver_url(url)
    engine = create_async_engine(
        target,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=limits.max_pool_size,
        max_overflow=limits.max_overflow,
        pool_timeout=limits.pool_timeout_s,
        pool_recycle=round(limits.connection_recycle_s),
        pool_reset_on_return=None,
        # the parameters of a failed statement stay out of the log
        hide_parameters=True,
        connect_args={**_connect_arguments(target, limits), **tls_arguments(url)},
    )
    if target.get_backend_name() == "sqlite":
        # SQLAlchemy ends politely, which lasts for ever when whoever waits is cancelled
        # twice: aiosqlite then waits for the thread that it has just stopped
        engine.sync_engine.dialect.do_terminate = _stop_at_once  # type: ignore[method-assign,assignment]
    _listen_to_connect(engine, _session_statements(target.get_backend_name(), limits))
    return engine


def _stop_at_once(connection: DBAPIConnection) -> None:
    """End the thread of a connection to SQLite after what it does now; a lock goes with it."""
    cast(aiosqlite.Connection, connection.driver_connection).stop()


def _connect_arguments(target: URL, limits: Limits) -> Mapping[str, object]:
    match target.get_backend_name():
        case "mysql":
            return {"connect_timeout": max(1, round(limits.connect_timeout_s))}
        case "postgresql":
            return {
                "timeout": limits.connect_timeout_s,
                "server_settings": {
                    "application_name": "tricircle",
                    "default_transaction_isolation": "read committed",
                    "statement_timeout": str(round(limits.timeout_s * 1000)),
                    "lock_timeout": str(round(limits.lock_timeout_s * 1000)),
                    "idle_in_transaction_session_timeout": str(round(limits.timeout_s * 1000)),
                },
            }
        case _:
            return {"timeout": limits.lock_timeout_s}


def _session_statements(backend: str, limits: Limits) -> Sequence[str]:
    match backend:
        case "mysql":
            # the name of the variable differs between servers, so a statement of its own
            level = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
            return [_mysql_session(limits), level]
        case "sqlite":
            return [
                # first of all, as switching to the write-ahead log takes a lock
                f"PRAGMA busy_timeout = {round(limits.lock_timeout_s * 1000)}",
                "PRAGMA journal_mode = WAL",
                "PRAGMA foreign_keys = ON",
            ]
        case _:
            return []


def _mysql_session(limits: Limits) -> str:
    lock_s = max(1, round(limits.lock_timeout_s))
    # TRADITIONAL: a value that does not fit is an error, not cut short. The first
    # comments are read by MariaDB alone, the last by MySQL alone, which has no limit
    # for statements that write, nor for a process that stalls in a transaction and
    # would keep its rows from everybody. Values must come in the collation of the columns:
    # with another one MariaDB 10.11 sorts a million rows that an index has in order.
    return (
        "SET SESSION sql_mode = 'TRADITIONAL', time_zone = '+00:00',"
        f" innodb_lock_wait_timeout = {lock_s}, lock_wait_timeout = {lock_s}"
        f" /*M!100101 , max_statement_time = {limits.timeout_s}"
        f", collation_connection = {MARIADB_COLLATION} */"
        f" /*M!100301 , idle_transaction_timeout = {max(1, round(limits.timeout_s))} */"
        f" /*!80017 , collation_connection = {MYSQL_COLLATION} */"
    )


def _listen_to_connect(engine: AsyncEngine, statements: Sequence[str]) -> None:
    # after SQLAlchemy's own, whose SET NAMES would undo the collation
    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
