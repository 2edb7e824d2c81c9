"""Finding and ending processes, with real ones."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import ports, processes
from lab.processes import MARK, Process
from lab.settings import Address, LabError, Settings, settings_of

# The lab leaves its processes running on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")

FORKS_AND_ENDS = "import os, time\nif os.fork() == 0:\n    time.sleep(60)\n"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    found = replace(settings_of(1, False, {}), run=tmp_path)
    for name in ("logs", "pids", "tmp", "launch"):
        (tmp_path / name).mkdir()
    yield found
    processes.kill_all(found)


def sleeper(name: str) -> Process:
    return Process(name, "shared", command=(sys.executable, "-c", "import time; time.sleep(60)"))


def test_a_started_process_is_found_by_name_and_by_mark(settings: Settings) -> None:
    processes.start(settings, [sleeper("one")])
    pid = processes.find_pid(settings, "one")
    assert pid in processes.find_running(settings)


def test_a_process_of_someone_else_is_never_taken_for_ours(settings: Settings) -> None:
    processes.pid_path(settings, "one").write_text(f"{os.getpid()}\n")
    assert processes.find_pid(settings, "one") is None
    assert os.getpid() not in processes.find_running(settings)


def test_stop_ends_a_process_that_was_asked(settings: Settings) -> None:
    processes.start(settings, [sleeper("one"), sleeper("two")])
    processes.stop(settings, processes.find_running(settings))
    assert processes.find_running(settings) == {}


def test_a_frozen_process_is_ended_too(settings: Settings) -> None:
    processes.start(settings, [sleeper("one")])
    processes.signal_all(processes.find_running(settings), signal.SIGSTOP)
    assert processes.kill_all(settings) == 1
    assert processes.find_running(settings) == {}


def test_what_a_dead_process_left_behind_is_found(settings: Settings) -> None:
    processes.start(
        settings, [replace(sleeper("one"), command=(sys.executable, "-c", FORKS_AND_ENDS))]
    )
    give_up = time.monotonic() + 10
    while processes.find_pid(settings, "one") is not None and time.monotonic() < give_up:
        time.sleep(0.05)
    assert len(processes.find_orphans(settings, ["one"])) == 1


def test_a_process_that_dies_while_starting_is_reported_with_its_last_words(
    settings: Settings,
) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no disk left')")
    process = Process("one", "shared", Address("127.77.250.1", 1), command)
    processes.start(settings, [process])
    with pytest.raises(LabError, match=r"one ended while starting[\s\S]*no disk left"):
        processes.wait_for(settings, [process])


def test_a_taken_address_is_named_with_its_holder() -> None:
    with socket.create_server(("127.77.250.2", 0)) as server:
        address = Address("127.77.250.2", server.getsockname()[1])
        with pytest.raises(
            LabError, match=rf"{address} \(for nova\): held by process {os.getpid()}"
        ):
            ports.require_free([("nova", address)])
    ports.require_free([("nova", address)])


def test_a_remnant_of_a_lab_is_said_to_be_one(tmp_path: Path) -> None:
    code = (
        "import socket, sys; s = socket.create_server(('127.77.250.3', 0));"
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={MARK: str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        address = Address("127.77.250.3", int(child.stdout.readline()))
        with pytest.raises(LabError, match=f"left over from the lab in {tmp_path}"):
            ports.require_free([("nova", address)])
