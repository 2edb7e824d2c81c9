"""Brings a database's schema to a revision, once, however many try at the same time."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tricircle.adapters.config import ConfigError
from tricircle.adapters.sql.engines import Limits, build_engine
from tricircle.core.errors import ServiceUnavailable

LOCK_NAME = "tricircle schema"
LOCK_NUMBER = 0x7472_6963  # "tric"
LOCK_POLL_S = 0.1
LOCK_TIMEOUT_S = 600.0

# a change to a big table takes its time, but must not wait long for its lock:
# whoever comes after it waits too
_LIMITS = Limits(max_pool_size=1, max_overflow=1, timeout_s=3600.0, lock_timeout_s=30.0)


async def sync_schema(url: str, revision: str = "head") -> str:
    """Bring the schema up to ``revision`` and return the revision it has then.

    May be run at any time, from several hosts at once, on an empty database, on one
    that holds data, and again after it was killed half-way: one migrates, the others
    wait and find nothing to do. Raises ConfigError for a revision that is not there,
    ServiceUnavailable.
    """
    engine = build_engine(url, _LIMITS)
    try:
        async with _lock(engine), engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                # a table that is made anew must not take its children with it
                await connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
                await connection.commit()
            await _begin_ddl(connection)
            await connection.run_sync(_upgrade, revision)
            return await connection.run_sync(_read_version) or ""
    except CommandError as error:
        raise ConfigError(f"the schema cannot be brought to '{revision}': {error}") from None
    except (DBAPIError, OSError) as error:
        raise _unusable(error) from error
    finally:
        await engine.dispose()


async def read_schema_version(url: str) -> str | None:
    """Return the revision of a database's schema, None when it has none.

    Raises ConfigError, ServiceUnavailable.
    """
    engine = build_engine(url, Limits(max_pool_size=1))
    if _is_missing_file(engine):
        # connecting would make the file
        return None
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_read_version)
    except (DBAPIError, OSError) as error:
        raise _unusable(error) from error
    finally:
        await engine.dispose()


def newest_revision() -> str:
    """Return the revision that this release is made for."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _config() -> Config:
    config = Config()
    # Alembic reads '%' as the beginning of a variable
    config.set_main_option(
        "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
    )
    return config


def _upgrade(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    connection.commit()


def _read_version(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection)
    return context.get_current_revision()


def _is_missing_file(engine: AsyncEngine) -> bool:
    return engine.dialect.name == "sqlite" and not Path(engine.url.database or "").exists()


def _unusable(error: DBAPIError | OSError) -> ServiceUnavailable:
    # for operators: what the server says, which names no password
    reason = error.orig if isinstance(error, DBAPIError) else error
    return ServiceUnavailable(
        f"the database cannot be used: {reason}; see [database] connection and the server"
    )


async def _begin_ddl(connection: AsyncConnection) -> None:
    level = "SERIALIZABLE" if connection.dialect.name == "sqlite" else "READ COMMITTED"
    await connection.execution_options(isolation_level=level)


@asynccontextmanager
async def _lock(engine: AsyncEngine) -> AsyncIterator[None]:
    """Hold the lock of this database's schema; it ends with the process or connection."""
    if engine.dialect.name == "sqlite":
        async with _lock_folder(os.path.dirname(engine.url.database or "") or "."):
            yield
        return
    taking = text(
        f"SELECT pg_try_advisory_lock({LOCK_NUMBER})"
        if engine.dialect.name == "postgresql"
        # the lock is the server's: other databases on it have their own
        else f"SELECT GET_LOCK(CONCAT(LEFT(SHA1(DATABASE()), 40), ' {LOCK_NAME}'), 0)"
    )
    async with engine.connect() as holder:
        async for _ in _polls():
            if (await holder.execute(taking)).scalar():
                break
        yield
        # it may go back to a pool: the lock must not stay with it
        await holder.invalidate()


@asynccontextmanager
async def _lock_folder(folder: str) -> AsyncIterator[None]:
    # the folder's own lock leaves no file behind, and the kernel ends it with us
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        async for _ in _polls():
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                continue
        yield
    finally:
        os.close(descriptor)


async def _polls() -> AsyncIterator[None]:
    for _ in range(round(LOCK_TIMEOUT_S / LOCK_POLL_S)):
        yield
        await asyncio.sleep(LOCK_POLL_S)
    raise ServiceUnavailable(
        "another 'tricircle-manage db sync' holds the lock of the schema; wait for it to end"
    )
