"""Nova's proxies to other services, joined for the Nova gateway."""

from __future__ import annotations

from collections.abc import Mapping

from tricircle.compute.rules.baremetal import BaremetalNodes
from tricircle.compute.rules.storage_lists import ListOptions, StorageLists
from tricircle.gateway.any_pod import AnyPod
from tricircle.gateway.engine import ComposedAnswer
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
