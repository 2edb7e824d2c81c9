"""Creations through the top and straight at a pod of a running lab, one after the other.

    python -m bench.creations lab/run/clouds.yaml

Servers on a network that the pod knows already, so that what is left is what each boot
costs, and volumes. Times are those of the answer; what was made is deleted at the end.
Straight at the pod, servers are on a network of the pod's own, which has addresses for all.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import openstack
from openstack.config import OpenStackConfig
from openstack.exceptions import ConflictException
from openstack.utils import iterate_timeout

ROUNDS = 12
REST_S = 2.0
"""Before each creation: what the one before has set going in the background ends first."""

USER = "demo"
POD = "pod1"
NAME = "bench-creations"


@dataclass(frozen=True, slots=True)
class Figure:
    """Times until the answer, in ms, one after the other through the top and straight."""

    top: list[float]
    straight: list[float]

    def __str__(self) -> str:
        lines = []
        # the shortest says most on a machine where much else goes on
        for name, of in (("median", statistics.median), ("shortest", min)):
            top_ms, straight_ms = of(self.top), of(self.straight)
            lines.append(
                f"{name}: {top_ms:.0f} ms through the top, {straight_ms:.0f} ms straight, "
                f"{top_ms / straight_ms:.2f} x"
            )
        return "\n".join(lines)


def connect(clouds_file: str) -> tuple[Any, Any]:
    """Return a member's connections to the top and to the pod."""
    config = OpenStackConfig(config_files=[clouds_file])
    top, pod = (
        openstack.connection.Connection(config=config.get_one(cloud=f"{where}-{USER}"))
        for where in ("top", POD)
    )
    return top, pod


def run_volumes(top: Any, pod: Any, zone: str) -> Figure:
    """Measure volumes; nothing stays."""
    figure = Figure([], [])
    try:
        for _ in range(ROUNDS):
            figure.top.append(_make_volume(top, availability_zone=zone))
            figure.straight.append(_make_volume(pod))
    finally:
        for cloud in (top, pod):
            _delete_volumes(cloud)
    return figure


def run_servers(top: Any, pod: Any) -> tuple[Figure, str]:
    """Measure servers, nothing stays; return the zone by which the top reaches the pod too."""
    # The top's servers go first, through the top: the pod shows them under the same name.
    with _network(pod, f"{NAME}-straight") as straight_id, _network(top, NAME) as network_id:
        zone = _zone_of_pod(top, pod, network_id)
        figure = Figure([], [])
        for _ in range(ROUNDS):
            figure.top.append(_boot(top, network_id, availability_zone=zone))
            figure.straight.append(_boot(pod, straight_id))
    return figure, zone


@contextmanager
def _network(cloud: Any, name: str) -> Iterator[str]:
    network = cloud.network.create_network(name=name)
    cloud.network.create_subnet(network_id=network.id, cidr="10.99.0.0/24", ip_version=4)
    try:
        yield network.id
    finally:
        _delete_servers(cloud)
        # the ports of servers that are not listed any more may still be going
        for _ in iterate_timeout(60, f"network {network.id} stays in use", wait=0.5):
            try:
                cloud.network.delete_network(network.id)
                break
            except ConflictException:
                continue


def _zone_of_pod(top: Any, pod: Any, network_id: str) -> str:
    """Return the zone by which the top reaches the pod, which knows the network from then on."""
    for zone in top.compute.availability_zones():
        _boot(top, network_id, availability_zone=zone.name)
        _delete_servers(top)
        if _twins(pod, network_id):
            return str(zone.name)
    raise SystemExit(f"bench: no zone of the top leads to {POD}")


def _twins(pod: Any, network_id: str) -> list[str]:
    """Return the pod's own network for one of the top; of earlier runs some may be left."""
    found = pod.network.networks(name=NAME)
    return [str(one.id) for one in found if network_id in str(one.description)]


def _boot(cloud: Any, network_id: str, **more: str) -> float:
    """Return the milliseconds until a boot is answered."""
    server = {
        "name": NAME,
        "flavorRef": min(cloud.compute.flavors(), key=lambda one: one.ram).id,
        "imageRef": next(iter(cloud.image.images())).id,
        "networks": [{"uuid": network_id}],
        **more,
    }
    time.sleep(REST_S)
    started = time.perf_counter()
    answer = cloud.compute.post("/servers", json={"server": server}, microversion="2.90")
    took_ms = (time.perf_counter() - started) * 1000
    if answer.status_code != 202:
        raise SystemExit(f"bench: POST /servers answers {answer.status_code}: {answer.text}")
    return took_ms


def _delete_servers(cloud: Any) -> None:
    for server in cloud.compute.servers(name=NAME):
        cloud.compute.delete_server(server.id, ignore_missing=True)
    for server in list(cloud.compute.servers(name=NAME)):
        cloud.compute.wait_for_delete(server, interval=1, wait=120)


def _make_volume(cloud: Any, **more: str) -> float:
    """Return the milliseconds until the creation of a volume is answered."""
    volume = {"name": NAME, "size": 1, **more}
    time.sleep(REST_S)
    started = time.perf_counter()
    answer = cloud.block_storage.post("/volumes", json={"volume": volume}, microversion="3.70")
    took_ms = (time.perf_counter() - started) * 1000
    if answer.status_code != 202:
        raise SystemExit(f"bench: POST /volumes answers {answer.status_code}: {answer.text}")
    return took_ms


def _delete_volumes(cloud: Any) -> None:
    for volume in list(cloud.block_storage.volumes(name=NAME)):
        cloud.block_storage.wait_for_status(volume, "available", wait=120)
        cloud.block_storage.delete_volume(volume)
        cloud.block_storage.wait_for_delete(volume, interval=1, wait=120)


def main(clouds_file: str) -> None:
    """Print the figures."""
    top, pod = connect(clouds_file)
    servers, zone = run_servers(top, pod)
    print(f"POST /servers\n{servers}\nPOST /volumes\n{run_volumes(top, pod, zone)}")


if __name__ == "__main__":
    main(sys.argv[1])
