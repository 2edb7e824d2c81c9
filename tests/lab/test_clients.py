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
from typing import Any

import pytest

from tests.lab.conftest import CLOUDS, ROOT, Site

SIDES = ("pod1", "top")
CLIENT = ROOT / "lab" / ".prepared" / "venvs" / "client" / "bin" / "python"
PROGRAM = ROOT / "lab" / "openstack" / "client.py"
TIMEOUT_S = 600

PLAIN = """
server list -f csv
server list --all-projects -f csv
server list --deleted -f csv
server list --name {server_name} -f csv
server list --flavor m1.tiny --status ACTIVE --limit 1 -f csv
server list --host {host} -f csv
server list --project other -f csv
server show {server} -f json
server show {absent} -f json
server show no-such-server -f json
server show --diagnostics {server} -f json
server event list {server} -f csv
server event list {absent} -f csv
server event show {server} {absent} -f json
server volume list {server} -f csv
server migration list -f csv
server set --property colour=red {server}
server unset --property colour {server}
server set --name {server_name} {server}
server lock {server}
server unlock {server}
server start {server}
server resume {server}
server unshelve {server}
server restore {server}
server resize revert {server}
server evacuate {server}
server delete {absent}
server create --flavor no-such-flavor --image tiny-image {mark}
server create --flavor m1.tiny --image no-such-image {mark}
server create --flavor m1.tiny --image tiny-image --availability-zone no-such-zone {mark}
server add volume {server} {absent}
server remove volume {server} {absent}
server add security group {server} no-such-group
server group list -f csv
server group list --all-projects -f csv
server group create --policy affinity {mark} -f json
server group show {mark} -f json
server group show no-such-group -f json
server group delete {mark}
console log show {server}
console log show {absent}
console url show {server} -f json
console url show --spice {server} -f json
console url show --serial {server} -f json
console url show {absent} -f json
flavor list -f csv
flavor list --all --long -f csv
flavor list --private -f csv
flavor show m1.tiny -f json
flavor show no-such-flavor -f json
flavor create --ram 64 --vcpus 1 --disk 1 --private {mark} -f json
flavor create --ram 64 --vcpus 1 --disk 1 --id 1 {mark}-again -f json
flavor set --property a:b=c {mark}
flavor set --project {project} {mark}
flavor show {mark} -f json
flavor unset --project {project} {mark}
flavor unset --property a:b {mark}
flavor delete {mark}
keypair list -f csv
keypair list --user {user} -f csv
keypair create --public-key {public_key} {mark} -f json
keypair create --public-key {public_key} {mark} -f json
keypair create --public-key /dev/null {mark}-bad -f json
keypair show {mark} -f json
keypair show --public-key {mark}
keypair show no-such-key -f json
keypair delete {mark}
aggregate list -f csv
aggregate create --zone {mark}-zone --property a=b {mark} -f json
aggregate create {mark} -f json
aggregate show {mark} -f json
aggregate show no-such-aggregate -f json
aggregate set --property c=d {mark}
aggregate unset --property c {mark}
aggregate add host {mark} no-such-host -f json
aggregate remove host {mark} no-such-host -f json
aggregate delete {mark}
hypervisor list -f csv
hypervisor list --matching {hypervisor} -f csv
hypervisor show {hypervisor} -f json
hypervisor show no-such-hypervisor -f json
hypervisor stats show -f json
compute service list -f csv
compute service list --host {host} --service nova-compute -f csv
compute service set --enable {host} nova-compute
compute service set --enable no-such-host nova-compute
compute service set --disable --disable-reason why no-such-host nova-compute
compute service delete no-such-service
host list -f csv
host show {host} -f csv
quota show -f csv
quota show --default -f csv
quota show --compute -f csv
quota show {project} -f csv
limits show --absolute -f csv
limits show --absolute --project {project} -f csv
usage list -f csv
usage show -f json
usage show --project {project} -f json
availability zone list -f csv
availability zone list --compute -f csv
availability zone list --compute --long -f csv
"""
NEW = """
server list -f csv
server list --long -f csv
server list --all-projects --long -f csv
server list --tags {mark} -f csv
server list --locked -f csv
server list --marker {absent} -f csv
server show {server} -f json
server show --topology {server} -f json
server event list --long {server} -f csv
server migration list -f csv
server migration list --server {server} -f csv
server migration show {server} 1 -f json
server set --tag {mark} {server}
server unset --tag {mark} {server}
server set --description why {server}
server unset --description {server}
server lock --reason why {server}
server unlock {server}
server create --flavor m1.tiny --image tiny-image --nic none --key-name no-such-key {mark}
server create --flavor m1.tiny --image tiny-image --nic none --hostname no.such-name! {mark}
server resume {server}
server evacuate {server}
server volume list {server} -f csv
server group create --policy anti-affinity --rule max_server_per_host=2 {mark} -f json
server group create --policy affinity --rule max_server_per_host=2 {mark}-bad -f json
server group show {mark} -f json
server group list --long --limit 1 -f csv
server group delete {mark}
console url show {server} -f json
flavor list --long -f csv
flavor show m1.tiny -f json
flavor create --ram 64 --vcpus 1 --disk 1 --description why {mark} -f json
flavor set --description more {mark}
flavor set --project {project} {mark}
flavor delete {mark}
keypair create --public-key {public_key} --type ssh {mark} -f json
keypair list --limit 1 -f csv
keypair list --project {project} -f csv
keypair show --user {user} {mark} -f json
keypair delete {mark}
aggregate list --long -f csv
aggregate create --zone {mark}-zone {mark} -f json
aggregate show {mark} -f json
aggregate delete {mark}
hypervisor list --long -f csv
hypervisor list --limit 1 -f csv
hypervisor show {hypervisor} -f json
hypervisor show {absent} -f json
hypervisor stats show -f json
compute service list --long -f csv
compute service set --enable {host} nova-compute
compute service set --up no-such-host nova-compute
compute service set --disable no-such-host nova-compute
compute service delete {absent}
quota show --compute -f csv
limits show --absolute -f csv
usage list -f csv
usage show -f json
availability zone list --compute --long -f csv
"""
REFUSED = (
    "quota set --instances 3 {project}",
    "quota delete --compute {project}",
    "quota list --compute -f csv",
)
"""What no administrator tries: two would change the lab, and the list is of all projects, of which
one that goes away meanwhile is an error of the client's."""

OPERATORS = ("aggregate ", "hypervisor ", "compute service ")
OF_OTHERS = ("{server}", "{project}", "{user}")


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.strip().splitlines())


def _sessions() -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the commands of each person and microversion.

    2.1 is that of a client which names none, 2.100 the newest that all pods of the lab have. A
    member of another project tries what names somebody else's things.
    """
    plain, new = _lines(PLAIN), _lines(NEW)
    of_others = tuple(one for one in plain if any(name in one for name in OF_OTHERS))
    return {
        ("admin", "2.1"): plain,
        ("demo", "2.1"): plain + REFUSED,
        ("reader", "2.1"): plain + REFUSED,
        ("other", "2.1"): of_others + REFUSED,
        ("admin", "2.100"): new,
        ("demo", "2.100"): tuple(one for one in new if not one.startswith(OPERATORS)),
    }


SESSIONS = _sessions()
CASES = [
    (person, version, number, command)
    for (person, version), commands in SESSIONS.items()
    for number, command in enumerate(commands)
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
    """How all commands ended, by place, person and microversion; in both places at once."""
    key = tmp_path_factory.mktemp("clients") / "key.pub"
    key.write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDj5mTIq7vNqQ0hlOVH2aLkX7d3m7oS8b2xJm5iPp2Qw a\n"
    )
    network = shared_member.network()
    places = [
        Place.found(side, connect(f"{side}-admin"), shared_member, network, str(key))
        for side in SIDES
    ]
    with ThreadPoolExecutor() as pool:
        yield {name: each for one in pool.map(Place.run, places) for name, each in one.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """The top or a pod, with what commands name there. Each has a server of its own."""

    name: str
    values: Mapping[str, str]

    @classmethod
    def found(cls, name: str, admin: Any, member: Site, network: Any, key: str) -> Place:
        """Return a place with a new server, which is in the first pod."""
        server = member.server("az1", network)
        session = member.cloud.session
        services = admin.compute.services(binary="nova-compute")
        hosts = sorted(service.host for service in services)
        hypervisors = sorted(each.name for each in admin.compute.hypervisors())
        values = {
            "server": server.id,
            "server_name": server.name,
            "mark": f"{member.mark}-{name}-made",
            "absent": "8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e",
            "host": hosts[0],
            "hypervisor": hypervisors[0],
            "project": session.get_project_id(),
            "user": session.get_user_id(),
            "public_key": key,
        }
        return cls(name, values)

    def run(self) -> Mapping[Key, list[Ended]]:
        """Return how all commands ended here, by person and microversion."""
        asked = [
            {
                "options": ["--os-cloud", f"{self.name}-{person}", *_at(version)],
                "commands": [shlex.split(one.format(**self.values)) for one in commands],
            }
            for (person, version), commands in SESSIONS.items()
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
            (self.name, *session): list(map(self._ended, commands, told))
            for (session, commands), told in zip(
                SESSIONS.items(), json.loads(done.stdout), strict=True
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


def _at(version: str) -> list[str]:
    return ["--os-compute-api-version", version]


def _columns(command: str, printed: str) -> tuple[str, ...]:
    if command.endswith("json") and printed:
        return tuple(json.loads(printed))
    if command.endswith("csv"):
        return tuple(next(csv.reader(printed.splitlines()), ()))
    return ()


@pytest.mark.parametrize(("person", "version", "number", "command"), CASES)
def test_a_command_ends_as_straight_at_a_pod(
    ended: Mapping[Key, list[Ended]], person: str, version: str, number: int, command: str
) -> None:
    straight, through = (ended[side, person, version][number] for side in SIDES)
    assert through == straight


@pytest.mark.parametrize("kind", ["flavor", "aggregate", "keypair", "server group"])
def test_an_administrator_is_not_refused(ended: Mapping[Key, list[Ended]], kind: str) -> None:
    done = dict(zip(SESSIONS["admin", "2.1"], ended["top", "admin", "2.1"], strict=True))
    assert done[f"{kind} list -f csv"].code == 0
    assert done[f"{kind} show {{mark}} -f json"].code == 0
    assert done[f"{kind} delete {{mark}}"].code == 0
