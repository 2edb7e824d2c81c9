"""Private servers start, die and leave nothing behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tricircle.testing.servers import (
    ADDRESS,
    Engine,
    MariaDb,
    PostgreSql,
    ServerError,
    find_binary,
    running,
)

pytestmark = pytest.mark.database

HOLDER = """
import sys, time
from tricircle.testing import servers
engine = {"mariadb": servers.MariaDb(), "postgresql": servers.PostgreSql()}[sys.argv[1]]
with servers.running(engine) as server:
    print(server.process.pid, server.port, server.folder, flush=True)
    time.sleep(300)
"""


@pytest.fixture(params=[MariaDb(), PostgreSql()], ids=["mariadb", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each kind of server."""
    chosen: Engine = request.param
    return chosen


@pytest.fixture
def holder(engine: Engine) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    """A process that runs a server, the server's port and folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, engine.name], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    _, port, folder = process.stdout.readline().split()
    yield process, int(port), Path(folder)
    process.kill()
    process.wait()
    process.stdout.close()
    shutil.rmtree(folder, ignore_errors=True)


def is_listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((ADDRESS, port), 1):
        return True
    return False


def wait_until_silent(port: int) -> bool:
    deadline = time.monotonic() + 10
    while is_listening(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_listening(port)


def test_a_server_keeps_its_data_over_a_crash_and_is_gone_afterwards(engine: Engine) -> None:
    with running(engine) as server:
        server.run_sql("CREATE DATABASE kept")
        server.run_sql("CREATE TABLE t (x int)", "kept")
        server.run_sql("INSERT INTO t VALUES (1)", "kept")
        server.crash()
        assert wait_until_silent(server.port)
        server.start()
        server.run_sql("INSERT INTO t SELECT x FROM t", "kept")
        with pytest.raises(ServerError, match="nowhere"):
            server.run_sql("SELECT * FROM nowhere", "kept")
        port, folder = server.port, server.folder
    assert not is_listening(port)
    assert not folder.exists()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM], ids=str)
def test_a_server_ends_with_the_process_that_started_it(
    holder: tuple[subprocess.Popen[str], int, Path], ending: signal.Signals
) -> None:
    process, port, _ = holder
    assert is_listening(port)
    process.send_signal(ending)
    process.wait()
    assert wait_until_silent(port)


def test_what_a_killed_process_left_behind_is_removed_by_the_next_one(
    holder: tuple[subprocess.Popen[str], int, Path], engine: Engine
) -> None:
    process, port, folder = holder
    with running(engine):
        assert folder.exists()
    process.kill()
    process.wait()
    assert wait_until_silent(port)
    with running(engine):
        assert not folder.exists()


def test_the_server_does_not_run_as_root(engine: Engine) -> None:
    with running(engine) as server:
        assert server.process is not None
        owner = os.stat(f"/proc/{server.process.pid}").st_uid
        assert owner != 0


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(ServerError, match="apt-get install no-package"):
        find_binary("no-such-program", "no-package")
