"""Clients of the running lab, each as somebody who really uses a cloud."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openstack
import pytest

ROOT = Path(__file__).resolve().parents[2]
CLOUDS = ROOT / "lab" / "run" / "clouds.yaml"
WAIT_S = 120


def lab_command(*arguments: str) -> str:
    """Run a command of the lab and return what it prints and tells."""
    command = [sys.executable, "-m", "lab", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="session", autouse=True)
def lab_is_up() -> None:
    """Fail at once, with the next step, when there is no lab."""
    if not CLOUDS.exists():
        pytest.fail("the lab is not up; run 'make lab-up' first, or 'make test' for everything")


@pytest.fixture(scope="session")
def connect(lab_is_up: None) -> Callable[[str], Any]:
    """Return a function that connects as one of the clouds of clouds.yaml, e.g. top-demo."""
    config = openstack.config.loader.OpenStackConfig(config_files=[str(CLOUDS)])
    connections: dict[str, Any] = {}

    def get(cloud: str) -> Any:
        if cloud not in connections:
            region = config.get_one(cloud=cloud)
            connections[cloud] = openstack.connection.Connection(config=region)
        return connections[cloud]

    return get


@dataclass
class Site:
    """What a test makes, and takes away at its end in the right order."""

    cloud: Any
    mark: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:8]}")
    undo: ExitStack = field(default_factory=ExitStack)

    def network(self, cidr: str = "10.77.0.0/24") -> Any:
        """Return a new network with one subnet."""
        network = self.cloud.network.create_network(name=self.mark)
        self.undo.callback(self.cloud.network.delete_network, network)
        self.cloud.network.create_subnet(network_id=network.id, cidr=cidr, ip_version=4)
        return network

    def server(self, zone: str, network: Any, **more: Any) -> Any:
        """Return a new server that is ACTIVE, on a network unless that is None."""
        compute = self.cloud.compute
        networks = "none" if network is None else [{"uuid": network.id}]
        created = compute.create_server(
            name=f"{self.mark}-{zone}",
            availability_zone=zone,
            **{
                "flavor_id": compute.find_flavor("m1.tiny", ignore_missing=False).id,
                "networks": networks,
                "image_id": self.image().id,
                **more,
            },
        )
        self.undo.callback(self._remove_server, created.id)
        return compute.wait_for_server(created, wait=WAIT_S)

    def image(self) -> Any:
        """Return the image that servers boot from."""
        return self.cloud.image.find_image("tiny-image", ignore_missing=False)

    def volume(self, zone: str, **more: Any) -> Any:
        """Return a new volume that is available."""
        created = self.cloud.block_storage.create_volume(
            name=f"{self.mark}-{zone}", size=1, availability_zone=zone, **more
        )
        self.undo.callback(self._remove_volume, created.id)
        return self.cloud.block_storage.wait_for_status(created, "available", wait=WAIT_S)

    def _remove_server(self, server_id: str) -> None:
        self.cloud.compute.delete_server(server_id, ignore_missing=True)
        server = self.cloud.compute.find_server(server_id)
        if server is not None:
            self.cloud.compute.wait_for_delete(server, wait=WAIT_S)

    def _remove_volume(self, volume_id: str) -> None:
        volume = self.cloud.block_storage.find_volume(volume_id)
        if volume is not None:
            self.cloud.block_storage.wait_for_status(volume, "available", wait=WAIT_S)
            self.cloud.block_storage.delete_volume(volume, cascade=True)
            self.cloud.block_storage.wait_for_delete(volume, wait=WAIT_S)


@pytest.fixture
def member(connect: Callable[[str], Any]) -> Iterator[Site]:
    """A plain member of project demo, through the top alone."""
    site = Site(connect("top-demo"))
    with site.undo:
        yield site


@pytest.fixture(scope="module")
def shared_member(connect: Callable[[str], Any]) -> Iterator[Site]:
    """The same, for what several tests of a module use."""
    site = Site(connect("top-demo"))
    with site.undo:
        yield site
