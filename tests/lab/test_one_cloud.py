"""A plain member sees one cloud: everything through the top, with an unmodified SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openstack import exceptions

from tests.lab.conftest import WAIT_S, Site

pytestmark = pytest.mark.lab


def holder(connect: Callable[[str], Any], server_id: str) -> str:
    """Return the pod in which a server really is, asked of the pods themselves."""
    found = [
        pod
        for pod in ("pod1", "pod2")
        if connect(f"{pod}-demo").compute.find_server(server_id) is not None
    ]
    assert len(found) == 1, f"server {server_id} is in {found}"
    return found[0]


def test_each_zone_is_another_pod_of_one_cloud(member: Site, connect: Callable[[str], Any]) -> None:
    network = member.network()
    servers = {zone: member.server(zone, network) for zone in ("az1", "az2")}
    volumes = {zone: member.volume(zone) for zone in ("az1", "az2")}

    assert {zone: holder(connect, one.id) for zone, one in servers.items()} == {
        "az1": "pod1",
        "az2": "pod2",
    }
    for zone, server in servers.items():
        assert server.availability_zone == zone
        assert volumes[zone].availability_zone == zone
        [port] = member.cloud.network.ports(device_id=server.id)
        addresses = [one["addr"] for one in server.addresses[network.name]]
        assert addresses == [one["ip_address"] for one in port.fixed_ips]
        macs = {one["OS-EXT-IPS-MAC:mac_addr"] for one in server.addresses[network.name]}
        assert macs == {port.mac_address}

    listed = {one.id for one in member.cloud.compute.servers()}
    assert listed >= {one.id for one in servers.values()}
    paged = [one.id for one in member.cloud.compute.servers(limit=1)]
    assert len(paged) == len(set(paged))
    assert set(paged) == listed
    assert {one.id for one in member.cloud.block_storage.volumes()} >= {
        one.id for one in volumes.values()
    }


def test_a_volume_is_attached_in_its_own_pod_only(member: Site) -> None:
    network = member.network()
    server, here, there = member.server("az1", network), member.volume("az1"), member.volume("az2")
    with pytest.raises(exceptions.BadRequestException, match="is in pod pod2"):
        member.cloud.compute.create_volume_attachment(server, volume_id=there.id)
    attachment = member.cloud.compute.create_volume_attachment(server, volume_id=here.id)
    member.cloud.block_storage.wait_for_status(here, "in-use", wait=WAIT_S)
    assert [one.volume_id for one in member.cloud.compute.volume_attachments(server)] == [here.id]
    member.cloud.compute.delete_volume_attachment(server, attachment.volume_id)
    member.cloud.block_storage.wait_for_status(here, "available", wait=WAIT_S)


@pytest.mark.parametrize("zone", ["az1", "az2"])
def test_a_network_can_go_as_soon_as_its_server_is_gone(member: Site, zone: str) -> None:
    """As Terraform does it: wait until the server is 404, then delete its network."""
    cloud = member.cloud
    network = cloud.network.create_network(name=member.mark)
    cloud.network.create_subnet(network_id=network.id, cidr="10.78.0.0/24", ip_version=4)
    server = member.server(zone, network)
    cloud.compute.delete_server(server)
    cloud.compute.wait_for_delete(server, wait=WAIT_S)
    assert list(cloud.network.ports(device_id=server.id)) == []
    cloud.network.delete_network(network)
    assert cloud.network.find_network(network.id) is None


@pytest.mark.parametrize("zone", ["az1", "az2"])
def test_a_port_that_the_user_made_outlives_its_server(member: Site, zone: str) -> None:
    network = member.network()
    port = member.cloud.network.create_port(network_id=network.id, name=member.mark)
    server = member.server(zone, network, networks=[{"port": port.id}])
    assert member.cloud.network.get_port(port.id).device_id == server.id
    [interface] = member.cloud.compute.server_interfaces(server)
    assert (interface.port_id, interface.net_id) == (port.id, network.id)
    member.cloud.compute.delete_server(server)
    member.cloud.compute.wait_for_delete(server, wait=WAIT_S)
    assert member.cloud.network.get_port(port.id).device_id == ""
    member.cloud.network.delete_port(port)


@pytest.mark.parametrize("zone", ["az1", "az2"])
def test_an_interface_can_be_added_and_taken_away(member: Site, zone: str) -> None:
    network = member.network()
    server = member.server(zone, network)
    added = member.cloud.compute.create_server_interface(server, net_id=network.id)
    assert added.net_id == network.id
    assert {port.id for port in member.cloud.network.ports(device_id=server.id)} >= {added.port_id}
    member.cloud.compute.delete_server_interface(added.port_id, server)
    wait_until_gone(member, added.port_id)


def wait_until_gone(member: Site, port_id: str) -> None:
    """Wait until a port is gone from the top."""
    port = member.cloud.network.find_port(port_id)
    if port is not None:
        member.cloud.network.wait_for_delete(port, wait=WAIT_S)


@pytest.mark.parametrize("zone", ["az1", "az2"])
def test_what_a_member_does_with_a_server(member: Site, zone: str) -> None:
    compute = member.cloud.compute
    server = member.server(zone, member.network())
    compute.stop_server(server)
    server = compute.wait_for_server(server, status="SHUTOFF", wait=WAIT_S)
    compute.start_server(server)
    server = compute.wait_for_server(server, wait=WAIT_S)
    compute.set_server_metadata(server, note='"href": "http://x/"')
    assert compute.get_server_metadata(server).metadata["note"] == '"href": "http://x/"'
    assert compute.get_server_console_output(server, length=5)["output"]
    compute.update_server(server, name=f"{member.mark}-renamed")
    assert compute.get_server(server).name == f"{member.mark}-renamed"
    assert [action.action for action in compute.server_actions(server)]


def test_a_snapshot_stays_with_its_volume(member: Site, connect: Callable[[str], Any]) -> None:
    storage = member.cloud.block_storage
    volume = member.volume("az2")
    snapshot = storage.create_snapshot(volume_id=volume.id, name=member.mark)
    storage.wait_for_status(snapshot, "available", wait=WAIT_S)
    assert connect("pod2-demo").block_storage.find_snapshot(snapshot.id) is not None
    copy = storage.create_volume(name=member.mark, size=1, snapshot_id=snapshot.id)
    copy = storage.wait_for_status(copy, "available", wait=WAIT_S)
    assert copy.availability_zone == "az2"
    for thing, delete in ((copy, storage.delete_volume), (snapshot, storage.delete_snapshot)):
        delete(thing)
        storage.wait_for_delete(thing, wait=WAIT_S)


def test_several_servers_can_be_asked_for_at_once(member: Site) -> None:
    network = member.network()
    first = member.server("az1", network, min_count=2, max_count=2)
    names = {one.name for one in member.cloud.compute.servers(name=member.mark)}
    assert names == {f"{member.mark}-az1-1", f"{member.mark}-az1-2"}
    for server in member.cloud.compute.servers(name=member.mark):
        if server.id != first.id:
            member.cloud.compute.delete_server(server)
            member.cloud.compute.wait_for_delete(server, wait=WAIT_S)


def test_a_refused_boot_leaves_no_port_behind(member: Site) -> None:
    network = member.network()
    before = {port.id for port in member.cloud.network.ports(network_id=network.id)}
    with pytest.raises(exceptions.BadRequestException):
        member.server("az1", network, key_name="no-such-key-pair")
    after = list(member.cloud.network.ports(network_id=network.id))
    made = [port for port in after if port.id not in before and port.device_owner == ""]
    assert made == []
