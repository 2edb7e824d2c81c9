"""openstacksdk drives a pod from the network to the attached volume, unmodified."""

import openstack
import pytest
from openstack.connection import Connection

from tricircle.testing.cloud import SimulatedCloud

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def connection(served: tuple[SimulatedCloud, str]) -> Connection:
    _, url = served
    return openstack.connect(
        auth_url=f"{url}/identity/v3",
        username="demo",
        password="secret",
        project_name="demo",
        user_domain_id="default",
        project_domain_id="default",
        region_name="pod1",
        load_yaml_config=False,
        load_envvars=False,
    )


def test_a_server_lives_from_network_to_deletion(connection: Connection) -> None:
    network = connection.network.create_network(name="private")
    connection.network.create_subnet(network_id=network.id, cidr="10.0.0.0/24", ip_version=4)
    image = connection.image.find_image("cirros", ignore_missing=False)
    flavor = connection.compute.find_flavor("m1.tiny", ignore_missing=False)
    server = connection.compute.create_server(
        name="vm1", image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}]
    )
    server = connection.compute.wait_for_server(server, interval=0.01)
    assert server.addresses["private"][0]["addr"] == "10.0.0.2"

    volume = connection.block_storage.create_volume(size=1, name="data")
    connection.block_storage.wait_for_status(volume, interval=0.01)
    connection.compute.create_volume_attachment(server, volume_id=volume.id)
    assert connection.block_storage.get_volume(volume.id).status == "in-use"

    connection.compute.stop_server(server)
    assert connection.compute.get_server(server.id).status == "SHUTOFF"
    connection.compute.delete_server(server)
    connection.compute.wait_for_delete(server, interval=0.01)
    assert connection.block_storage.get_volume(volume.id).status == "available"
    assert list(connection.network.ports(network_id=network.id)) == []


def test_pages_of_servers_are_followed_to_the_end(
    served: tuple[SimulatedCloud, str], connection: Connection
) -> None:
    cloud, _ = served
    made = cloud.pod("pod1").compute.add_servers(25, cloud.project_id("demo"))
    found = [server.id for server in connection.compute.servers(limit=10)]
    assert found == [server.uuid for server in reversed(made)]
