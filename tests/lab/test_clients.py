"""The openstack client as everybody: what a command says straight at a pod, it says of the top."""

from __future__ import annotations

import csv
import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from tests.lab import commands
from tests.lab.conftest import CLOUDS, ROOT, WAIT_S, Site

SIDES = ("pod1", "top")
CLIENT = ROOT / "lab" / ".prepared" / "venvs" / "client" / "bin" / "python"
PROGRAM = ROOT / "lab" / "openstack" / "client.py"
TIMEOUT_S = 600

pytestmark = pytest.mark.lab

OPERATORS = ("aggregate ", "hypervisor ", "compute service ")
OF_OTHERS = ("{server}", "{project}", "{user}", "{volume}", "{snapshot}", "{backup}")


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.strip().splitlines())


def _of_others(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in lines if any(name in one for name in OF_OTHERS))


def _for_reader(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return the commands that may be refused to a reader, or show him something.

    He makes nothing that a later command could be about, and finds no more than others do.
    """
    nothing = ("{absent}", "no-such-")
    found = (one for one in lines if not any(name in one for name in nothing))
    return tuple(one for one in found if "{mark}" not in one or " create " in one)


def _sessions() -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the commands of each person and version of an API.

    2.1 and 3 are what a client has which names none, 2.100 and 3.70 the newest, or nearly, that all
    pods of the lab have. A member of another project tries what names somebody else's things.
    """
    compute, compute_new = _lines(commands.COMPUTE), _lines(commands.COMPUTE_NEW)
    volume, volume_new = _lines(commands.VOLUME), _lines(commands.VOLUME_NEW)
    refused, volume_refused = _lines(commands.REFUSED), _lines(commands.VOLUME_REFUSED)
    return {
        ("admin", "compute 2.1"): compute,
        ("demo", "compute 2.1"): compute + refused,
        ("reader", "compute 2.1"): _for_reader(compute) + refused,
        ("other", "compute 2.1"): _of_others(compute) + refused,
        ("admin", "compute 2.100"): compute_new,
        ("demo", "compute 2.100"): tuple(
            one for one in compute_new if not one.startswith(OPERATORS)
        ),
        ("admin", "volume 3"): volume,
        ("demo", "volume 3"): volume,
        ("reader", "volume 3"): _for_reader(volume) + volume_refused,
        ("other", "volume 3"): _of_others(volume) + volume_refused,
        ("admin", "volume 3.70"): volume_new + _lines(commands.VOLUME_TOLD),
        ("demo", "volume 3.70"): volume_new,
        ("reader", "volume 3.70"): _for_reader(volume_new),
        ("other", "volume 3.70"): _of_others(volume_new),
    }


SESSIONS = _sessions()
CASES = [
    (person, version, number, command)
    for (person, version), lines in SESSIONS.items()
    for number, command in enumerate(lines)
]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. What differs from place to place is replaced in ``error``."""

    code: int
    columns: tuple[str, ...]
    error: str


Key = tuple[str, str, str]


@pytest.fixture(scope="module")
def ended(
    shared_member: Site, connect: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Key, list[Ended]]]:
    """How all commands ended, by place, person and version; places and services at once."""
    key = tmp_path_factory.mktemp("clients") / "key.pub"
    key.write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDj5mTIq7vNqQ0hlOVH2aLkX7d3m7oS8b2xJm5iPp2Qw a\n"
    )
    network = shared_member.network()
    places = [
        Place.found(side, connect(f"{side}-admin"), shared_member, network, str(key))
        for side in SIDES
    ]
    runs = product(places, ("compute", "volume"))
    with ThreadPoolExecutor() as pool:
        done = pool.map(lambda run: run[0].run(run[1]), runs)
        yield {name: each for one in done for name, each in one.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """The top or a pod, with what commands name there: a server, a volume and more of its own."""

    name: str
    values: Mapping[str, str]

    @classmethod
    def found(cls, name: str, admin: Any, member: Site, network: Any, key: str) -> Place:
        """Return a place with a new server and volume, which are in the first pod."""
        server, volume = member.server("az1", network), member.volume("az1")
        snapshot, backup = _saved(member, volume)
        session = member.cloud.session
        services = admin.compute.services(binary="nova-compute")
        hosts = sorted(service.host for service in services)
        hypervisors = sorted(each.name for each in admin.compute.hypervisors())
        backends = admin.block_storage.services(binary="cinder-volume")
        values = {
            "server": server.id,
            "server_name": server.name,
            "volume": volume.id,
            "volume_name": volume.name,
            "snapshot": snapshot.id,
            "backup": backup.id,
            "group_type": _group_type(admin, member, f"{member.mark}-{name}").id,
            "zone": {"top": "az1"}.get(name, "nova"),
            "mark": f"{member.mark}-{name}-made",
            "absent": "8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e",
            "host": hosts[0],
            "hypervisor": hypervisors[0],
            "volume_host": min(service.host for service in backends),
            "project": session.get_project_id(),
            "user": session.get_user_id(),
            "public_key": key,
        }
        return cls(name, values)

    def run(self, service: str) -> Mapping[Key, list[Ended]]:
        """Return how all commands of a service ended here, by person and version."""
        sessions = {key: lines for key, lines in SESSIONS.items() if key[1].startswith(service)}
        asked = [
            {
                "options": ["--os-cloud", f"{self.name}-{person}", *_at(version)],
                "commands": [shlex.split(one.format(**self.values)) for one in lines],
            }
            for (person, version), lines in sessions.items()
        ]
        done = subprocess.run(
            [str(CLIENT), str(PROGRAM)],
            input=json.dumps(asked),
            env={"OS_CLIENT_CONFIG_FILE": str(CLOUDS), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return {
            (self.name, *session): list(map(self._ended, lines, told))
            for (session, lines), told in zip(
                sessions.items(), json.loads(done.stdout), strict=True
            )
        }

    def _ended(self, command: str, told: Mapping[str, Any]) -> Ended:
        error = str(told["error"])
        for name in ("mark", "server_name", "host", "hypervisor"):
            error = error.replace(self.values[name], f"<{name}>")
        error = re.sub(r"http://[^/ ]+", "http://<place>", error)
        error = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<id>", error)
        error = re.sub(r"(?<=[/ ])\d+(?=[/,]|$)", "<number>", error)
        error = re.sub(r"\?\S*,", "?<query>,", error)
        return Ended(int(told["code"]), _columns(command, told["out"]), error)


def _saved(member: Site, volume: Any) -> tuple[Any, Any]:
    """Return a new snapshot and a new backup of a volume."""
    storage = member.cloud.block_storage
    snapshot = storage.create_snapshot(volume_id=volume.id, name=volume.name)
    member.undo.callback(storage.wait_for_delete, snapshot, wait=WAIT_S)
    member.undo.callback(storage.delete_snapshot, snapshot)
    storage.wait_for_status(snapshot, "available", wait=WAIT_S, interval=1)
    backup = storage.create_backup(volume_id=volume.id, name=volume.name)
    member.undo.callback(storage.delete_backup, backup)
    return snapshot, storage.wait_for_status(backup, "available", wait=WAIT_S, interval=1)


def _group_type(admin: Any, member: Site, name: str) -> Any:
    """Return a new group type of a place."""
    made = admin.block_storage.create_group_type(name=name)
    member.undo.callback(admin.block_storage.delete_group_type, made)
    return made


def _at(version: str) -> list[str]:
    service, number = version.split()
    return [f"--os-{service}-api-version", number]


def _columns(command: str, printed: str) -> tuple[str, ...]:
    if command.endswith("json") and printed:
        shown = json.loads(printed)
        return tuple(shown[0] if isinstance(shown, list) else shown)
    if command.endswith("csv"):
        return tuple(next(csv.reader(printed.splitlines()), ()))
    return ()


@pytest.mark.parametrize(("person", "version", "number", "command"), CASES)
def test_a_command_ends_as_straight_at_a_pod(
    ended: Mapping[Key, list[Ended]], person: str, version: str, number: int, command: str
) -> None:
    straight, through = (ended[side, person, version][number] for side in SIDES)
    assert through == straight


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("compute 2.1", "flavor"),
        ("compute 2.1", "aggregate"),
        ("compute 2.1", "keypair"),
        ("compute 2.1", "server group"),
        ("volume 3", "volume"),
        ("volume 3", "volume snapshot"),
        ("volume 3", "volume backup"),
        ("volume 3", "volume type"),
        ("volume 3", "volume qos"),
        ("volume 3", "volume transfer request"),
        ("volume 3.70", "volume group"),
    ],
)
def test_an_administrator_is_not_refused(
    ended: Mapping[Key, list[Ended]], version: str, kind: str
) -> None:
    done = zip(SESSIONS["admin", version], ended["top", "admin", version], strict=True)
    good = {command for command, told in done if told.code == 0}
    assert f"{kind} list -f csv" in good
    for verb in ("show", "delete"):
        done_to_own = (one for one in good if "{mark}" in one or "@id" in one)
        assert any(f"{kind} {verb}" in one for one in done_to_own)
