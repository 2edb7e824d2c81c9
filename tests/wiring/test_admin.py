"""tricircle-api as a process: when it refuses to start, how it serves and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import text

from tricircle.adapters.config import ConfigError
from tricircle.adapters.sql import open_database
from tricircle.adapters.sql.schema import sync_schema
from tricircle.testing.cloud import SimulatedCloud, serve
from tricircle.wiring.admin import require_schema

_CONFIG = """
[DEFAULT]
state_path = {folder}
[api]
bind_port = {port}
[oslo_policy]
policy_file = {folder}/policy.yaml
[keystone_authtoken]
{login}
[service_credential]
{login}
"""
_LOGIN = """auth_type = password
auth_url = {url}/identity
username = tricircle
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
"""
_START_S = 60
_END_S = 20


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
async def config(tmp_path: Path, port: int) -> AsyncIterator[Path]:
    """A configuration for an API in front of a simulated cloud; the database is empty."""
    async with serve(SimulatedCloud().app) as url:
        path = tmp_path / "tricircle.conf"
        login = _LOGIN.format(url=url)
        path.write_text(_CONFIG.format(folder=tmp_path, port=port, login=login))
        yield path


def set_bus(config: Path, url: str) -> None:
    """Configure a message bus."""
    config.write_text(config.read_text().replace("[api]", f"transport_url = {url}\n[api]", 1))


async def start(config: Path) -> Process:
    """Start the program; its log is its output."""
    code = "from tricircle.wiring.admin import main; main()"
    arguments = ("-c", code, "--config-file", str(config))
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=PIPE, stderr=STDOUT, env=dict(os.environ)
    )


async def wait_until_it_serves(port: int, program: Process) -> None:
    """Return once the health check answers; fail when the program ends before."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(_START_S):
        while program.returncode is None:
            try:
                async with session.get(f"http://127.0.0.1:{port}/healthcheck") as answer:
                    assert answer.status == 200
                    return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.1)
        pytest.fail(f"the program ended with {program.returncode}")


async def output_of(program: Process) -> str:
    """Return what the program wrote until it ended."""
    async with asyncio.timeout(_START_S):
        written, _ = await program.communicate()
    return written.decode()


async def test_it_does_not_start_without_a_schema_and_says_what_to_run(config: Path) -> None:
    program = await start(config)

    said = await output_of(program)

    assert program.returncode == 1
    assert "tricircle-api: the database is at schema (none)" in said
    assert "run 'tricircle-manage db sync'" in said
    assert "Traceback" not in said


async def test_it_does_not_start_with_a_broken_policy_file(config: Path, tmp_path: Path) -> None:
    await sync_schema(f"sqlite:///{tmp_path}/tricircle.sqlite")
    (tmp_path / "policy.yaml").write_text("- x\n")
    program = await start(config)

    said = await output_of(program)

    assert program.returncode == 1
    assert "tricircle-api: the policy file cannot be used" in said


async def test_it_does_not_start_with_a_bus_it_cannot_use_and_says_so(
    config: Path, tmp_path: Path
) -> None:
    await sync_schema(f"sqlite:///{tmp_path}/tricircle.sqlite")
    set_bus(config, "amqp://tricircle:secret@127.0.0.1:5672/")
    program = await start(config)

    said = await output_of(program)

    assert program.returncode != 0
    assert "option transport_url in group [DEFAULT] cannot be used" in said
    assert "secret" not in said


async def test_it_serves_and_ends_while_the_bus_is_away(
    config: Path, tmp_path: Path, port: int
) -> None:
    await sync_schema(f"sqlite:///{tmp_path}/tricircle.sqlite")
    set_bus(config, "rabbit://tricircle:secret@127.0.0.1:1/")
    program = await start(config)

    await wait_until_it_serves(port, program)
    program.send_signal(signal.SIGTERM)

    async with asyncio.timeout(_END_S):
        written, _ = await program.communicate()
    assert program.returncode in (0, -signal.SIGTERM)
    assert "secret" not in written.decode()


async def test_it_serves_until_it_is_told_to_end(config: Path, tmp_path: Path, port: int) -> None:
    await sync_schema(f"sqlite:///{tmp_path}/tricircle.sqlite")
    program = await start(config)

    await wait_until_it_serves(port, program)
    program.send_signal(signal.SIGTERM)

    async with asyncio.timeout(_END_S):
        written, _ = await program.communicate()
    assert program.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in written.decode()


async def test_a_schema_of_a_later_release_is_taken(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tricircle.sqlite"
    await sync_schema(url)
    database = open_database(url)
    await database.write(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()

    await require_schema(url)


async def test_a_schema_of_an_earlier_release_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tricircle.sqlite"
    await sync_schema(url)
    database = open_database(url)
    await database.write(text("UPDATE alembic_version SET version_num = '0000'"))
    await database.close()

    with pytest.raises(ConfigError, match="at schema 0000 and this release needs"):
        await require_schema(url)
