"""Private database servers for the tests, started when the first test asks for them."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import itertools

from tricircle.adapters.sql import Database
from tricircle.adapters.sql.schema import sync_schema
from tricircle.adapters.sql.tables import metadata
from tricircle.testing.servers import MariaDb, PostgreSql, Server, SqlEngine, running

SERVERS: dict[str, SqlEngine] = {"mariadb": MariaDb(), "postgresql": PostgreSql()}
_numbers = itertools.count(1)


@functools.cache
def get_server(name: str) -> Server[SqlEngine]:
    """Return the running server of this test run, ``mariadb`` or ``postgresql``."""
    life = contextlib.ExitStack()
    atexit.register(life.close)
    return life.enter_context(running(SERVERS[name]))


def make_database(name: str) -> str:
    """Return the URL of a new, empty database on a server."""
    database = f"empty_{next(_numbers)}"
    get_server(name).run_sql(f"CREATE DATABASE {database}")
    return get_server(name).url(database)


@functools.cache
def get_migrated_url(name: str) -> str:
    """Return the URL of the one database on a server whose schema is in place."""
    url = make_database(name)
    asyncio.run(sync_schema(url))
    return url


async def empty_tables(database: Database) -> None:
    """Delete every row."""
    for table in reversed(metadata.sorted_tables):
        await database.write(table.delete())
