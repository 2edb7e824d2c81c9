"""Nova's proxies to other services, joined for the Nova gateway."""

from __future__ import annotations

from collections.abc import Mapping

from tricircle.compute.rules.baremetal import BaremetalNodes
from tricircle.compute.rules.network_proxies import (
    FloatingIpAnswers,
    GroupAnswers,
    NetworkAnswers,
    ProxyTools,
)
from tricircle.compute.rules.storage_lists import ListOptions, StorageLists
from tricircle.core.model import Caller, Kind
from tricircle.gateway.any_pod import AnyPod
from tricircle.gateway.engine import ComposedAnswer, LocalAnswer
from tricircle.usecases.networking.neutron import Neutrons
from tricircle.wiring.gateway import Base


def make_proxies(base: Base) -> Mapping[str, ComposedAnswer]:
    """Return the answers put together out of several pods', by the names of their rows."""
    gateway = base.settings.gateway
    any_pod = AnyPod(base.forwarder, base.topology)
    nodes = BaremetalNodes(base.forwarder, any_pod, base.profile, gateway.list_timeout_s)
    options = ListOptions(gateway.list_timeout_s, gateway.partial_lists)
    storage = StorageLists(base.forwarder, any_pod, base.profile, options)
    return {
        "list_baremetal_nodes": nodes.list_nodes,
        "show_baremetal_node": nodes.show_node,
        "list_volumes": storage.volumes,
        "list_snapshots": storage.snapshots,
    }


def make_network_proxies(base: Base, neutrons: Neutrons) -> Mapping[str, LocalAnswer]:
    """Return the answers of the top's own Neutron, by the names of their rows."""

    async def find_server(server_id: str, caller: Caller) -> object:
        return await base.locator.locate_visible(Kind.SERVER, server_id, caller)

    any_pod = AnyPod(base.forwarder, base.topology)
    tools = ProxyTools(neutrons, any_pod, base.profile, find_server)
    networks, addresses, groups = (
        NetworkAnswers(tools),
        FloatingIpAnswers(tools),
        GroupAnswers(tools),
    )
    return {
        "list_networks": networks.list_networks,
        "show_network": networks.show_network,
        "list_tenant_networks": networks.list_tenant_networks,
        "show_tenant_network": networks.show_tenant_network,
        "list_floating_ip_pools": networks.list_pools,
        "list_floating_ips": addresses.list_all,
        "create_floating_ip": addresses.create,
        "show_floating_ip": addresses.show,
        "delete_floating_ip": addresses.delete,
        "list_security_groups": groups.list_all,
        "create_security_group": groups.create,
        "show_security_group": groups.show,
        "update_security_group": groups.update,
        "delete_security_group": groups.delete,
        "create_security_group_rule": groups.create_rule,
        "delete_security_group_rule": groups.delete_rule,
    }
