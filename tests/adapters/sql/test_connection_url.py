"""Operators' URLs and the drivers they become."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tricircle.adapters.config import ConfigError
from tricircle.adapters.sql.connection_url import driver_url, tls_arguments


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("mysql://u:p@h/d", "mysql+asyncmy://u:p@h/d?charset=utf8mb4"),
        ("mysql+pymysql://u:p@h:3307/d", "mysql+asyncmy://u:p@h:3307/d?charset=utf8mb4"),
        ("mysql+pymysql://h/d?charset=utf8", "mysql+asyncmy://h/d?charset=utf8mb4"),
        ("mariadb+mysqldb://h/d", "mysql+asyncmy://h/d?charset=utf8mb4"),
        ("mysql://h/d?ssl_ca=/ca", "mysql+asyncmy://h/d?charset=utf8mb4&ssl_ca=%2Fca"),
        ("postgresql://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql+psycopg2://h/d", "postgresql+asyncpg://h/d"),
        ("postgres://h/d", "postgresql+asyncpg://h/d"),
        ("postgresql://h/d?sslmode=require", "postgresql+asyncpg://h/d"),
        ("sqlite:////var/lib/t.db", "sqlite+aiosqlite:////var/lib/t.db"),
        ("sqlite:///t.db", "sqlite+aiosqlite:///t.db"),
    ],
)
def test_the_backend_decides_the_driver(written: str, used: str) -> None:
    assert driver_url(written).render_as_string(hide_password=False) == used


@pytest.mark.parametrize(
    "written",
    ["", "nonsense", "oracle://h/d", "sqlite://", "sqlite:///:memory:", "sqlite:///x?mode=memory"],
)
def test_what_cannot_be_used_is_refused_with_the_next_step(written: str) -> None:
    with pytest.raises(ConfigError, match=r"\[database\] connection"):
        driver_url(written)


def test_a_refusal_does_not_show_the_password() -> None:
    for written in ("oracle://u:secret@h/d", "mysql:/u:secret@h"):
        with pytest.raises(ConfigError) as refused:
            driver_url(written)
        assert "secret" not in str(refused.value)


def test_postgresqls_plain_tls_modes_are_the_drivers_own() -> None:
    assert tls_arguments("postgresql://h/d") == {}
    assert tls_arguments("postgresql://h/d?sslmode=require") == {"ssl": "require"}
    assert tls_arguments("mysql://h/d?ssl_ca=/ca") == {}


@pytest.mark.parametrize(("mode", "checks_name"), [("verify-ca", False), ("verify-full", True)])
def test_postgresqls_certificate_is_checked_when_asked(mode: str, checks_name: bool) -> None:
    context = tls_arguments(f"postgresql://h/d?sslmode={mode}")["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname is checks_name


def test_a_certificate_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="certificate"):
        tls_arguments(f"postgresql://h/d?sslmode=verify-full&sslrootcert={tmp_path}/none.pem")
