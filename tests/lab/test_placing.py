"""A zone of two real pods: tags decide, and the Admin API tells why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openstack import exceptions

from tests.lab.conftest import Site

pytestmark = pytest.mark.lab

PODS = ("pod1", "pod2")
LEARN_S = 6.0
"""Gateways read pods and zones anew every five seconds."""


class Operator:
    """An administrator of the top: Admin API, flavors and volume types."""

    def __init__(self, cloud: Any) -> None:
        self.cloud = cloud
        self.url = cloud.session.get_endpoint(service_type="tricircle", interface="public")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the answer of the Admin API."""
        answer = self.cloud.session.request(f"{self.url}/v1{path}", method, json=body)
        return answer.json() if answer.content else None

    def reasons(self, query: str) -> dict[str, str]:
        """Return why each pod is out, in the order in which they are tried."""
        found = self.ask("GET", f"/placement?{query}")["placement"]
        return {one["pod"]: one["reason"] for one in found}


@pytest.fixture
def operator(connect: Callable[[str], Any]) -> Operator:
    """The administrator."""
    return Operator(connect("top-admin"))


@pytest.fixture
def zone(operator: Operator, member: Site) -> Iterator[str]:
    """A zone of both pods, of which the second has the tag ``lab=yes``."""
    name = member.mark
    for pod in PODS:
        operator.ask("POST", "/zones", {"zone": {"name": name, "pod": pod, "pod_az": ""}})
    operator.ask("PATCH", "/pods/pod2", {"pod": {"tags": {"lab": "yes"}}})
    time.sleep(LEARN_S)
    yield name
    member.undo.close()
    operator.ask("PATCH", "/pods/pod2", {"pod": {"tags": {"lab": None}}})
    for pod in PODS:
        operator.ask("DELETE", f"/zones/{name}/pods/{pod}")


def test_servers_and_volumes_go_where_tags_are_or_nowhere(
    operator: Operator, member: Site, zone: str, connect: Callable[[str], Any]
) -> None:
    compute, storage = operator.cloud.compute, operator.cloud.block_storage
    flavor = compute.create_flavor(id=zone, name=zone, ram=64, vcpus=1, disk=1)
    member.undo.callback(compute.delete_flavor, flavor)
    compute.create_flavor_extra_specs(flavor, {"pod_tag:lab": "yes"})
    kind = storage.create_type(name=zone, extra_specs={"pod_tag:lab": "yes"})
    member.undo.callback(storage.delete_type, kind)
    nowhere = storage.create_type(name=f"{zone}-no", extra_specs={"pod_tag:lab": "no"})
    member.undo.callback(storage.delete_type, nowhere)

    lacking = {"pod2": "", "pod1": "lacks the tags that are demanded: lab=yes"}
    assert operator.reasons(f"zone={zone}&flavor={zone}") == lacking
    assert operator.reasons(f"zone={zone}&volume_type={zone}&size=1") == lacking

    server = member.server(zone, None, flavor_id=flavor.id)
    volume = member.volume(zone, volume_type=kind.name)
    pod = connect("pod2-admin")
    assert pod.compute.get_server(server.id).status == "ACTIVE"
    assert pod.block_storage.get_volume(volume.id).status == "available"

    with pytest.raises(exceptions.HttpException, match="lab=no") as refused:
        member.volume(zone, volume_type=nowhere.name)
    assert refused.value.status_code == 503
