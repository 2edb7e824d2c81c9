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

import amqp
import pytest

from tricircle.testing.servers import (
    ADDRESS,
    Engine,
    MariaDb,
    PostgreSql,
    RabbitMq,
    ServerError,
    SqlEngine,
    find_binary,
    running,
)

pytestmark = pytest.mark.database

HOLDER = """
import sys, time
from tricircle.testing import servers
kinds = [servers.MariaDb(), servers.PostgreSql(), servers.RabbitMq()]
engine = {kind.name: kind for kind in kinds}[sys.argv[1]]
with servers.running(engine) as server:
    print(server.process.pid, server.port, server.folder, flush=True)
    time.sleep(300)
"""


DATABASES: list[SqlEngine] = [MariaDb(), PostgreSql()]


@pytest.fixture(params=[*DATABASES, RabbitMq()], ids=lambda engine: engine.name)
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


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of what runs in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def wait_until_left(folder: Path) -> bool:
    deadline = time.monotonic() + 10
    while processes_in(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not processes_in(folder)


@pytest.mark.parametrize("engine", DATABASES, ids=lambda engine: engine.name)
def test_a_database_keeps_its_data_over_a_crash_and_is_gone_afterwards(engine: SqlEngine) -> None:
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


def test_a_broker_keeps_its_data_over_a_crash_and_is_gone_afterwards() -> None:
    with running(RabbitMq()) as server:
        with amqp.Connection(f"{ADDRESS}:{server.port}", confirm_publish=True) as client:
            quorum = {"x-queue-type": "quorum"}
            channel = client.channel()
            channel.queue_declare("kept", durable=True, auto_delete=False, arguments=quorum)
            channel.basic_publish(amqp.Message("still here"), routing_key="kept")
        server.crash()
        assert wait_until_silent(server.port)
        server.start()
        with amqp.Connection(f"{ADDRESS}:{server.port}") as client:
            assert client.channel().basic_get("kept").body == "still here"
        port, folder = server.port, server.folder
    assert not is_listening(port)
    assert not folder.exists()
    assert wait_until_left(folder)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM], ids=str)
def test_a_server_ends_with_the_process_that_started_it(
    holder: tuple[subprocess.Popen[str], int, Path], ending: signal.Signals
) -> None:
    process, port, folder = holder
    assert is_listening(port)
    assert processes_in(folder)
    process.send_signal(ending)
    process.wait()
    assert wait_until_silent(port)
    assert wait_until_left(folder)


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
