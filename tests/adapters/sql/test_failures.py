"""What the errors of the drivers mean."""

from __future__ import annotations

import sqlite3

import pytest
from asyncmy import errors as asyncmy_errors
from asyncpg import exceptions as asyncpg_errors
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from tricircle.adapters.sql.failures import Failure, as_error, classify
from tricircle.core.errors import BadInput, ServiceUnavailable


def sqlite_error(code: int, text: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("origin", "failure"),
    [
        (asyncmy_errors.OperationalError(1213, "Deadlock found"), Failure.TRANSIENT),
        (asyncmy_errors.OperationalError(1205, "Lock wait timeout"), Failure.TRANSIENT),
        (asyncmy_errors.OperationalError(2013, "Lost connection"), Failure.TRANSIENT),
        (asyncmy_errors.OperationalError(1047, "WSREP has not yet prepared"), Failure.TRANSIENT),
        (asyncmy_errors.OperationalError(1290, "read-only option"), Failure.TRANSIENT),
        (asyncmy_errors.ProgrammingError(1146, "Table doesn't exist"), Failure.NO_SCHEMA),
        (asyncmy_errors.OperationalError(1054, "Unknown column"), Failure.NO_SCHEMA),
        (asyncmy_errors.DataError(1406, "Data too long"), Failure.BAD_VALUE),
        (asyncmy_errors.OperationalError(1045, "Access denied"), Failure.AWAY),
        (asyncmy_errors.OperationalError(1049, "Unknown database"), Failure.AWAY),
        (asyncpg_errors.DeadlockDetectedError("x"), Failure.TRANSIENT),
        (asyncpg_errors.SerializationError("x"), Failure.TRANSIENT),
        (asyncpg_errors.LockNotAvailableError("x"), Failure.TRANSIENT),
        (asyncpg_errors.AdminShutdownError("x"), Failure.TRANSIENT),
        (asyncpg_errors.CannotConnectNowError("x"), Failure.TRANSIENT),
        (asyncpg_errors.TooManyConnectionsError("x"), Failure.TRANSIENT),
        (asyncpg_errors.ConnectionDoesNotExistError("x"), Failure.TRANSIENT),
        (asyncpg_errors.ReadOnlySQLTransactionError("x"), Failure.TRANSIENT),
        (asyncpg_errors.UndefinedTableError("x"), Failure.NO_SCHEMA),
        (asyncpg_errors.UndefinedColumnError("x"), Failure.NO_SCHEMA),
        (asyncpg_errors.StringDataRightTruncationError("x"), Failure.BAD_VALUE),
        (asyncpg_errors.InvalidPasswordError("x"), Failure.AWAY),
        (asyncpg_errors.DiskFullError("x"), Failure.AWAY),
        (sqlite_error(sqlite3.SQLITE_BUSY, "database is locked"), Failure.TRANSIENT),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT, "database is locked"), Failure.TRANSIENT),
        (sqlite_error(sqlite3.SQLITE_ERROR, "no such table: pod"), Failure.NO_SCHEMA),
        (sqlite_error(sqlite3.SQLITE_FULL, "disk is full"), Failure.AWAY),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN, "unable to open"), Failure.AWAY),
    ],
    ids=str,
)
def test_the_code_of_the_server_decides(origin: Exception, failure: Failure) -> None:
    assert classify(OperationalError("SELECT 1", {}, origin)) is failure


def test_a_lost_connection_is_worth_another_try_whatever_the_code() -> None:
    error = DBAPIError("SELECT 1", {}, Exception("gone"), connection_invalidated=True)
    assert classify(error) is Failure.TRANSIENT


def test_an_unknown_code_for_a_value_is_the_callers_fault() -> None:
    origin = asyncmy_errors.DataError(1292, "Incorrect value")
    assert classify(DataError("INSERT", {}, origin)) is Failure.BAD_VALUE


@pytest.mark.parametrize("failure", list(Failure))
def test_callers_are_told_without_any_detail_of_the_server(failure: Failure) -> None:
    error = as_error(failure)
    expected = BadInput if failure is Failure.BAD_VALUE else ServiceUnavailable
    assert isinstance(error, expected)
    assert str(error)
