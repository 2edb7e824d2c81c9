"""What is sent to a pod so that a twin is like its top.

Nothing is sent that the pod's Neutron may not know, unless the top's object says
something else than every Neutron does by itself; then the pod must have the
extension for it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence

from tricircle.core.errors import NeutronRefused
from tricircle.core.model import BottomId, Kind, PodId, ProjectId, TopId
from tricircle.core.network.marks import DHCP_DEVICE, DHCP_OWNER, Mark, dhcp_mark
from tricircle.core.network.objects import (
    AddressPair,
    DhcpOption,
    FixedIp,
    Network,
    NeutronObject,
    Port,
    SecurityGroup,
    Subnet,
)

Values = dict[str, object]

_DNS = "dns-integration"
_PORT_SECURITY = "port-security"
_MTU = "net-mtu-writable"
_PAIRS = "allowed-address-pairs"
_BINDING = "binding"
_DHCP_OPTIONS = "extra_dhcp_opt"
_STATEFUL = "stateful-security-group"
_SERVICE_TYPES = "subnet-service-types"


def mark_of(kind: Kind, top: NeutronObject) -> str:
    """Return the description by which the twin of a top object is found."""
    return str(Mark(kind, TopId(top.id), ProjectId(top.project_id)))


def network_values(top: Network, extensions: frozenset[str]) -> Values:
    """Return what makes a network's twin in a pod with these extensions."""
    values: Values = {
        "name": top.name,
        "project_id": top.project_id,
        "description": mark_of(Kind.NETWORK, top),
    }
    if not top.admin_state_up:
        values["admin_state_up"] = False
    if top.shared:
        values["shared"] = True
    if top.mtu and _MTU in extensions:
        values["mtu"] = top.mtu
    if top.dns_domain:
        values["dns_domain"] = top.dns_domain
    _put_port_security(values, top.port_security_enabled, extensions)
    return values


def subnet_values(top: Subnet, network_id: BottomId, reserved: str | None) -> Values:
    """Return what makes a subnet's twin on a pod's network.

    The top alone gives addresses: the pod may use ``reserved`` for its DHCP service,
    or nothing. Where addresses follow from MACs there is nothing to give.
    """
    values: Values = {
        "name": top.name,
        "project_id": top.project_id,
        "description": mark_of(Kind.SUBNET, top),
        "network_id": network_id,
        "cidr": top.cidr,
        "ip_version": top.ip_version,
        "gateway_ip": top.gateway_ip,
        "enable_dhcp": top.enable_dhcp,
    }
    if not top.auto_address:
        values["allocation_pools"] = [{"start": reserved, "end": reserved}] if reserved else []
    if top.dns_nameservers:
        values["dns_nameservers"] = list(top.dns_nameservers)
    if top.host_routes:
        values["host_routes"] = [
            {"destination": route.destination, "nexthop": route.nexthop}
            for route in top.host_routes
        ]
    for name in ("ipv6_ra_mode", "ipv6_address_mode"):
        if getattr(top, name):
            values[name] = getattr(top, name)
    if top.service_types:
        values["service_types"] = list(top.service_types)
    return values


def needs_reservation(top: Subnet) -> bool:
    """Tell whether a pod needs an address of its own in a subnet."""
    return top.enable_dhcp and not top.auto_address


def reservation_values(top: Subnet, pod_id: PodId) -> Values:
    """Return what keeps an address of the top's subnet for a pod's DHCP service."""
    return {
        "network_id": top.network_id,
        "project_id": top.project_id,
        "description": dhcp_mark(TopId(top.id), pod_id),
        "fixed_ips": [{"subnet_id": top.id}],
        "device_owner": DHCP_OWNER,
        "device_id": DHCP_DEVICE,
    }


def group_values(top: SecurityGroup) -> Values:
    """Return what makes a security group's twin; its rules follow."""
    values: Values = {
        "name": top.name,
        "project_id": top.project_id,
        "description": mark_of(Kind.SECURITY_GROUP, top),
    }
    if top.stateful is False:
        values["stateful"] = False
    return values


def port_values(
    top: Port,
    network_id: BottomId,
    twins: Mapping[str, BottomId],
    auto_subnets: frozenset[str],
    extensions: frozenset[str],
) -> Values:
    """Return what makes a port's twin on a pod's network.

    ``twins`` has the pod's ids of the port's subnets and security groups,
    ``auto_subnets`` those subnets of the top whose addresses follow from the MAC:
    Neutron gives the same one again, and refuses to be told. No ``device_id``:
    Nova refuses a port that has one.
    """
    return {
        "network_id": network_id,
        "project_id": top.project_id,
        "mac_address": top.mac_address,
        **port_changes(top, twins, auto_subnets, extensions),
    }


def port_changes(
    top: Port,
    twins: Mapping[str, BottomId],
    auto_subnets: frozenset[str],
    extensions: frozenset[str],
) -> Values:
    """Return what makes an existing twin of a port like its top again."""
    values: Values = {
        "name": top.name,
        "description": mark_of(Kind.PORT, top),
        "admin_state_up": top.admin_state_up,
        "fixed_ips": twin_addresses(top, twins, auto_subnets),
    }
    _put_port_security(values, top.port_security_enabled, extensions)
    values["security_groups"] = twin_groups(top, twins)
    if _PAIRS in extensions:
        values["allowed_address_pairs"] = [_pair(pair) for pair in top.allowed_address_pairs]
    if top.vnic_type not in (None, "normal"):
        values["binding:vnic_type"] = top.vnic_type
    if top.dns_name is not None and _DNS in extensions:
        values["dns_name"] = top.dns_name
    if top.extra_dhcp_opts:
        values["extra_dhcp_opts"] = [_dhcp_option(option) for option in top.extra_dhcp_opts]
    return values


def twin_addresses(
    top: Port, twins: Mapping[str, BottomId], auto_subnets: frozenset[str]
) -> list[Values]:
    """Return the addresses that a port's twin must have."""
    return [_address(fixed, twins, auto_subnets) for fixed in top.fixed_ips]


def twin_groups(top: Port, twins: Mapping[str, BottomId]) -> list[BottomId]:
    """Return the security groups that a port's twin must be in."""
    secured = top.port_security_enabled is not False
    return [twins[group] for group in top.security_groups if secured]


def needed_extensions(top: NeutronObject) -> frozenset[str]:
    """Return the extensions that a pod must have for a twin of ``top``."""
    needed: set[str] = set()
    match top:
        case Network() if top.port_security_enabled is False:
            needed.add(_PORT_SECURITY)
        case Subnet() if top.service_types:
            needed.add(_SERVICE_TYPES)
        case SecurityGroup() if top.stateful is False:
            needed.add(_STATEFUL)
        case Port():
            needed.update(_needed_by_port(top))
        case _:
            pass
    return frozenset(needed)


def check_extensions(top: NeutronObject, extensions: frozenset[str], pod_id: PodId) -> None:
    """Raise NeutronRefused, naming the extension, when a pod cannot have a twin of ``top``."""
    missing = sorted(needed_extensions(top) - extensions)
    if missing:
        raise NeutronRefused(
            pod_id, 400, "ExtensionMissing", f"{top.id} needs the extension {', '.join(missing)}"
        )


def may_be_auto_address(port: Port) -> Sequence[str]:
    """Return the subnets in which an address of the port is the one that follows from its MAC.

    Whether the subnet gives only such addresses must then be looked up.
    """
    return [fixed.subnet_id for fixed in port.fixed_ips if follows_mac(fixed, port.mac_address)]


def follows_mac(fixed: FixedIp, mac: str) -> bool:
    """Tell whether an address is the one that Neutron computes from a MAC."""
    return ":" in fixed.ip_address and _eui64_tail(mac) == _tail(fixed.ip_address)


def _needed_by_port(top: Port) -> Iterable[str]:
    if top.port_security_enabled is False:
        yield _PORT_SECURITY
    if top.allowed_address_pairs:
        yield _PAIRS
    if top.vnic_type not in (None, "normal"):
        yield _BINDING
    if top.extra_dhcp_opts:
        yield _DHCP_OPTIONS


def _put_port_security(values: Values, enabled: bool | None, extensions: frozenset[str]) -> None:
    if enabled is not None and _PORT_SECURITY in extensions:
        values["port_security_enabled"] = enabled


def _address(fixed: FixedIp, twins: Mapping[str, BottomId], auto_subnets: frozenset[str]) -> Values:
    values: Values = {"subnet_id": twins[fixed.subnet_id]}
    if fixed.subnet_id not in auto_subnets:
        values["ip_address"] = fixed.ip_address
    return values


def _pair(pair: AddressPair) -> Values:
    mac = {"mac_address": pair.mac_address} if pair.mac_address else {}
    return {"ip_address": pair.ip_address, **mac}


def _dhcp_option(option: DhcpOption) -> Values:
    return {
        "opt_name": option.opt_name,
        "opt_value": option.opt_value,
        "ip_version": option.ip_version,
    }


def _tail(address: str) -> int:
    return int(ipaddress.IPv6Address(address)) & (2**64 - 1)


def _eui64_tail(mac: str) -> int:
    """Return the lower half of the address that follows from a MAC (RFC 4291, appendix A)."""
    parts = bytes.fromhex(mac.replace(":", "").replace("-", ""))
    return int.from_bytes(bytes([parts[0] ^ 2]) + parts[1:3] + b"\xff\xfe" + parts[3:], "big")
