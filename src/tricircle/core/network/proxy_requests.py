"""What requests to Nova's proxies to Neutron ask for.

Told apart by Nova's own schemas (nova/api/openstack/compute/schemas/security_groups.py and
floating_ips.py, 34.0.0 and 31.0.0 agree). A body that those refuse is not read here: a
pod's Nova says what is wrong with it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import msgspec

from tricircle.core.errors import BadInput, ServiceFault
from tricircle.core.network.asking import is_uuid
from tricircle.core.network.group_views import ANYWHERE, port_range
from tricircle.core.network.objects import SecurityGroup

Values = Mapping[str, object]
_LONGEST_NAME = 255
_LAST_PORT = 65535
_WITH_PORTS = ("TCP", "UDP")
_ICMP = "ICMP"


@dataclass(frozen=True, slots=True)
class AskedGroup:
    """The name and the description of a security group."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class AskedRule:
    """A new rule of a security group. Nova's schema leaves all but the ids open."""

    parent_group_id: str
    group_id: str | None
    ip_protocol: object
    from_port: object
    to_port: object
    cidr: object


@dataclass(frozen=True, slots=True)
class AskedFloatingIp:
    """A new floating IP; without a pool of any."""

    pool: str | None


def read_group(body: bytes) -> AskedGroup | None:
    """Return the group that a body describes; None for a body that Nova refuses."""
    given = _read_object(body, "security_group")
    if given is None:
        return None
    name, description = given.get("name"), given.get("description")
    if not isinstance(name, str) or not isinstance(description, str):
        return None
    if max(len(name), len(description)) > _LONGEST_NAME:
        return None
    return AskedGroup(name, description)


def read_rule(body: bytes) -> AskedRule | None:
    """Return the rule that a body describes; None for a body that Nova refuses."""
    given = _read_object(body, "security_group_rule")
    if given is None:
        return None
    parent, group = given.get("parent_group_id"), given.get("group_id")
    if not isinstance(parent, str) or not is_uuid(parent):
        return None
    if group is not None and not (isinstance(group, str) and is_uuid(group)):
        return None
    return AskedRule(
        parent,
        group,
        given.get("ip_protocol"),
        given.get("from_port"),
        given.get("to_port"),
        given.get("cidr"),
    )


def read_floating_ip(body: bytes) -> AskedFloatingIp | None:
    """Return what a body asks for; None for a body that Nova refuses. It may be empty."""
    given = _decode(body) if body else None
    if body and given is _UNREADABLE:
        return None
    if given is None:
        return AskedFloatingIp(None)
    pool = given.get("pool") if isinstance(given, dict) else _UNREADABLE
    return AskedFloatingIp(pool or None) if isinstance(pool, str | None) else None


def ingress_rule(asked: AskedRule) -> Values:
    """Return a rule as Neutron is asked for it. Raises BadInput in Nova's words.

    As ``_new_ingress_rule`` and ``_make_neutron_security_group_rules_list`` of
    nova/network/security_group_api.py.
    """
    cidr = None if asked.group_id is not None else _read_cidr(asked.cidr)
    protocol, first, last = _range(asked)
    if protocol is None and cidr is not None:
        raise BadInput("Not enough parameters to build a valid rule.")
    if cidr is not None:
        net, _, length = cidr.partition("/")
        if net not in ("0.0.0.0", "::") and length == "0":  # noqa: S104 - not an address to bind
            raise BadInput(f"Bad prefix for network in cidr {cidr}")
    is_v6 = cidr is not None and ":" in cidr
    values: dict[str, object] = {
        "direction": "ingress",
        "protocol": protocol,
        "ethertype": "IPv6" if is_v6 else "IPv4",
        "remote_ip_prefix": cidr,
        "security_group_id": asked.parent_group_id,
        "remote_group_id": asked.group_id,
    }
    ports = {"port_range_min": first, "port_range_max": last}
    return values | {name: port for name, port in ports.items() if port not in (None, -1)}


def has_rule(group: SecurityGroup, values: Values) -> bool:
    """Tell whether Nova takes a rule for one that a group has already.

    It compares what it shows, so a rule that names a group is never found.
    """
    if values["remote_group_id"] is not None:
        return False
    first, last = values.get("port_range_min", -1), values.get("port_range_max", -1)
    return any(
        rule.remote_group_id is None
        and (rule.remote_ip_prefix or ANYWHERE) == values["remote_ip_prefix"]
        and rule.protocol == values["protocol"]
        and port_range(rule) == (first, last)
        for rule in group.rules
        if rule.direction == "ingress"
    )


def _range(asked: AskedRule) -> tuple[str | None, int | None, int | None]:
    """Return protocol and ports; no protocol when the request does not have all three."""
    protocol, first, last = asked.ip_protocol, asked.from_port, asked.to_port
    if asked.group_id is not None:
        if protocol and not isinstance(protocol, str):
            raise ServiceFault("AttributeError")
        name = str(protocol).upper() if protocol else ""
        if first is None and last is None and name == _ICMP:
            first, last = -1, -1
        elif first is None and last is None and name in _WITH_PORTS:
            first, last = 1, _LAST_PORT
    if not protocol or first is None or last is None:
        return None, None, None
    name = str(protocol)
    numbers = _to_numbers(name, first, last)
    _check_range(name, *numbers)
    return (name, *numbers)


def _to_numbers(protocol: str, first: object, last: object) -> tuple[int, int]:
    if not isinstance(first, int | float | str) or not isinstance(last, int | float | str):
        raise ServiceFault("TypeError")
    try:
        return int(first), int(last)
    except ValueError:
        reason = "To and From ports must be integers"
        if protocol.upper() == _ICMP:
            reason = "Type and Code must be integers for ICMP protocol type"
        raise BadInput(f"Invalid input received: {reason}") from None


def _check_range(protocol: str, first: int, last: int) -> None:
    name = protocol.upper()
    if name not in (*_WITH_PORTS, _ICMP):
        raise BadInput(f"Invalid IP protocol {protocol}.")
    reason = ""
    if name in _WITH_PORTS and first > last:
        reason = "Former value cannot be greater than the later"
    elif name in _WITH_PORTS and (first < 1 or last > _LAST_PORT):
        reason = f"Valid {name} ports should be between 1-65535"
    elif name == _ICMP and not (-1 <= first <= 255 and -1 <= last <= 255):
        reason = "For ICMP, the type:code must be valid"
    if reason:
        raise BadInput(f"Invalid port range {first}:{last}. {reason}")


def _read_cidr(given: object) -> str:
    if not given:
        return ANYWHERE
    cidr = unquote(given) if isinstance(given, str) else ""
    if "/" not in cidr:
        raise BadInput(f"{cidr or given} is not a valid IP network.")
    try:
        ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        raise BadInput(f"{cidr} is not a valid IP network.") from None
    return cidr


_UNREADABLE = object()


def _decode(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _UNREADABLE


def _read_object(body: bytes, name: str) -> Mapping[str, object] | None:
    outer = _decode(body)
    inner = outer.get(name) if isinstance(outer, dict) else None
    return inner if isinstance(inner, dict) else None
