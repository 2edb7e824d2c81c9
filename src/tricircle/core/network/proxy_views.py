"""Networks and floating IPs as Nova shows them.

As ``network_dict`` in nova/api/openstack/compute/networks.py and tenant_networks.py, and
``_translate_floating_ip_view`` in floating_ips.py (34.0.0; 31.0.0 has another order of keys).
"""

from __future__ import annotations

from collections.abc import Mapping

from tricircle.core.network.objects import FloatingIp, Network

View = dict[str, object]
_FIELDS = (
    "id",
    "cidr",
    "netmask",
    "gateway",
    "broadcast",
    "dns1",
    "dns2",
    "cidr_v6",
    "gateway_v6",
    "label",
    "netmask_v6",
)
_ADMIN_FIELDS = (
    "created_at",
    "updated_at",
    "deleted_at",
    "deleted",
    "injected",
    "bridge",
    "vlan",
    "vpn_public_address",
    "vpn_public_port",
    "vpn_private_address",
    "dhcp_start",
    "project_id",
    "host",
    "bridge_interface",
    "multi_host",
    "priority",
    "rxtx_base",
    "mtu",
    "dhcp_server",
    "enable_dhcp",
    "share_address",
)


def view_network(network: Network, *, for_admin: bool) -> View:
    """Return a network in the form of nova-network, of which Neutron's have two fields."""
    known = {"id": network.id, "label": network.name}
    fields = (*_FIELDS, *_ADMIN_FIELDS) if for_admin else _FIELDS
    return {field: known.get(field) for field in fields}


def view_tenant_network(network: Network) -> View:
    """Return a network in the form of os-tenant-networks; its address is the text None."""
    return {"id": network.id, "cidr": "None", "label": network.name}


def view_pool(network: Network) -> View:
    """Return an external network as a pool of floating IPs."""
    return {"name": pool_name(network)}


def pool_name(network: Network) -> str:
    """Return what Nova calls a pool."""
    return network.name or network.id


def view_floating_ip(floating_ip: FloatingIp, pools: Mapping[str, Network]) -> View:
    """Return a floating IP; ``pools`` are external networks by id."""
    details = floating_ip.port_details
    pool = pools.get(floating_ip.floating_network_id)
    return {
        "fixed_ip": floating_ip.fixed_ip_address,
        "id": floating_ip.id,
        "instance_id": details.device_id if details is not None else None,
        "ip": floating_ip.floating_ip_address,
        "pool": pool_name(pool) if pool is not None else floating_ip.floating_network_id,
    }
