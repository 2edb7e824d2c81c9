"""Starting, finding and ending the processes of the lab.

Every process is started with TRICIRCLE_LAB=<folder of this lab> in its
environment. The mark is inherited and cannot be confused with a reused process
id, so `/proc` alone tells what belongs to this lab, even when it was left
behind by a command that died.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab.settings import LAB_FOLDER, Address, LabError, Settings

MARK = "TRICIRCLE_LAB"
STOP_DEADLINE_S = 15.0


@dataclass(frozen=True, slots=True)
class Family:
    """What services started by one launcher have in common; see lab/openstack/launch.py."""

    name: str
    python: Path
    concurrency: str
    preload: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the lab: either a command, or a member of a family (never both)."""

    name: str
    group: str
    address: Address | None = None
    command: tuple[str, ...] = ()
    family: Family | None = None
    entry: str = ""
    before: str = ""
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    threads: int = 0
    user: str = ""
    start_deadline_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Running:
    """A live process as the kernel describes it."""

    pid: int
    parent: int
    session: int
    command: str
    state: str

    @property
    def is_paused(self) -> bool:
        return self.state == "T"


def log_path(settings: Settings, name: str) -> Path:
    return settings.logs / f"{name}.log"


def pid_path(settings: Settings, name: str) -> Path:
    return settings.run / "pids" / f"{name}.pid"


def base_environment(settings: Settings, name: str) -> dict[str, str]:
    """The environment of a child: nothing of the user's, so that each machine does the same."""
    temporary = settings.run / "tmp" / name
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(settings.run / "home"),
        "XDG_CACHE_HOME": str(settings.run / "home" / ".cache"),
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(settings.run / "python"),
        "PYTHONUNBUFFERED": "1",
        MARK: str(settings.run),
    }


def renew_temporary_folder(settings: Settings, name: str) -> None:
    """Give the process an empty TMPDIR.

    Neutron elects its first worker by a file in it that is keyed by the parent's
    process id; a stale one leaves a new database without segment ranges.
    """
    folder = settings.run / "tmp" / name
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    folder.mkdir(parents=True)


def start(settings: Settings, processes: Sequence[Process]) -> None:
    """Start the processes, those of one family from one launcher; returns before they are ready."""
    families: dict[Family, list[Process]] = {}
    for process in processes:
        renew_temporary_folder(settings, process.name)
        if process.family:
            families.setdefault(process.family, []).append(process)
        else:
            start_command(settings, process)
    for family, members in families.items():
        start_family(settings, family, members)


def start_command(settings: Settings, process: Process) -> None:
    """Start one plain command in a session of its own and note its process id."""
    environment = base_environment(settings, process.name) | dict(process.environment)
    path = log_path(settings, process.name)
    with path.open("ab") as log:
        child = subprocess.Popen(
            process.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=settings.run,
            start_new_session=True,
            user=process.user or None,
            group=process.user or None,
        )
    pid_path(settings, process.name).write_text(f"{child.pid}\n")


def start_family(settings: Settings, family: Family, members: Sequence[Process]) -> None:
    """Start a launcher that forks the members and ends; it logs to its own file."""
    name = f"launch-{family.name}"
    description = settings.run / "launch" / f"{family.name}.json"
    described = {
        "concurrency": family.concurrency,
        "preload": family.preload,
        "members": [member_description(settings, member) for member in members],
    }
    description.write_text(json.dumps(described, indent=1))
    environment = base_environment(settings, name) | dict(members[0].environment)
    renew_temporary_folder(settings, name)
    with log_path(settings, name).open("wb") as log:
        child = subprocess.Popen(
            [str(family.python), "-m", "lab.openstack.launch", str(description)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=settings.run,
            start_new_session=True,
        )
    for member in members:
        pid_path(settings, member.name).write_text(f"{child.pid}\n")


def member_description(settings: Settings, member: Process) -> dict[str, object]:
    """One member as lab/openstack/launch.py reads it."""
    described: dict[str, object] = {
        "name": member.name,
        "entry": member.entry,
        "before": member.before,
        "arguments": list(member.arguments),
        "environment": base_environment(settings, member.name) | dict(member.environment),
        "log": str(log_path(settings, member.name)),
        "pid_file": str(pid_path(settings, member.name)),
    }
    if member.threads and member.address:
        described["listen"] = list(asdict(member.address).values())
        described["threads"] = member.threads
    return described


def find_running(settings: Settings) -> dict[int, Running]:
    """Every live process that carries this lab's mark or descends from one, by process id.

    Descendants are counted because some programs, such as PostgreSQL, overwrite
    the environment the mark is in.
    """
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    alive = {pid: running for pid in numbers if (running := read_process(pid))}
    ours = {pid for pid in alive if is_ours(settings, pid)}
    while born := {p for p, one in alive.items() if one.parent in ours and p not in ours}:
        ours |= born
    return {pid: alive[pid] for pid in ours}


def is_ours(settings: Settings, pid: int) -> bool:
    """Whether the process carries this lab's mark."""
    return environment_of(pid).get(MARK) == str(settings.run)


def environment_of(pid: int) -> dict[str, str]:
    """The environment a process was started with; empty when it may not be read."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    pairs = (variable.decode(errors="replace").partition("=") for variable in variables)
    return {name: value for name, _, value in pairs}


def read_process(pid: int) -> Running | None:
    """What the kernel says of a process; None when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    state, parent, _group, session = stat.rpartition(")")[2].split()[:4]
    if state in "ZX":
        return None
    words = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return Running(pid, int(parent), int(session), words, state)


def find_pid(settings: Settings, name: str) -> int | None:
    """The process id of a named process when it is alive and ours.

    The file holds the launcher's id until the member is forked; a launcher that
    is gone has therefore changed the file, which is read again.
    """
    path = pid_path(settings, name)
    seen = None
    while True:
        try:
            pid = int(path.read_text())
        except (OSError, ValueError):
            return None
        if read_process(pid) and is_ours(settings, pid):
            return pid
        if pid == seen:
            return None
        seen = pid


def find_orphans(settings: Settings, names: Iterable[str]) -> list[int]:
    """What the named processes, dead themselves, have left behind in their sessions."""
    sessions = set()
    for name in names:
        with contextlib.suppress(OSError, ValueError):
            sessions.add(int(pid_path(settings, name).read_text()))
    return [one.pid for one in find_running(settings).values() if one.session in sessions]


def members_of(pid: int, running: Mapping[int, Running]) -> list[int]:
    """The process and all that it has forked."""
    found = {one.pid for one in running.values() if one.pid == pid or one.session == pid}
    while born := {p for p, one in running.items() if one.parent in found and p not in found}:
        found |= born
    return sorted(found)


def proportional_memory_kib(pids: Iterable[int]) -> int:
    """The memory of the processes, shared pages counted by their share (PSS)."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each; one that is gone already is fine."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def stop(settings: Settings, pids: Iterable[int]) -> None:
    """Ask the processes to end, so that they leave whole data; returns when all are gone."""
    wanted = set(pids)
    signal_all(wanted, signal.SIGTERM)
    deadline = time.monotonic() + STOP_DEADLINE_S
    while wanted & set(find_running(settings)):
        if time.monotonic() > deadline:
            kill(settings, wanted)
        time.sleep(0.1)


def kill(settings: Settings, pids: Iterable[int]) -> None:
    """End the processes at once, as a power cut would; returns when all are gone."""
    wanted = set(pids)
    while wanted := wanted & set(find_running(settings)):
        signal_all(wanted, signal.SIGKILL)
        time.sleep(0.05)


def kill_all(settings: Settings) -> int:
    """End every process of the lab at once, also those born meanwhile; returns how many."""
    ended: set[int] = set()
    while running := set(find_running(settings)):
        ended |= running
        kill(settings, running)
    return len(ended)


def prepare_python_path(settings: Settings) -> None:
    """Make the folder that lets the pods' Pythons see this package and its Neutron drivers."""
    folder = settings.run / "python"
    metadata = folder / "tricircle_lab-1.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tricircle-lab\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[neutron.ml2.mechanism_drivers]\n"
        "lab = lab.openstack.binding:PodDriver\n"
        "lab_top = lab.openstack.binding:TopDriver\n"
    )
    link = folder / "lab"
    if not link.is_symlink():
        link.symlink_to(LAB_FOLDER)


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, indented; a note when there is none."""
    try:
        text = path.read_text(errors="replace").splitlines()
    except OSError:
        return "    (no log)"
    return "\n".join(f"    {line[:300]}" for line in text[-lines:]) or "    (empty log)"


def wait_for(settings: Settings, processes: Sequence[Process]) -> None:
    """Wait until each process with an address listens; raises LabError with the log's end."""
    waiting = {process.address: process for process in processes if process.address}
    begin = time.monotonic()
    while waiting:
        for address, process in tuple(waiting.items()):
            if is_listening(address):
                del waiting[address]
            elif has_ended(settings, process.name):
                raise_failed(settings, process, "ended while starting")
            elif time.monotonic() - begin > process.start_deadline_s:
                raise_failed(settings, process, f"does not answer on {address}")
        time.sleep(0.2 if waiting else 0)


def has_ended(settings: Settings, name: str) -> bool:
    """Whether a process that was started is gone.

    In the instant between exec and its new image a process shows no environment, by
    which we know our own: so it is looked at twice.
    """
    if find_pid(settings, name) is not None:
        return False
    time.sleep(0.1)
    return find_pid(settings, name) is None


def is_listening(address: Address) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((address.host, address.port), timeout=1):
            return True
    except OSError:
        return False


def raise_failed(settings: Settings, process: Process, what: str) -> None:
    """Raise LabError that shows the end of the process's log."""
    path = log_path(settings, process.name)
    text = tail(path)
    launcher = log_path(settings, f"launch-{process.family.name}") if process.family else None
    if launcher and launcher.exists() and launcher.stat().st_size:
        text += f"\n  and of its launcher, {launcher}:\n{tail(launcher)}"
    raise LabError(
        f"{process.name} {what}. The end of {path}:\n{text}\n"
        "Mend what the log says and run 'make lab-up' again, or clear up with 'make lab-down'."
    )
