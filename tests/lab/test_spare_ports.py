"""Ports that are ready in a real pod, and what members see of them: nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from openstack.utils import iterate_timeout

from tests.lab.conftest import WAIT_S, Site

pytestmark = pytest.mark.lab

POD_OF = {"az1": "pod1", "az2": "pod2"}


def spares_of(operator: Any, network_id: str, wanted: int) -> Sequence[Any]:
    """Return the ports that a pod has ready for a network of the top, once there are so many."""
    for _ in iterate_timeout(WAIT_S, f"there are not {wanted} spare ports", wait=0.5):
        marked = [
            port
            for port in operator.network.ports()
            if port.description.startswith(f"tricircle-spare:{network_id}:")
        ]
        if len(marked) == wanted:
            return marked
    raise AssertionError


@pytest.mark.parametrize("zone", POD_OF)
def test_the_second_server_on_a_network_has_a_port_that_was_ready(
    member: Site, connect: Callable[[str], Any], zone: str
) -> None:
    network, operator = member.network(), connect(f"{POD_OF[zone]}-admin")
    top = member.cloud.network
    first = member.server(zone, network)
    ready = {port.mac_address: port for port in spares_of(operator, network.id, 2)}
    assert len(list(top.ports(network_id=network.id, device_id=first.id))) == 1
    addresses = {fixed["ip_address"] for port in ready.values() for fixed in port.fixed_ips}
    shown = {
        fixed["ip_address"] for port in top.ports(network_id=network.id) for fixed in port.fixed_ips
    }
    assert not addresses & shown

    second = member.server(zone, network)
    [port] = top.ports(network_id=network.id, device_id=second.id)
    spare = ready[port.mac_address]
    assert [one["ip_address"] for one in port.fixed_ips] == [
        one["ip_address"] for one in spare.fixed_ips
    ]
    [interface] = member.cloud.compute.server_interfaces(second)
    assert (interface.port_id, interface.mac_addr) == (port.id, port.mac_address)
    twin = operator.network.get_port(spare.id)
    assert twin.device_id == second.id
    assert twin.description == f"tricircle:port:{port.id}:{port.project_id}"
    assert len(twin.security_group_ids) == 1
    assert twin.security_group_ids == spare.security_group_ids
    spares_of(operator, network.id, 2)


def test_an_address_of_a_spare_is_anyones_who_asks_for_it(
    member: Site, connect: Callable[[str], Any]
) -> None:
    network, operator = member.network(), connect("pod1-admin")
    top = member.cloud.network
    member.server("az1", network)
    taken = []
    for spare in spares_of(operator, network.id, 2):
        fixed_ips = [{"ip_address": spare.fixed_ips[0]["ip_address"]}]
        port = top.create_port(network_id=network.id, fixed_ips=fixed_ips)
        member.undo.callback(top.delete_port, port)
        taken.append(fixed_ips[0]["ip_address"])
    server = member.server("az1", network)
    [port] = top.ports(network_id=network.id, device_id=server.id)
    assert port.fixed_ips[0]["ip_address"] not in taken
    named = [one for one in member.cloud.compute.servers() if one.name == server.name]
    assert len(named) == 2  # the first one and this: what was begun in vain is gone
