"""What is sent to a pod so that a twin is like its top."""

from typing import Any

import pytest

from tricircle.core.errors import NeutronRefused
from tricircle.core.model import BottomId, Kind, PodId, ProjectId, TopId
from tricircle.core.network.marks import Mark, dhcp_mark
from tricircle.core.network.objects import (
    AddressPair,
    DhcpOption,
    FixedIp,
    HostRoute,
    Network,
    Port,
    SecurityGroup,
    Subnet,
    error_text,
    read_list,
    read_one,
)
from tricircle.core.network.twins import (
    check_extensions,
    group_values,
    may_be_auto_address,
    needs_reservation,
    network_values,
    port_values,
    reservation_values,
    subnet_values,
)

ALL = frozenset(
    {"port-security", "net-mtu-writable", "allowed-address-pairs", "binding", "dns-integration"}
)
NONE: frozenset[str] = frozenset()
POD = PodId("pod1")
TWINS = {"sub": BottomId("bsub"), "group": BottomId("bgroup")}


def network(**values: Any) -> Network:
    return Network(**{"id": "net", "project_id": "project", "name": "web", **values})


def subnet(**values: Any) -> Subnet:
    known = {"id": "sub", "network_id": "net", "project_id": "project", "cidr": "10.0.0.0/24"}
    return Subnet(**{**known, **values})


def port(**values: Any) -> Port:
    known = {
        "id": "port",
        "network_id": "net",
        "project_id": "project",
        "mac_address": "fa:16:3e:00:00:01",
        "fixed_ips": (FixedIp(subnet_id="sub", ip_address="10.0.0.5"),),
        "security_groups": ("group",),
    }
    return Port(**{**known, **values})


def values_of(one: Port, auto: frozenset[str] = NONE) -> dict[str, object]:
    return port_values(one, BottomId("bnet"), TWINS, auto, ALL)


def test_a_plain_network_is_sent_without_what_every_neutron_does_by_itself() -> None:
    assert network_values(network(), NONE) == {
        "name": "web",
        "project_id": "project",
        "description": "tricircle:network:net:project",
    }


def test_what_differs_from_the_default_is_sent() -> None:
    one = network(
        shared=True, admin_state_up=False, mtu=1400, port_security_enabled=False, dns_domain="a.b."
    )
    values = network_values(one, ALL)
    assert values["shared"] is True
    assert values["admin_state_up"] is False
    assert values["mtu"] == 1400
    assert values["port_security_enabled"] is False
    assert values["dns_domain"] == "a.b."


def test_a_subnet_gives_the_pod_only_the_reserved_address() -> None:
    values = subnet_values(subnet(gateway_ip="10.0.0.1"), BottomId("bnet"), "10.0.0.7")
    assert values["allocation_pools"] == [{"start": "10.0.0.7", "end": "10.0.0.7"}]
    assert values["gateway_ip"] == "10.0.0.1"
    assert values["network_id"] == "bnet"


def test_a_subnet_without_reservation_gives_nothing_and_no_gateway_is_said() -> None:
    values = subnet_values(subnet(), BottomId("bnet"), None)
    assert (values["allocation_pools"], values["gateway_ip"]) == ([], None)


def test_options_of_a_subnet_are_sent() -> None:
    one = subnet(
        dns_nameservers=("10.0.0.9",),
        host_routes=(HostRoute(destination="10.1.0.0/16", nexthop="10.0.0.1"),),
        service_types=("compute:nova",),
    )
    values = subnet_values(one, BottomId("bnet"), None)
    assert values["dns_nameservers"] == ["10.0.0.9"]
    assert values["host_routes"] == [{"destination": "10.1.0.0/16", "nexthop": "10.0.0.1"}]
    assert values["service_types"] == ["compute:nova"]


def test_a_subnet_whose_addresses_follow_from_macs_needs_no_pool() -> None:
    one = subnet(
        ip_version=6, ipv6_address_mode="slaac", ipv6_ra_mode="slaac", cidr="2001:db8::/64"
    )
    values = subnet_values(one, BottomId("bnet"), None)
    assert "allocation_pools" not in values
    assert values["ipv6_address_mode"] == "slaac"
    assert not needs_reservation(one)


def test_a_reservation_is_a_dhcp_port_that_neutron_removes_by_itself() -> None:
    values = reservation_values(subnet(), POD)
    assert values["device_owner"] == "network:dhcp"
    assert values["description"] == dhcp_mark(TopId("sub"), POD)


def test_a_port_has_the_tops_address_mac_and_groups_and_no_device() -> None:
    assert values_of(port()) == {
        "network_id": "bnet",
        "project_id": "project",
        "mac_address": "fa:16:3e:00:00:01",
        "name": "",
        "description": "tricircle:port:port:project",
        "admin_state_up": True,
        "fixed_ips": [{"subnet_id": "bsub", "ip_address": "10.0.0.5"}],
        "security_groups": ["bgroup"],
        "allowed_address_pairs": [],
    }


def test_an_address_that_follows_from_the_mac_is_left_to_the_pod() -> None:
    one = port(fixed_ips=(FixedIp(subnet_id="sub", ip_address="2001:db8::f816:3eff:fe00:1"),))
    assert may_be_auto_address(one) == ["sub"]
    assert values_of(one, frozenset({"sub"}))["fixed_ips"] == [{"subnet_id": "bsub"}]


def test_another_address_is_not_taken_for_one_that_follows_from_the_mac() -> None:
    one = port(fixed_ips=(FixedIp(subnet_id="sub", ip_address="2001:db8::5"),))
    assert may_be_auto_address(one) == []
    assert may_be_auto_address(port()) == []


def test_a_port_without_port_security_is_sent_without_groups() -> None:
    values = values_of(port(port_security_enabled=False))
    assert values["port_security_enabled"] is False
    assert values["security_groups"] == []


def test_a_secured_port_without_groups_says_so() -> None:
    assert values_of(port(port_security_enabled=True, security_groups=()))["security_groups"] == []


def test_options_of_a_port_are_sent() -> None:
    pairs = (AddressPair(ip_address="10.0.0.9", mac_address="aa:bb:cc:dd:ee:ff"),)
    values = values_of(
        port(
            allowed_address_pairs=pairs,
            vnic_type="direct",
            dns_name="vm",
            admin_state_up=False,
            extra_dhcp_opts=(DhcpOption(opt_name="mtu", opt_value="1400"),),
        )
    )
    assert values["allowed_address_pairs"] == [
        {"ip_address": "10.0.0.9", "mac_address": "aa:bb:cc:dd:ee:ff"}
    ]
    assert values["binding:vnic_type"] == "direct"
    assert values["dns_name"] == "vm"
    assert values["admin_state_up"] is False
    assert values["extra_dhcp_opts"] == [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}]


def test_a_group_is_stateless_only_when_the_top_says_so() -> None:
    one = SecurityGroup(id="g", project_id="p", name="web")
    assert "stateful" not in group_values(one)
    stateless = SecurityGroup(id="g", project_id="p", name="web", stateful=False)
    assert group_values(stateless)["stateful"] is False


@pytest.mark.parametrize(
    ("top", "extension"),
    [
        (network(port_security_enabled=False), "port-security"),
        (subnet(service_types=("x",)), "subnet-service-types"),
        (SecurityGroup(id="g", project_id="p", stateful=False), "stateful-security-group"),
        (port(allowed_address_pairs=(AddressPair(ip_address="::1"),)), "allowed-address-pairs"),
        (port(vnic_type="direct"), "binding"),
        (
            port(extra_dhcp_opts=(DhcpOption(opt_name="mtu", opt_value="1400"),)),
            "extra_dhcp_opt",
        ),
        (port(port_security_enabled=False), "port-security"),
    ],
)
def test_a_pod_that_lacks_what_a_twin_needs_is_named_with_the_extension(
    top: Network | Subnet | SecurityGroup | Port, extension: str
) -> None:
    with pytest.raises(NeutronRefused, match=extension):
        check_extensions(top, NONE, POD)
    check_extensions(top, frozenset({extension}), POD)


def test_a_plain_object_needs_no_extension() -> None:
    for top in (network(), subnet(), port(vnic_type="normal", port_security_enabled=True)):
        check_extensions(top, NONE, POD)


def test_a_mark_names_kind_top_and_project() -> None:
    assert str(Mark(Kind.PORT, TopId("a"), ProjectId("p"))) == "tricircle:port:a:p"


def test_objects_are_read_with_fields_missing_and_unknown_ones() -> None:
    body = b'{"networks": [{"id": "a", "project_id": "p", "router:external": true, "new": 1}]}'
    (found,) = read_list(body, Network)
    assert (found.external, found.mtu) == (True, None)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"ports": []}', b'{"networks": [{"id": 7}]}', b'{"networks": 7}']
)
def test_an_answer_that_is_not_a_list_of_objects_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_list(body, Network)


def test_an_answer_that_is_not_an_object_is_refused() -> None:
    with pytest.raises(ValueError, match="no 'network'"):
        read_one(b"{}", Network)


def test_the_error_of_a_neutron_is_read_and_anything_else_is_no_error() -> None:
    body = b'{"NeutronError": {"type": "OverQuota", "message": "no", "detail": ""}}'
    assert error_text(body) == ("OverQuota", "no")
    for other in (b"", b"<html>", b"{}", b'{"NeutronError": "text"}'):
        assert error_text(other) == ("", "")
