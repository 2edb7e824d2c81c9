"""Bodies for Nova's proxies to Neutron are read, and rules made of them, as Nova does it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tricircle.core.errors import BadInput, ServiceFault, TricircleError
from tricircle.core.network.objects import Rule, SecurityGroup
from tricircle.core.network.proxy_requests import (
    AskedFloatingIp,
    AskedGroup,
    AskedRule,
    has_rule,
    ingress_rule,
    read_floating_ip,
    read_group,
    read_rule,
)

PARENT = "8c2b3a64-6a3c-4a0e-9d0f-2f1a3c5b7d9e"
OTHER = "1d4c2f60-0a51-4d8e-9f2b-7b6c5a493827"


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def rule(**values: Any) -> AskedRule:
    read = read_rule(body({"security_group_rule": {"parent_group_id": PARENT, **values}}))
    assert read is not None
    return read


def test_a_group_is_read_with_whatever_is_beside_it() -> None:
    group = {"name": "n", "description": "", "none": 1}
    assert read_group(body({"security_group": group, "more": 2})) == AskedGroup("n", "")


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        None,
        {"security_group": {}},
        {"security_group": {"name": "n"}},
        {"security_group": {"name": 1, "description": ""}},
        {"security_group": {"name": "n" * 256, "description": ""}},
        {"security_group": []},
    ],
)
def test_what_is_no_group_is_left_to_a_pod(value: object) -> None:
    assert read_group(body(value)) is None


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"security_group_rule": {}},
        {"security_group_rule": {"parent_group_id": "none"}},
        {"security_group_rule": {"parent_group_id": PARENT, "group_id": "none"}},
        {"security_group_rule": {"parent_group_id": PARENT, "group_id": 1}},
    ],
)
def test_what_is_no_rule_is_left_to_a_pod(value: object) -> None:
    assert read_rule(body(value)) is None


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", AskedFloatingIp(None)),
        (b"null", AskedFloatingIp(None)),
        (b"{}", AskedFloatingIp(None)),
        (b'{"pool": null}', AskedFloatingIp(None)),
        (b'{"pool": ""}', AskedFloatingIp(None)),
        (b'{"pool": "p", "x": 1}', AskedFloatingIp("p")),
        (b'{"pool": 1}', None),
        (b"[]", None),
        (b"{", None),
    ],
)
def test_a_floating_ip_may_be_asked_for_with_nothing(
    sent: bytes, expected: AskedFloatingIp | None
) -> None:
    assert read_floating_ip(sent) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"ip_protocol": "tcp", "from_port": "22", "to_port": 23, "cidr": "10.0.0.0/8"},
            {
                "protocol": "tcp",
                "port_range_min": 22,
                "port_range_max": 23,
                "remote_ip_prefix": "10.0.0.0/8",
                "ethertype": "IPv4",
            },
        ),
        (
            {"ip_protocol": "tcp", "from_port": 1, "to_port": 9, "cidr": "2001:db8::%2F64"},
            {
                "protocol": "tcp",
                "port_range_min": 1,
                "port_range_max": 9,
                "remote_ip_prefix": "2001:db8::/64",
                "ethertype": "IPv6",
            },
        ),
        (
            {"ip_protocol": "icmp", "from_port": -1, "to_port": -1},
            {"protocol": "icmp", "remote_ip_prefix": "0.0.0.0/0", "ethertype": "IPv4"},
        ),
        (
            {"group_id": OTHER},
            {"protocol": None, "remote_group_id": OTHER, "ethertype": "IPv4"},
        ),
        (
            {"group_id": OTHER, "ip_protocol": "udp"},
            {
                "protocol": "udp",
                "port_range_min": 1,
                "port_range_max": 65535,
                "remote_group_id": OTHER,
                "ethertype": "IPv4",
            },
        ),
    ],
)
def test_a_rule_is_what_nova_makes_of_it(
    values: dict[str, object], expected: dict[str, object]
) -> None:
    common = {"direction": "ingress", "security_group_id": PARENT}
    nothing = {"remote_ip_prefix": None, "remote_group_id": None}
    assert ingress_rule(rule(**values)) == {**common, **nothing, **expected}


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({}, BadInput, "Not enough parameters to build a valid rule."),
        (
            {"ip_protocol": "tcp", "cidr": "10.0.0.0/8"},
            BadInput,
            "Not enough parameters to build a valid rule.",
        ),
        ({"cidr": "none"}, BadInput, "none is not a valid IP network."),
        ({"cidr": "10.0.0.1"}, BadInput, "10.0.0.1 is not a valid IP network."),
        ({"cidr": 7}, BadInput, "7 is not a valid IP network."),
        (
            {"ip_protocol": "tcp", "from_port": 5, "to_port": 9, "cidr": "10.0.0.0/0"},
            BadInput,
            "Bad prefix for network in cidr 10.0.0.0/0",
        ),
        (
            {"ip_protocol": "tcp", "from_port": 5, "to_port": 1},
            BadInput,
            "Invalid port range 5:1. Former value cannot be greater than the later",
        ),
        (
            {"ip_protocol": "tcp", "from_port": 0, "to_port": 1},
            BadInput,
            "Invalid port range 0:1. Valid TCP ports should be between 1-65535",
        ),
        (
            {"ip_protocol": "icmp", "from_port": 256, "to_port": 256},
            BadInput,
            "Invalid port range 256:256. For ICMP, the type:code must be valid",
        ),
        (
            {"ip_protocol": "gre", "from_port": 5, "to_port": 9},
            BadInput,
            "Invalid IP protocol gre.",
        ),
        (
            {"ip_protocol": "tcp", "from_port": "a", "to_port": "b"},
            BadInput,
            "Invalid input received: To and From ports must be integers",
        ),
        (
            {"ip_protocol": "icmp", "from_port": "a", "to_port": "b"},
            BadInput,
            "Invalid input received: Type and Code must be integers for ICMP protocol type",
        ),
        (
            {"ip_protocol": "tcp", "from_port": [], "to_port": 9},
            ServiceFault,
            "Unexpected API Error. Please contact the administrator\n<class 'TypeError'>",
        ),
        (
            {"ip_protocol": 6, "group_id": OTHER},
            ServiceFault,
            "Unexpected API Error. Please contact the administrator\n<class 'AttributeError'>",
        ),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_novas_words(
    values: dict[str, object], error: type[TricircleError], message: str
) -> None:
    with pytest.raises(error) as caught:
        ingress_rule(rule(**values))
    assert str(caught.value) == message


GROUP = SecurityGroup(
    id=PARENT,
    project_id="p",
    rules=(
        Rule(id="1", direction="ingress", protocol="icmp"),
        Rule(id="2", direction="egress", protocol="udp", port_range_min=1, port_range_max=2),
        Rule(
            id="3",
            direction="ingress",
            protocol="tcp",
            port_range_min=1,
            port_range_max=2,
            remote_ip_prefix="10.0.0.0/8",
        ),
        Rule(id="4", direction="ingress", remote_group_id=OTHER),
    ),
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"ip_protocol": "icmp", "from_port": -1, "to_port": -1}, True),
        ({"ip_protocol": "tcp", "from_port": 1, "to_port": 2, "cidr": "10.0.0.0/8"}, True),
        ({"ip_protocol": "tcp", "from_port": 1, "to_port": 2}, False),
        ({"ip_protocol": "udp", "from_port": 1, "to_port": 2}, False),
        ({"group_id": OTHER}, False),
    ],
)
def test_nova_knows_equal_rules_but_those_about_groups(
    values: dict[str, object], expected: bool
) -> None:
    assert has_rule(GROUP, ingress_rule(rule(**values))) is expected
