"""Security groups and addresses of running servers, through the top, with an unmodified SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openstack import exceptions

from tests.lab.conftest import Site

pytestmark = pytest.mark.lab

PODS = {"az1": "pod1", "az2": "pod2"}


def make_group(member: Site) -> Any:
    """Return a new group of the top that lets HTTP in; it goes after all servers."""
    network = member.cloud.network
    group = network.create_security_group(name=member.mark)
    member.undo.callback(network.delete_security_group, group)
    network.create_security_group_rule(
        security_group_id=group.id,
        direction="ingress",
        protocol="tcp",
        port_range_min=80,
        port_range_max=80,
    )
    return group


def pod_groups(connect: Callable[[str], Any], zone: str, server: Any) -> dict[str, Any]:
    """Return the groups of a server's only port, by name, as its pod has them."""
    network = connect(f"{PODS[zone]}-admin").network
    [port] = network.ports(device_id=server.id)
    groups = [network.get_security_group(one) for one in port.security_group_ids]
    return {group.name: group for group in groups}


def addresses(cloud: Any, server: Any) -> set[str]:
    """Return the addresses of a server's ports in one Neutron."""
    ports = cloud.network.ports(device_id=server.id)
    return {one["ip_address"] for port in ports for one in port.fixed_ips}


@pytest.mark.parametrize("zone", sorted(PODS))
def test_a_group_of_the_top_comes_to_a_server_and_goes_again(
    member: Site, connect: Callable[[str], Any], zone: str
) -> None:
    group = make_group(member)
    server = member.server(zone, member.network())
    compute = member.cloud.compute

    compute.add_security_group_to_server(server, group.name)
    [port] = member.cloud.network.ports(device_id=server.id)
    assert group.id in port.security_group_ids
    found = pod_groups(connect, zone, server)
    assert set(found) == {"default", group.name}
    rules = found[group.name].security_group_rules
    assert 80 in [rule["port_range_min"] for rule in rules]
    names = {one["name"] for one in compute.get_server(server).security_groups}
    assert names == {"default", group.name}

    shown = compute.fetch_server_security_groups(server).security_groups
    assert group.id in [one["id"] for one in shown]
    assert {one["description"] for one in shown if one["id"] == group.id} == {group.description}

    compute.remove_security_group_from_server(server, group.name)
    [port] = member.cloud.network.ports(device_id=server.id)
    assert group.id not in port.security_group_ids
    assert set(pod_groups(connect, zone, server)) == {"default"}
    with pytest.raises(exceptions.NotFoundException, match="not associated with the instance"):
        compute.remove_security_group_from_server(server, group.name)


@pytest.mark.parametrize("zone", sorted(PODS))
def test_a_server_gets_an_address_more_and_gives_one_back(
    member: Site, connect: Callable[[str], Any], zone: str
) -> None:
    network = member.network()
    server = member.server(zone, network)
    [first] = addresses(member.cloud, server)
    act(member.cloud, server, {"addFixedIp": {"networkId": network.id}})
    both = addresses(member.cloud, server)
    assert len(both) == 2
    assert addresses(connect(f"{PODS[zone]}-admin"), server) == both
    act(member.cloud, server, {"removeFixedIp": {"address": first}})
    assert addresses(member.cloud, server) == both - {first}
    assert addresses(connect(f"{PODS[zone]}-admin"), server) == both - {first}


def act(cloud: Any, server: Any, body: object) -> None:
    """Send an action with the last microversion that knows those on addresses."""
    answer = cloud.compute.post(f"/servers/{server.id}/action", json=body, microversion="2.43")
    assert (answer.status_code, answer.content) == (202, b"")


def test_only_members_of_the_project_change_a_servers_groups(
    member: Site, connect: Callable[[str], Any]
) -> None:
    group = make_group(member)
    server = member.server("az1", member.network())
    reader, other = connect("top-reader").compute, connect("top-other").compute
    with pytest.raises(exceptions.ForbiddenException, match="os-security-groups:add"):
        reader.add_security_group_to_server(server.id, group.name)
    with pytest.raises(exceptions.NotFoundException, match="could not be found"):
        other.add_security_group_to_server(server.id, "default")
    assert set(pod_groups(connect, "az1", server)) == {"default"}
