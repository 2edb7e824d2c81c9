"""Transactions: all or nothing, whatever ends them, and no statement more than they need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.databases import make_database
from tricircle.adapters.sql import Database, Limits, open_database

ONE_CONNECTION = Limits(max_pool_size=1, max_overflow=0)
NUMBERS = text("SELECT n FROM number ORDER BY n")
INSERT = text("INSERT INTO number (n) VALUES (:n)")


@pytest_asyncio.fixture
async def database(empty_url: str) -> AsyncIterator[Database]:
    """A database with one table and one connection, which all calls share."""
    opened = open_database(empty_url, ONE_CONNECTION)
    await opened.write(text("CREATE TABLE number (n INTEGER NOT NULL PRIMARY KEY)"))
    yield opened
    await opened.close()


async def insert(connection: AsyncConnection, *numbers: int) -> None:
    for number in numbers:
        await connection.execute(INSERT, {"n": number})


async def numbers_in(database: Database) -> list[object]:
    return [row[0] for row in await database.read(NUMBERS)]


async def test_a_transaction_is_kept_when_it_ends_well(database: Database) -> None:
    await database.transact(lambda connection: insert(connection, 1, 2))
    assert await numbers_in(database) == [1, 2]


async def test_nothing_of_a_refused_transaction_is_kept(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await database.transact(lambda connection: insert(connection, 1, 2, 1))
    await database.transact(lambda connection: insert(connection, 3))
    assert await numbers_in(database) == [3]


async def test_nothing_of_a_transaction_that_gives_up_is_kept(database: Database) -> None:
    async def work(connection: AsyncConnection) -> None:
        await insert(connection, 1)
        raise LookupError

    with pytest.raises(LookupError):
        await database.transact(work)
    await database.write(text("INSERT INTO number (n) VALUES (3)"))
    assert await numbers_in(database) == [3]


async def test_nothing_of_a_transaction_is_kept_whose_caller_goes_away(database: Database) -> None:
    begun = asyncio.Event()

    async def work(connection: AsyncConnection) -> None:
        await insert(connection, 1)
        begun.set()
        await asyncio.Event().wait()

    caller = asyncio.create_task(database.transact(work))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await database.transact(lambda connection: insert(connection, 3))
    assert await numbers_in(database) == [3]


async def test_who_is_cancelled_twice_leaves_nothing_that_waits(empty_url: str) -> None:
    database = open_database(empty_url, Limits(max_pool_size=2))
    await database.write(text("CREATE TABLE number (n INTEGER NOT NULL PRIMARY KEY)"))
    begun, end = asyncio.Event(), asyncio.Event()

    async def hold(connection: AsyncConnection) -> None:
        await insert(connection, 1)
        begun.set()
        await end.wait()

    holder = asyncio.create_task(database.transact(hold))
    await begun.wait()
    others = asyncio.all_tasks()
    caller = asyncio.create_task(database.transact(lambda connection: insert(connection, 1)))
    await asyncio.sleep(0.3)  # by now it waits for the lock, which nobody can see
    for _ in range(2):
        caller.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
    await asyncio.wait([caller])
    end.set()
    await holder
    left = asyncio.all_tasks() - others
    if left:
        _, left = await asyncio.wait(left, timeout=5)
    assert left == set()
    await database.close()


async def test_two_that_read_before_they_write_take_turns(empty_url: str) -> None:
    database = open_database(empty_url, Limits(max_pool_size=8))
    await database.write(text("CREATE TABLE number (n INTEGER NOT NULL PRIMARY KEY)"))
    await database.write(text("INSERT INTO number (n) VALUES (0)"))

    locked = {"sqlite": "SELECT n FROM number"}
    reading = text(locked.get(database.backend, "SELECT n FROM number FOR UPDATE"))

    async def count_up(connection: AsyncConnection) -> None:
        found = (await connection.execute(reading)).scalar_one()
        await connection.execute(text("UPDATE number SET n = :n"), {"n": found + 1})

    await asyncio.gather(*(database.transact(count_up) for _ in range(20)))
    assert await numbers_in(database) == [20]
    await database.close()


@pytest.mark.database
async def test_mariadb_is_sent_no_more_than_the_transaction() -> None:
    database = open_database(make_database("mariadb"), ONE_CONNECTION)
    await database.write(text("CREATE TABLE number (n INTEGER NOT NULL PRIMARY KEY)"))
    asked = text("SHOW SESSION STATUS LIKE 'Questions'")
    [(_, before)] = await database.read(asked)
    await database.transact(lambda connection: insert(connection, 1, 2))
    [(_, after)] = await database.read(asked)
    assert int(str(after)) - int(str(before)) - 1 == len(["BEGIN", "INSERT", "INSERT", "COMMIT"])
    await database.close()
