"""``POST /servers`` through the top and straight at a pod of a running lab, one after the other.

    python -m bench.boots lab/run/clouds.yaml

A network that the pod knows already, so that what is left is what each boot costs. Both
times are those of the answer; the servers are deleted at the end.
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

ROUNDS = 12
USER = "demo"
POD = "pod1"
NAME = "bench-boots"


@dataclass(frozen=True, slots=True)
class BootFigure:
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


def run(clouds_file: str) -> BootFigure:
    """Measure on a lab; nothing stays."""
    config = OpenStackConfig(config_files=[clouds_file])
    top, pod = (
        openstack.connection.Connection(config=config.get_one(cloud=f"{where}-{USER}"))
        for where in ("top", POD)
    )
    with _network(top) as network_id:
        zone = _zone_of_pod(top, pod, network_id)
        [twin] = _twins(pod, network_id)
        figure = BootFigure([], [])
        for _ in range(ROUNDS):
            figure.top.append(_boot(top, network_id, availability_zone=zone))
            figure.straight.append(_boot(pod, twin))
        for cloud in (top, pod):
            _delete_servers(cloud)
    return figure


@contextmanager
def _network(top: Any) -> Iterator[str]:
    network = top.network.create_network(name=NAME)
    top.network.create_subnet(network_id=network.id, cidr="10.99.0.0/24", ip_version=4)
    try:
        yield network.id
    finally:
        _delete_servers(top)
        top.network.delete_network(network.id)


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


if __name__ == "__main__":
    print(run(sys.argv[1]))
