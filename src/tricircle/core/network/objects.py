"""Neutron's objects, as far as a twin needs them.

Each field that a Neutron may not have (an extension of a newer release, or one
that is not loaded) has a default, so that objects of every release can be read.
Fields not listed here are ignored.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct, field

from tricircle.core.model import Kind

_AUTO_ADDRESS_MODES = frozenset({"slaac", "dhcpv6-stateless"})
DEFAULT_GROUP = "default"
"""The name of a project's default security group; Neutron lets no other group have it."""


class Network(Struct, frozen=True, kw_only=True):
    """A network."""

    id: str
    project_id: str
    name: str = ""
    shared: bool = False
    admin_state_up: bool = True
    mtu: int | None = None
    port_security_enabled: bool | None = None
    external: bool = field(name="router:external", default=False)
    dns_domain: str | None = None


class HostRoute(Struct, frozen=True, kw_only=True):
    """An L3 route that DHCP hands to servers."""

    destination: str
    nexthop: str


class AllocationPool(Struct, frozen=True, kw_only=True):
    """Addresses that Neutron gives by itself, first and last one included."""

    start: str
    end: str


class Subnet(Struct, frozen=True, kw_only=True):
    """A subnet; one with ``segment_id`` is for hosts of that segment alone."""

    id: str
    network_id: str
    project_id: str
    cidr: str
    ip_version: int = 4
    name: str = ""
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    service_types: tuple[str, ...] = ()
    allocation_pools: tuple[AllocationPool, ...] = ()
    segment_id: str | None = None

    @property
    def auto_address(self) -> bool:
        """Whether Neutron computes each address from the port's MAC by itself."""
        return self.ipv6_address_mode in _AUTO_ADDRESS_MODES


class FixedIp(Struct, frozen=True, kw_only=True):
    """One address of a port."""

    subnet_id: str
    ip_address: str


class AddressPair(Struct, frozen=True, kw_only=True):
    """An address beside its own that a port may send from."""

    ip_address: str
    mac_address: str | None = None


class DhcpOption(Struct, frozen=True, kw_only=True):
    """A DHCP option for one port."""

    opt_name: str
    opt_value: str
    ip_version: int = 4


class Port(Struct, frozen=True, kw_only=True):
    """A port."""

    id: str
    network_id: str
    project_id: str
    mac_address: str = ""
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    fixed_ips: tuple[FixedIp, ...] = ()
    device_id: str = ""
    device_owner: str = ""
    security_groups: tuple[str, ...] = ()
    port_security_enabled: bool | None = None
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    extra_dhcp_opts: tuple[DhcpOption, ...] = ()
    vnic_type: str | None = field(name="binding:vnic_type", default=None)
    dns_name: str | None = None
    ip_allocation: str | None = None
    created_at: str | None = None
    revision_number: int | None = None

    @property
    def lacks_address(self) -> bool:
        """Whether the port has no address although it should: Nova refuses such a port."""
        return not self.fixed_ips and self.ip_allocation not in ("deferred", "none")


class Rule(Struct, frozen=True, kw_only=True):
    """A rule of a security group."""

    id: str
    direction: str
    security_group_id: str = ""
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    remote_address_group_id: str | None = None
    description: str | None = None


class SecurityGroup(Struct, frozen=True, kw_only=True):
    """A security group with its rules."""

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    stateful: bool | None = None
    revision_number: int | None = None
    rules: tuple[Rule, ...] = field(name="security_group_rules", default=())

    @property
    def is_default(self) -> bool:
        """Whether this is the default group of its project."""
        return self.name == DEFAULT_GROUP


class PortDetails(Struct, frozen=True, kw_only=True):
    """What a floating IP tells of the port it is associated with."""

    device_id: str = ""


class FloatingIp(Struct, frozen=True, kw_only=True):
    """An address of an external network, perhaps associated with a port."""

    id: str
    floating_ip_address: str
    port_id: str | None = None
    fixed_ip_address: str | None = None
    floating_network_id: str = ""
    port_details: PortDetails | None = None


class Extension(Struct, frozen=True, kw_only=True):
    """An extension that a Neutron has loaded."""

    alias: str


class RbacPolicy(Struct, frozen=True, kw_only=True):
    """Who else may use an object."""

    id: str


NeutronObject = Network | Subnet | Port | SecurityGroup
T = TypeVar("T", bound=Struct)


class Collection(Struct, frozen=True):
    """How Neutron names the objects of a kind: in paths, in lists, alone."""

    path: str
    plural: str
    singular: str


COLLECTIONS: dict[type[Struct], Collection] = {
    Network: Collection("/networks", "networks", "network"),
    Subnet: Collection("/subnets", "subnets", "subnet"),
    Port: Collection("/ports", "ports", "port"),
    SecurityGroup: Collection("/security-groups", "security_groups", "security_group"),
    Rule: Collection("/security-group-rules", "security_group_rules", "security_group_rule"),
    FloatingIp: Collection("/floatingips", "floatingips", "floatingip"),
    RbacPolicy: Collection("/rbac-policies", "rbac_policies", "rbac_policy"),
    Extension: Collection("/extensions", "extensions", "extension"),
}

KINDS: dict[Kind, type[Network] | type[Subnet] | type[Port] | type[SecurityGroup]] = {
    Kind.NETWORK: Network,
    Kind.SUBNET: Subnet,
    Kind.PORT: Port,
    Kind.SECURITY_GROUP: SecurityGroup,
}


def read_list(body: bytes, kind: type[T]) -> tuple[T, ...]:
    """Return the objects of a list answer. Raises ValueError when it is not such a list."""
    raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    name = COLLECTIONS[kind].plural
    if name not in raw:
        raise ValueError(f"the answer has no '{name}'")
    return msgspec.json.decode(raw[name], type=tuple[kind, ...])  # type: ignore[valid-type]


def read_one(body: bytes, kind: type[T]) -> T:
    """Return the object of an answer. Raises ValueError when it is not such an object."""
    raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    name = COLLECTIONS[kind].singular
    if name not in raw:
        raise ValueError(f"the answer has no '{name}'")
    return msgspec.json.decode(raw[name], type=kind)


def error_text(body: bytes) -> tuple[str, str]:
    """Return the type and message of a Neutron error; what is not one gives empty texts."""
    try:
        error = msgspec.json.decode(body, type=dict[str, msgspec.Raw])["NeutronError"]
        found = msgspec.json.decode(error, type=dict[str, object])
    except (KeyError, ValueError):
        return "", ""
    return str(found.get("type", "")), str(found.get("message", ""))
