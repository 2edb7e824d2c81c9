"""Actions of a server that concern the top's Neutron: which ones, and what they change."""

import json
from typing import Any

import pytest

from tricircle.core.model import Version
from tricircle.core.network.objects import FixedIp, Port
from tricircle.core.network.server_actions import (
    AddAddress,
    AddFloatingIp,
    AddGroup,
    RemoveAddress,
    RemoveFloatingIp,
    RemoveGroup,
    ServerAction,
    addresses_with,
    addresses_without,
    first_ipv4,
    groups_with,
    groups_without,
    has_address,
    is_deletion,
    may_have_group,
    read_action,
    surplus_groups,
    twin_changes,
)

OLD, LAST, NEW = Version(2, 1), Version(2, 43), Version(2, 44)


def port(**values: Any) -> Port:
    known = {
        "id": "port",
        "network_id": "net",
        "project_id": "project",
        "fixed_ips": (FixedIp(subnet_id="sub", ip_address="10.0.0.5"),),
        "security_groups": ("one",),
    }
    return Port(**{**known, **values})


@pytest.mark.parametrize(
    ("body", "action"),
    [
        ({"addSecurityGroup": {"name": "web"}}, AddGroup("web")),
        ({"removeSecurityGroup": {"name": "web"}}, RemoveGroup("web")),
        ({"addFixedIp": {"networkId": "net"}}, AddAddress("net")),
        ({"addFixedIp": {"networkId": 7}}, AddAddress("7")),
        ({"removeFixedIp": {"address": "10.0.0.5"}}, RemoveAddress("10.0.0.5")),
        ({"addFloatingIp": {"address": "1.2.3.4"}}, AddFloatingIp("1.2.3.4")),
        (
            {"addFloatingIp": {"address": "1.2.3.4", "fixed_address": "10.0.0.5"}},
            AddFloatingIp("1.2.3.4", "10.0.0.5"),
        ),
        ({"removeFloatingIp": {"address": "1.2.3.4"}}, RemoveFloatingIp("1.2.3.4")),
    ],
)
def test_an_action_on_groups_or_addresses_is_told_from_others(
    body: object, action: ServerAction
) -> None:
    assert read_action(json.dumps(body).encode(), OLD) == action
    assert read_action(json.dumps(body).encode(), LAST) == action


@pytest.mark.parametrize(
    "body",
    [
        {"os-start": None},
        {"addSecurityGroup": {"name": "web"}, "os-start": None},
        {"addSecurityGroup": {"name": ""}},
        {"addSecurityGroup": {"name": "web", "more": 1}},
        {"addSecurityGroup": {"name": 5}},
        {"addSecurityGroup": "web"},
        {"addSecurityGroup": None},
        {"addFixedIp": {"networkId": ""}},
        {"addFixedIp": {"networkId": "x" * 37}},
        {"addFixedIp": {"networkId": True}},
        {"removeFixedIp": {"address": "nowhere"}},
        {"removeFixedIp": {"address": "10.0.0.5", "more": 1}},
        {"addFloatingIp": {"address": "1.2.3.4", "fixed_address": "x"}},
        {"addFloatingIp": {"fixed_address": "10.0.0.5"}},
        {"removeFloatingIp": {}},
        {},
        [],
        "text",
    ],
)
def test_what_nova_itself_refuses_or_does_is_left_to_the_pod(body: object) -> None:
    assert read_action(json.dumps(body).encode(), OLD) is None


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
def test_a_body_that_is_not_json_is_left_to_the_pod(body: bytes) -> None:
    assert read_action(body, OLD) is None


def test_actions_on_addresses_end_with_microversion_2_43() -> None:
    for name, given in (
        ("addFixedIp", {"networkId": "net"}),
        ("removeFixedIp", {"address": "10.0.0.5"}),
        ("addFloatingIp", {"address": "1.2.3.4"}),
        ("removeFloatingIp", {"address": "1.2.3.4"}),
    ):
        assert read_action(json.dumps({name: given}).encode(), NEW) is None
    assert read_action(b'{"addSecurityGroup": {"name": "web"}}', NEW) == AddGroup("web")


@pytest.mark.parametrize(
    ("values", "may"),
    [
        ({}, True),
        ({"port_security_enabled": True}, True),
        ({"port_security_enabled": False}, False),
        ({"fixed_ips": ()}, False),
        ({"fixed_ips": (), "ip_allocation": "deferred"}, True),
    ],
)
def test_a_port_needs_an_address_and_port_security_to_be_in_a_group(
    values: dict[str, Any], may: bool
) -> None:
    assert may_have_group(port(**values)) is may


def test_a_group_is_added_once_and_removed_wholly() -> None:
    assert groups_with(port(), "two") == {"security_groups": ["one", "two"]}
    assert groups_with(port(), "one") == {"security_groups": ["one"]}
    assert groups_without(port(security_groups=("one", "two")), "one") == {
        "security_groups": ["two"]
    }


def test_an_address_is_added_beside_those_that_are_there() -> None:
    assert addresses_with(port(), "sub") == {
        "fixed_ips": [{"subnet_id": "sub", "ip_address": "10.0.0.5"}, {"subnet_id": "sub"}]
    }


def test_an_address_is_known_however_it_is_written() -> None:
    six = FixedIp(subnet_id="six", ip_address="2001:db8::1")
    both = port(fixed_ips=(six, *port().fixed_ips))
    assert has_address(both, "2001:0db8:0:0:0:0:0:1")
    assert addresses_without(both, "2001:db8:0::1") == port().fixed_ips
    assert first_ipv4([both]) == "10.0.0.5"
    assert first_ipv4([port(fixed_ips=(six,))]) is None


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        ({"security_groups": ["one"]}, set()),
        ({"security_groups": ["two"]}, {"security_groups"}),
        ({"fixed_ips": [{"subnet_id": "sub", "ip_address": "10.0.0.5"}]}, set()),
        ({"fixed_ips": [{"subnet_id": "sub"}]}, set()),
        ({"fixed_ips": [{"subnet_id": "sub", "ip_address": "10.0.0.6"}]}, {"fixed_ips"}),
        ({"fixed_ips": []}, {"fixed_ips"}),
    ],
)
def test_only_what_a_twin_lacks_is_sent(wanted: dict[str, Any], changes: set[str]) -> None:
    assert set(twin_changes(port(), wanted)) == changes


def test_the_groups_that_a_twin_leaves_are_known() -> None:
    bottom = port(security_groups=("one", "two"))
    assert surplus_groups(bottom, {"security_groups": ["two"]}) == {"one"}


@pytest.mark.parametrize(
    ("body", "deletes"),
    [
        (b'{"forceDelete": null}', True),
        (b'{"forceDelete": null, "more": 1}', False),
        (b'{"reboot": {"type": "HARD"}}', False),
        (b'{"rescue": "forceDelete"}', False),
        (b"forceDelete", False),
    ],
)
def test_the_one_action_that_deletes_a_server_is_known(body: bytes, deletes: bool) -> None:
    assert is_deletion(body) is deletes
