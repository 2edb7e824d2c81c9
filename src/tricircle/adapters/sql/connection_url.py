"""From the URL an operator writes to the asynchronous driver that is used."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from tricircle.adapters.config import ConfigError

_DRIVERS = {
    "mysql": "mysql+asyncmy",
    "mariadb": "mysql+asyncmy",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
}
_POSTGRESQL_SSL = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey"})
_NEXT_STEP = "see docs/reference/database.md and set [database] connection"


def driver_url(text: str) -> URL:
    """Return the URL for SQLAlchemy's asynchronous engine.

    Whatever driver ``text`` names (``mysql+pymysql``, ``postgresql+psycopg2``),
    the backend decides. TLS options of PostgreSQL are taken out: see
    ``tls_arguments``. Raises ConfigError, without showing the password.
    """
    url = _parse(text)
    backend = url.drivername.partition("+")[0]
    if backend not in _DRIVERS:
        known = ", ".join(sorted(_DRIVERS))
        raise ConfigError(f"database '{backend}' is not one of {known}; {_NEXT_STEP}")
    if backend == "sqlite" and _is_in_memory(url):
        raise ConfigError(
            f"a SQLite database must be a file, e.g. sqlite:////var/lib/x.db; {_NEXT_STEP}"
        )
    url = url.set(drivername=_DRIVERS[backend])
    if backend in ("mysql", "mariadb"):
        # names may hold any Unicode text, whatever charset an old URL asks for
        return url.update_query_dict({"charset": "utf8mb4"})
    return url.difference_update_query(_POSTGRESQL_SSL)


def tls_arguments(text: str) -> Mapping[str, object]:
    """Return what asyncpg must be given for libpq's ``sslmode`` and its certificate options.

    Empty for other databases: asyncmy reads ``ssl_ca``, ``ssl_cert`` and
    ``ssl_key`` from the URL itself. Raises ConfigError.
    """
    url = _parse(text)
    if not url.drivername.startswith("postgres"):
        return {}
    asked = {name: str(url.query[name]) for name in _POSTGRESQL_SSL if name in url.query}
    mode = asked.get("sslmode")
    if not asked or (mode is not None and len(asked) == 1 and not mode.startswith("verify-")):
        return {"ssl": mode} if mode else {}
    try:
        return {"ssl": _tls_context(asked)}
    except OSError as error:
        raise ConfigError(f"a certificate of the database URL cannot be read: {error}") from None


def _tls_context(asked: Mapping[str, str]) -> ssl.SSLContext:
    # libpq: verify-ca checks the certificate, verify-full the host name too, and
    # a root certificate makes 'require' check the certificate
    context = ssl.create_default_context(cafile=asked.get("sslrootcert"))
    context.check_hostname = asked.get("sslmode") == "verify-full"
    if "sslrootcert" not in asked and not asked.get("sslmode", "").startswith("verify-"):
        context.verify_mode = ssl.CERT_NONE
    if "sslcert" in asked:
        context.load_cert_chain(asked["sslcert"], asked.get("sslkey"))
    return context


def _parse(text: str) -> URL:
    try:
        return make_url(text)
    except ArgumentError:
        raise ConfigError(f"the database URL cannot be read; {_NEXT_STEP}") from None


def _is_in_memory(url: URL) -> bool:
    return not url.database or ":memory:" in url.database or url.query.get("mode") == "memory"
