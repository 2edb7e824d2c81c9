"""One cloud made of two: what a member of a project does with the unmodified openstack client.

Every command goes to the top alone. The pods are asked afterwards, as the same
user, only to tell where each result landed.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lab import composition, content
from lab.api import Api, ApiError
from lab.progress import say
from lab.settings import LabError, Settings

CLOUD = "top-demo"
DEADLINE_S = 120


class Client:
    """The openstack client as a member of project demo, shown as it would be typed."""

    def __init__(self, settings: Settings) -> None:
        self._program = str(settings.venv("client") / "bin" / "openstack")
        self._environment = {
            **os.environ,
            "OS_CLIENT_CONFIG_FILE": str(settings.clouds_file),
            "OS_CLOUD": CLOUD,
        }

    def run(self, *words: str, show: bool = True) -> Any:
        """The JSON that a command prints."""
        if show:
            say(f"$ openstack {shlex.join(words)}")
        return json.loads(self._call([*words, "-f", "json"]))

    def show_table(self, *words: str) -> None:
        """Print a command and its table as the client draws it."""
        say(f"$ openstack {shlex.join(words)}")
        print(self._call(words), end="", flush=True)

    def _call(self, words: Sequence[str]) -> str:
        done = subprocess.run(
            [self._program, *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE_S,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise LabError(
                f"'openstack {shlex.join(words)}' failed: {said}; the gateways' logs are "
                "lab/run/logs/top-tricircle-*.log"
            )
        return done.stdout


def demo(settings: Settings) -> None:
    """Make a network, servers and volumes through the top, and say where they are."""
    if not composition.tricircle_processes(settings):
        raise LabError("the top is not running, so there is nothing to show; 'make lab-up' first")
    client, mark = Client(settings), time.strftime("%H%M%S")
    where = Whereabouts(settings)
    zones = show_zones(client)
    network = create_network(client, f"demo-{mark}")
    servers = {zone: create_server(client, where, zone, network, mark) for zone in zones}
    volumes = {zone: create_volume(client, where, zone, mark) for zone in zones}
    attach(client, servers[zones[0]], volumes[zones[0]])
    with told("one list of the servers of all pods, and one of the volumes"):
        client.show_table("server", "list", "--long", *_columns("Name", "Status", "Networks"),
                          *_columns("Availability Zone"))  # fmt: skip
        client.show_table("volume", "list")
    say_how_to_go_on(settings)


@contextmanager
def told(text: str) -> Iterator[list[str]]:
    """Say what was done, how long it took, and what the block adds to the list it is given."""
    begin = time.monotonic()
    facts: list[str] = []
    yield facts
    added = "".join(f", {fact}" for fact in facts)
    say(f"  {text}: {time.monotonic() - begin:.1f} s{added}")


def show_zones(client: Client) -> list[str]:
    """The names of the zones of the top, said aloud."""
    with told("each zone is another OpenStack, of another release") as facts:
        found = client.run("availability", "zone", "list", "--compute")
        zones = sorted(zone["Zone Name"] for zone in found)
        facts.append(", ".join(zones))
    return zones


def create_network(client: Client, name: str) -> str:
    """The id of a new network with a subnet, at the top only."""
    with told("a network and its subnet, at the top only"):
        network: str = client.run("network", "create", name)["id"]
        client.run("subnet", "create", "--network", name, "--subnet-range", "10.20.0.0/24", name)
    return network


def create_server(client: Client, where: Whereabouts, zone: str, network: str, mark: str) -> str:
    """The id of a new server in a zone, once it is ACTIVE."""
    with told(f"a server in {zone}") as facts:
        made = client.run(
            "server", "create", "--flavor", content.FLAVORS[0][1], "--image", content.IMAGE,
            "--network", network, "--availability-zone", zone, "--wait", f"demo-{mark}-{zone}",
        )  # fmt: skip
        facts.append(where.of_server(made["id"]))
        facts.append(f"addresses {_addresses(made['addresses'])}")
    server: str = made["id"]
    return server


def create_volume(client: Client, where: Whereabouts, zone: str, mark: str) -> str:
    """The id of a new volume in a zone, once it is available."""
    with told(f"a volume in {zone}") as facts:
        made = client.run(
            "volume", "create", "--size", "1", "--availability-zone", zone, f"demo-{mark}-{zone}"
        )
        volume: str = made["id"]
        wait_for_volume(client, volume, "available")
        facts.append(where.of_volume(volume))
    return volume


def attach(client: Client, server: str, volume: str) -> None:
    """Attach the volume to the server and wait until it is in use."""
    with told("the first volume attached to the first server"):
        client.run("server", "add", "volume", server, volume)
        wait_for_volume(client, volume, "in-use")


def wait_for_volume(client: Client, volume: str, wanted: str) -> None:
    """Return once the volume has the status; raises LabError when it gets another for good."""
    give_up = time.monotonic() + DEADLINE_S
    while True:
        status = client.run("volume", "show", volume, show=False)["status"]
        if status == wanted:
            return
        if "error" in status or time.monotonic() > give_up:
            raise LabError(f"volume {volume} is {status}, not {wanted}")


class Whereabouts:
    """In which pod a resource is, asked of the pods themselves as the same user."""

    def __init__(self, settings: Settings) -> None:
        password = composition.passwords_of(settings)["demo"]
        self._settings = settings
        self._api = Api(settings, "demo", "demo", password)

    def of_server(self, server: str) -> str:
        """The pod of a server, in words."""
        return self._find(
            {pod.name: f"{pod.compute.url}/v2.1/servers/{server}" for pod in self._settings.pods}
        )

    def of_volume(self, volume: str) -> str:
        """The pod of a volume, in words."""
        project = self._api.project_id()
        return self._find(
            {
                pod.name: f"{pod.volume.url}/v3/{project}/volumes/{volume}"
                for pod in self._settings.pods
            }
        )

    def _find(self, urls: dict[str, str]) -> str:
        releases = {pod.name: pod.release for pod in self._settings.pods}
        for name, url in urls.items():
            try:
                self._api.get(url)
            except ApiError:
                continue
            return f"it is in {name} ({releases[name]})"
        return "it is in no pod"


def say_how_to_go_on(settings: Settings) -> None:
    """Say which commands come next."""
    say("that was one cloud made of several. To go on by hand:")
    say(f"  export OS_CLIENT_CONFIG_FILE={settings.clouds_file} OS_CLOUD={CLOUD}")
    say(f"  PATH={settings.venv('client') / 'bin'}:$PATH")
    say("  openstack server list")
    say("'make lab-status' shows every process, 'make lab-down' ends them")


def _columns(*names: str) -> list[str]:
    return [word for name in names for word in ("-c", name)]


def _addresses(addresses: object) -> str:
    """The addresses of a server in words; the client gives them by network."""
    if not isinstance(addresses, dict):
        return str(addresses)
    return ", ".join(str(one) for found in addresses.values() for one in found) or "none"
