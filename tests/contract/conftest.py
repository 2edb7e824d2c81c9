"""The stores that must keep the same promises."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.databases import empty_tables, get_migrated_url, get_server
from tricircle.adapters.sql import Database, SqlStores, open_database
from tricircle.adapters.sql.schema import sync_schema
from tricircle.testing.store import MemoryStores

Stores = SqlStores | MemoryStores

SERVERS = [
    pytest.param("mariadb", marks=pytest.mark.database),
    pytest.param("postgresql", marks=pytest.mark.database),
]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database whose schema is in place, to copy."""
    file = tmp_path_factory.mktemp("sqlite") / "template.sqlite"
    asyncio.run(sync_schema(f"sqlite:///{file}"))
    return file


@pytest.fixture(params=["sqlite", *SERVERS])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a real database whose schema is in place; rows may be left in it."""
    return _make_url(request, str(request.param))


@pytest.fixture(params=["memory", "sqlite", *SERVERS])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """The URL of a real database whose schema is in place, None for the double."""
    return None if request.param == "memory" else _make_url(request, str(request.param))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A real database without any rows."""
    async with _open_empty(database_url) as opened:
        yield opened


@pytest.fixture
def sql_stores(database: Database) -> SqlStores:
    """The stores of a real database."""
    return SqlStores(database)


@pytest.fixture
async def stores(store_url: str | None) -> AsyncIterator[Stores]:
    """An empty store of each kind."""
    if store_url is None:
        yield MemoryStores()
        return
    async with _open_empty(store_url) as opened:
        yield SqlStores(opened)


OTHER_ISOLATION = {
    # each server's default is the other one's change
    "mariadb": (
        "SET GLOBAL tx_isolation = 'READ-COMMITTED'",
        "SET GLOBAL tx_isolation = 'REPEATABLE-READ'",
    ),
    "postgresql": (
        "ALTER ROLE postgres SET default_transaction_isolation = 'repeatable read'",
        "ALTER ROLE postgres RESET default_transaction_isolation",
    ),
}


@pytest.fixture(params=SERVERS)
def reconfigured_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database whose server has the isolation level that is not its default."""
    url = get_migrated_url(request.param)
    change, undo = OTHER_ISOLATION[request.param]
    get_server(request.param).run_sql(change)
    yield url
    get_server(request.param).run_sql(undo)


def _make_url(request: pytest.FixtureRequest, kind: str) -> str:
    if kind != "sqlite":
        return get_migrated_url(kind)
    template: Path = request.getfixturevalue("migrated_file")
    folder: Path = request.getfixturevalue("tmp_path")
    shutil.copy(template, folder / "store.sqlite")
    return f"sqlite:///{folder}/store.sqlite"


@asynccontextmanager
async def _open_empty(url: str) -> AsyncIterator[Database]:
    opened = open_database(url)
    try:
        await empty_tables(opened)
        yield opened
    finally:
        await opened.close()
