"""What every connection is told before it is used."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.databases import make_database
from tricircle.adapters.sql import Limits, open_database
from tricircle.adapters.sql.engines import build_engine

SETTINGS: dict[str, dict[str, object]] = {
    "sqlite": {
        "PRAGMA journal_mode": "wal",
        "PRAGMA foreign_keys": 1,
        "PRAGMA busy_timeout": 2000,
    },
    "mysql": {
        "SELECT @@max_statement_time": 7,
        "SELECT @@idle_transaction_timeout": 7,
        "SELECT @@innodb_lock_wait_timeout": 2,
        "SELECT @@collation_connection": "utf8mb4_nopad_bin",
        "SELECT @@time_zone": "+00:00",
        "SELECT @@autocommit": 1,
        "SELECT @@tx_isolation": "READ-COMMITTED",
        "SELECT @@sql_mode LIKE '%%STRICT_ALL_TABLES%%'": 1,
    },
    "postgresql": {
        "SHOW statement_timeout": "7s",
        "SHOW lock_timeout": "2s",
        "SHOW idle_in_transaction_session_timeout": "7s",
        "SHOW application_name": "tricircle",
        "SHOW transaction_isolation": "read committed",
    },
}


async def test_each_connection_is_bounded_and_exact(empty_url: str) -> None:
    engine = build_engine(empty_url, Limits(timeout_s=7, lock_timeout_s=2))
    async with engine.connect() as connection:
        expected = SETTINGS[engine.dialect.name]
        found = {sql: (await connection.exec_driver_sql(sql)).scalar() for sql in expected}
    assert found == expected
    await engine.dispose()


async def test_an_error_does_not_show_what_was_to_be_kept(empty_url: str) -> None:
    engine = build_engine(empty_url, Limits())
    statement = text("SELECT nothing FROM nowhere WHERE x = :x")
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError) as failed:
            await connection.execute(statement, {"x": "secret"})
    assert "secret" not in str(failed.value)
    await engine.dispose()


@pytest.mark.database
@pytest.mark.parametrize("server", ["mariadb", "postgresql"])
async def test_who_stalls_in_a_transaction_keeps_rows_from_others_for_a_while_only(
    server: str,
) -> None:
    url = make_database(server)
    engine, patient = (build_engine(url, Limits(timeout_s=timeout_s)) for timeout_s in (1.0, 30.0))
    async with engine.connect() as stalled, patient.connect() as other:
        for sql in ("CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1)", "BEGIN"):
            await stalled.exec_driver_sql(sql)
        await stalled.exec_driver_sql("UPDATE t SET n = 2")
        started_s = asyncio.get_running_loop().time()
        await other.exec_driver_sql("UPDATE t SET n = n + 10")  # waits for five seconds at most
        assert asyncio.get_running_loop().time() - started_s > 0.5
        assert (await other.exec_driver_sql("SELECT n FROM t")).scalar() == 11
        with pytest.raises(DBAPIError):
            await stalled.exec_driver_sql("COMMIT")
        await stalled.invalidate()
    await engine.dispose()
    await patient.dispose()


async def test_no_more_connections_are_opened_than_allowed(empty_url: str) -> None:
    limits = Limits(max_pool_size=2, max_overflow=1)
    database = open_database(empty_url, limits)
    most = 0

    async def use() -> None:
        nonlocal most
        async with database.engine.connect():
            most = max(most, database.engine.pool.checkedout())  # type: ignore[attr-defined]
            await asyncio.sleep(0)

    await asyncio.gather(*(use() for _ in range(20)))
    assert most <= 3
    await database.close()
