"""What an error of a database driver means: try again, away, or wrong.

The classes the drivers raise say little; the codes of the servers are the facts.
"""

from __future__ import annotations

import enum
from typing import Final, assert_never

from sqlalchemy.exc import DataError, DBAPIError

from tricircle.core.errors import BadInput, ServiceUnavailable, TricircleError


class Failure(enum.Enum):
    """What to do about an error."""

    TRANSIENT = "transient"
    """Deadlock, lock wait, lost connection, restart, failover: the same again may succeed."""

    NO_SCHEMA = "no schema"
    """A table or column is missing."""

    BAD_VALUE = "bad value"
    """A value does not fit its column."""

    AWAY = "away"
    """Anything else the server refuses: credentials, a full disk, an unknown database."""


# https://mariadb.com/kb/en/mariadb-error-code-reference/
_MYSQL: Final = {
    **dict.fromkeys(
        (
            1020,  # record has changed since last read (MariaDB snapshot isolation)
            1040,  # too many connections
            1047,  # Galera: node not ready
            1053,  # server shutdown in progress
            1205,  # lock wait timeout
            1213,  # deadlock
            1290,  # read-only server: a failover
            1317,  # query interrupted
            1836,  # read-only mode
            1927,  # connection was killed
            2002,  # cannot connect (socket)
            2003,  # cannot connect
            2006,  # server has gone away
            2013,  # lost connection
            2014,  # commands out of sync
            2055,  # lost connection
        ),
        Failure.TRANSIENT,
    ),
    **dict.fromkeys((1054, 1146), Failure.NO_SCHEMA),
    **dict.fromkeys((1264, 1366, 1406, 3854), Failure.BAD_VALUE),
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL: Final = {
    **dict.fromkeys(
        (
            "25006",  # read-only transaction: a failover
            "40001",  # serialization failure
            "40P01",  # deadlock
            "53300",  # too many connections
            "55P03",  # lock not available
            "57P01",  # admin shutdown
            "57P02",  # crash shutdown
            "57P03",  # cannot connect now
            "57P05",  # idle session timeout
        ),
        Failure.TRANSIENT,
    ),
    **dict.fromkeys(("42P01", "42703"), Failure.NO_SCHEMA),
}

# https://www.sqlite.org/rescode.html
_SQLITE: Final = {
    5: Failure.TRANSIENT,  # busy: another process writes
    6: Failure.TRANSIENT,  # locked
    18: Failure.BAD_VALUE,  # too big
    20: Failure.BAD_VALUE,  # mismatch
}


def classify(error: DBAPIError) -> Failure:
    """Return what an error that is no constraint violation means."""
    if error.connection_invalidated:
        return Failure.TRANSIENT
    origin = error.orig
    # MySQL's first: its driver gives a SQLSTATE too, which says less
    code = origin.args[0] if origin is not None and origin.args else None
    if isinstance(code, int):
        wrong = Failure.BAD_VALUE if isinstance(error, DataError) else Failure.AWAY
        return _MYSQL.get(code, wrong)
    code = getattr(origin, "sqlite_errorcode", None)
    if isinstance(code, int):
        missing = "no such table" in str(origin) or "no such column" in str(origin)
        return Failure.NO_SCHEMA if missing else _SQLITE.get(code & 0xFF, Failure.AWAY)
    state = getattr(origin, "sqlstate", None)
    return _classify_sqlstate(state) if isinstance(state, str) else Failure.AWAY


def as_error(failure: Failure) -> TricircleError:
    """Return the error for callers, who may be users: no address and no statement in it."""
    match failure:
        case Failure.TRANSIENT | Failure.AWAY:
            return ServiceUnavailable(
                "the database does not answer; please retry, and see the log if it lasts"
            )
        case Failure.NO_SCHEMA:
            return ServiceUnavailable(
                "the database has no schema, or an older one; run 'tricircle-manage db sync'"
            )
        case Failure.BAD_VALUE:
            return BadInput("a value is too long or cannot be kept in the database; shorten it")
        case _:
            assert_never(failure)


def _classify_sqlstate(state: str) -> Failure:
    if state in _POSTGRESQL:
        return _POSTGRESQL[state]
    if state.startswith("08"):  # connection exceptions
        return Failure.TRANSIENT
    return Failure.BAD_VALUE if state.startswith("22") else Failure.AWAY
