"""The actions of a server that concern Neutron objects of the top: what they ask for.

Everything a body may say is told apart by Nova's own schemas
(nova/api/openstack/compute/schemas/security_groups.py, multinic.py and
floating_ips.py); a body that those refuse is not read here, so that the pod's
Nova says what is wrong with it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from tricircle.core.bodies import check_object
from tricircle.core.errors import MalformedBody
from tricircle.core.model import Version
from tricircle.core.network.objects import FixedIp, Port

Values = Mapping[str, object]
_LAST_WITH_ADDRESSES = Version(2, 43)
_LONGEST_NETWORK_ID = 36


@dataclass(frozen=True, slots=True)
class AddGroup:
    """Put all ports of the server into a security group, given by name or id."""

    policy: ClassVar[str] = "os_compute_api:os-security-groups:add"
    group: str


@dataclass(frozen=True, slots=True)
class RemoveGroup:
    """Take all ports of the server out of a security group, given by name or id."""

    policy: ClassVar[str] = "os_compute_api:os-security-groups:remove"
    group: str


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Give the server's port on a network one more address."""

    policy: ClassVar[str] = "os_compute_api:os-multinic:add"
    network_id: str


@dataclass(frozen=True, slots=True)
class RemoveAddress:
    """Take an address from the server."""

    policy: ClassVar[str] = "os_compute_api:os-multinic:remove"
    address: str


@dataclass(frozen=True, slots=True)
class AddFloatingIp:
    """Associate a floating IP with an address of the server, the first IPv4 one unless said."""

    policy: ClassVar[str] = "os_compute_api:os-floating-ips:add"
    address: str
    fixed_address: str | None = None


@dataclass(frozen=True, slots=True)
class RemoveFloatingIp:
    """Take a floating IP from the server."""

    policy: ClassVar[str] = "os_compute_api:os-floating-ips:remove"
    address: str


ServerAction = (
    AddGroup | RemoveGroup | AddAddress | RemoveAddress | AddFloatingIp | RemoveFloatingIp
)


def read_action(body: bytes, version: Version) -> ServerAction | None:
    """Return the action a body asks for; None for all that is the pod's own affair."""
    try:
        outer = check_object(body)
    except MalformedBody:
        return None
    if len(outer) != 1:
        return None
    [(name, raw)] = outer.items()
    reader = _READERS.get(name)
    if reader is None or (name not in _ALWAYS and version > _LAST_WITH_ADDRESSES):
        return None
    given = msgspec.json.decode(raw)
    return reader(given) if isinstance(given, dict) else None


def is_deletion(body: bytes) -> bool:
    """Tell whether an action deletes the server for good, at once."""
    try:
        return check_object(body).keys() == {"forceDelete"}
    except MalformedBody:
        return False


def may_have_group(port: Port) -> bool:
    """Tell whether a port can be in a security group at all, as Nova decides it."""
    has_address = bool(port.fixed_ips) or port.ip_allocation == "deferred"
    return has_address and port.port_security_enabled is not False


def groups_with(port: Port, group_id: str) -> Values:
    """Return what puts a port into a group."""
    kept = [one for one in port.security_groups if one != group_id]
    return {"security_groups": [*kept, group_id]}


def groups_without(port: Port, group_id: str) -> Values:
    """Return what takes a port out of a group."""
    return {"security_groups": [one for one in port.security_groups if one != group_id]}


def addresses_with(port: Port, subnet_id: str) -> Values:
    """Return what gives a port one more address, of a subnet."""
    return {"fixed_ips": [*_shown(port.fixed_ips), {"subnet_id": subnet_id}]}


def addresses_without(port: Port, address: str) -> tuple[FixedIp, ...]:
    """Return the addresses of a port but one."""
    return tuple(one for one in port.fixed_ips if not same_address(one.ip_address, address))


def addresses_of(port: Port) -> Values:
    """Return what leaves a port's addresses as they are."""
    return {"fixed_ips": _shown(port.fixed_ips)}


def has_address(port: Port, address: str) -> bool:
    """Tell whether a port has an address."""
    return any(same_address(one.ip_address, address) for one in port.fixed_ips)


def first_ipv4(ports: Sequence[Port]) -> str | None:
    """Return the first IPv4 address of all ports."""
    addresses = [one.ip_address for port in ports for one in port.fixed_ips]
    return next((one for one in addresses if ":" not in one), None)


def same_address(one: str, other: str) -> bool:
    """Tell whether two texts mean the same address."""
    return ipaddress.ip_address(one) == ipaddress.ip_address(other)


def surplus_groups(bottom: Port, wanted: Values) -> frozenset[str]:
    """Return the pod's groups that a twin is in and should not be."""
    return frozenset(bottom.security_groups) - frozenset(_texts(wanted, "security_groups"))


def twin_changes(bottom: Port, wanted: Values) -> Values:
    """Return those of the ``wanted`` values that a twin does not have."""
    return {name: value for name, value in wanted.items() if not _has(bottom, name, value)}


def in_order(ports: Sequence[Port]) -> list[Port]:
    """Return the ports of a server in the order in which it got them."""
    return sorted(ports, key=lambda port: (port.created_at or "", port.id))


def _has(bottom: Port, name: str, value: object) -> bool:
    if name == "security_groups":
        return sorted(bottom.security_groups) == sorted(_texts({name: value}, name))
    if not isinstance(value, list) or len(value) != len(bottom.fixed_ips):
        return False
    present = [(one.subnet_id, one.ip_address) for one in bottom.fixed_ips]
    subnets = [one.subnet_id for one in bottom.fixed_ips]
    return all(
        (one["subnet_id"], one["ip_address"]) in present
        if "ip_address" in one
        else one["subnet_id"] in subnets
        for one in value
    )


def _shown(fixed_ips: Sequence[FixedIp]) -> list[Values]:
    return [{"subnet_id": one.subnet_id, "ip_address": one.ip_address} for one in fixed_ips]


def _texts(values: Values, name: str) -> list[str]:
    found = values.get(name)
    return [str(one) for one in found] if isinstance(found, list) else []


def _group(given: Mapping[str, object]) -> str | None:
    name = given.get("name")
    if set(given) != {"name"} or not isinstance(name, str) or not name.strip():
        return None
    return name


def _network(given: Mapping[str, object]) -> str | None:
    network_id = given.get("networkId")
    if set(given) != {"networkId"} or isinstance(network_id, bool):
        return None
    if not isinstance(network_id, str | int | float):
        return None
    return str(network_id) if 0 < len(str(network_id)) <= _LONGEST_NETWORK_ID else None


def _address(given: Mapping[str, object], name: str = "address") -> str | None:
    address = given.get(name)
    if not isinstance(address, str):
        return None
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return None
    return address


def _read_add_group(given: Mapping[str, object]) -> ServerAction | None:
    name = _group(given)
    return AddGroup(name) if name is not None else None


def _read_remove_group(given: Mapping[str, object]) -> ServerAction | None:
    name = _group(given)
    return RemoveGroup(name) if name is not None else None


def _read_add_address(given: Mapping[str, object]) -> ServerAction | None:
    network_id = _network(given)
    return AddAddress(network_id) if network_id is not None else None


def _read_remove_address(given: Mapping[str, object]) -> ServerAction | None:
    address = _address(given)
    return RemoveAddress(address) if address is not None and set(given) == {"address"} else None


def _read_add_floating_ip(given: Mapping[str, object]) -> ServerAction | None:
    address, fixed = _address(given), _address(given, "fixed_address")
    known = {"address"} if fixed is None else {"address", "fixed_address"}
    return AddFloatingIp(address, fixed) if address is not None and set(given) == known else None


def _read_remove_floating_ip(given: Mapping[str, object]) -> ServerAction | None:
    address = _address(given)
    return RemoveFloatingIp(address) if address is not None and set(given) == {"address"} else None


_ALWAYS = frozenset({"addSecurityGroup", "removeSecurityGroup"})
_READERS: Mapping[str, Callable[[Mapping[str, object]], ServerAction | None]] = {
    "addSecurityGroup": _read_add_group,
    "removeSecurityGroup": _read_remove_group,
    "addFixedIp": _read_add_address,
    "removeFixedIp": _read_remove_address,
    "addFloatingIp": _read_add_floating_ip,
    "removeFloatingIp": _read_remove_floating_ip,
}
