"""What the settings of a lab say, without starting anything."""

import pytest

from lab import composition, keystone
from lab.settings import Address, LabError, Settings, settings_of


def settings(pods: int = 2, **environment: str) -> Settings:
    return settings_of(pods, True, environment)


def test_pods_take_turns_with_the_releases() -> None:
    assert [pod.release for pod in settings(3).pods] == ["2026.2", "2025.1", "2026.2"]


def test_each_pod_has_an_address_and_a_zone_of_its_own() -> None:
    second = settings(2).pods[1]
    assert (second.name, second.zone, str(second.compute)) == ("pod2", "az2", "127.77.0.2:8774")


def test_no_two_processes_listen_on_one_address() -> None:
    addresses = [address for _name, address in composition.wanted_addresses(settings(3))]
    assert len(addresses) == len(set(addresses))


def test_two_labs_in_different_nets_share_no_address() -> None:
    one = {address for _, address in composition.wanted_addresses(settings())}
    other = {address for _, address in composition.wanted_addresses(settings(LAB_NET="127.78.0"))}
    assert not one & other


@pytest.mark.parametrize("net", ["10.0.0", "127.77", "127.77.0.1", "127.300.0", "127.1.x"])
def test_a_net_that_is_not_loopback_is_refused(net: str) -> None:
    with pytest.raises(LabError, match="LAB_NET"):
        settings(LAB_NET=net)


def test_an_unknown_database_is_refused() -> None:
    with pytest.raises(LabError, match="mariadb, postgresql, sqlite"):
        settings(TOP_DB="oracle")


@pytest.mark.parametrize("pods", [0, -1, 91])
def test_a_number_of_pods_that_has_no_addresses_is_refused(pods: int) -> None:
    with pytest.raises(LabError, match="pods"):
        settings(pods)


def test_the_top_region_points_at_the_gateways() -> None:
    found = {
        endpoint.service_type: endpoint.url
        for endpoint in keystone.endpoints(settings())
        if endpoint.region == "RegionOne"
    }
    assert found["compute"] == "http://127.77.0.101:8774/v2.1"
    assert found["volumev3"] == "http://127.77.0.101:8776/v3/$(project_id)s"
    assert found["tricircle"] == "http://127.77.0.101:19999"


def test_an_address_is_written_as_clients_write_it() -> None:
    assert Address("127.77.0.1", 80).url == "http://127.77.0.1:80"
