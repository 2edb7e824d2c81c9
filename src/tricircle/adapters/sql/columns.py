"""Column types and time functions that mean the same in every database.

Text is compared exactly, character by character, trailing spaces included, and
ordered by code point as Python orders it. Time is the database's, in UTC, as
fine as microseconds (SQLite: milliseconds).
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, String, bindparam
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import BigInteger, TypeDecorator, TypeEngine

MARIADB_COLLATION = "utf8mb4_nopad_bin"
MYSQL_COLLATION = "utf8mb4_0900_bin"


class ExactText(TypeDecorator[str]):
    """Text of at most ``length`` characters, compared and ordered exactly."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Return the type with the one collation of each database that compares exactly.

        ``utf8mb4_bin``, which both have, would hold 'a' and 'a ' for equal.
        """
        if dialect.name == "mysql":
            is_mariadb = getattr(dialect, "is_mariadb", False)
            collation = MARIADB_COLLATION if is_mariadb else MYSQL_COLLATION
            return dialect.type_descriptor(
                mysql.VARCHAR(self.length, charset="utf8mb4", collation=collation)
            )
        if dialect.name == "postgresql":
            return dialect.type_descriptor(String(self.length, collation="C"))
        return dialect.type_descriptor(String(self.length))


class UtcTime(TypeDecorator[datetime]):
    """A point in time; read back as an aware ``datetime`` in UTC."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """Return the finest time type of the database."""
        if dialect.name == "mysql":
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return ``value`` as the driver takes it: without zone where the column has none."""
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return ``value`` as an aware time in UTC."""
        return as_utc(value)


def as_utc(value: datetime | str | None) -> datetime | None:
    """Return what a driver hands out for a ``UtcTime`` column as an aware time in UTC."""
    if value is None:
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Now(FunctionElement[datetime]):
    """The database's time now."""

    type = UtcTime()
    inherit_cache = True


class TimeFromNow(FunctionElement[datetime]):
    """The database's time now plus some microseconds; see ``from_now``."""

    type = UtcTime()
    inherit_cache = True


def now() -> Now:
    """Return the database's time now."""
    return Now()


def from_now(seconds: float) -> TimeFromNow:
    """Return the database's time ``seconds`` from now, or ago when negative."""
    microseconds = round(seconds * 1_000_000)
    return TimeFromNow(bindparam(None, microseconds, type_=BigInteger(), unique=True))


@compiles(Now, "postgresql")
def _postgresql_now(_element: Now, _compiler: SQLCompiler, **_kw: object) -> str:
    # now() would be the start of the transaction, before it waited for any lock
    return "clock_timestamp()"


@compiles(TimeFromNow, "postgresql")
def _postgresql_time(element: TimeFromNow, compiler: SQLCompiler, **kw: object) -> str:
    shift = compiler.process(element.clauses, **kw)
    return f"(clock_timestamp() + {shift} * interval '1 microsecond')"


@compiles(Now, "mysql")
def _mysql_now(_element: Now, _compiler: SQLCompiler, **_kw: object) -> str:
    return "(UTC_TIMESTAMP(6))"


@compiles(TimeFromNow, "mysql")
def _mysql_time(element: TimeFromNow, compiler: SQLCompiler, **kw: object) -> str:
    shift = compiler.process(element.clauses, **kw)
    return f"(UTC_TIMESTAMP(6) + INTERVAL {shift} MICROSECOND)"


@compiles(Now, "sqlite")
def _sqlite_now(_element: Now, _compiler: SQLCompiler, **_kw: object) -> str:
    # six digits, so that text order is time order
    return "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))"


@compiles(TimeFromNow, "sqlite")
def _sqlite_time(element: TimeFromNow, compiler: SQLCompiler, **kw: object) -> str:
    shift = compiler.process(element.clauses, **kw)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', printf('%.6f seconds', {shift} / 1000000.0))"
