"""Neutron drivers for a pod without agents: every port binds at once and becomes ACTIVE.

Loaded by the entry points `lab` (pods) and `lab_top` (top Neutron, where no
port is ever bound). Both also register a trunk and a QoS driver, because those
service plugins refuse to start, or to accept a rule, without one.
"""

from __future__ import annotations

from typing import Any

from neutron.services.trunk.drivers import base as trunk_base
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.db import constants as db_constants
from neutron_lib.plugins import constants as plugin_constants
from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api
from neutron_lib.services.qos import base as qos_base
from neutron_lib.services.qos import constants as qos_constants

NAME = "lab"
VNIC_TYPES = [portbindings.VNIC_NORMAL, portbindings.VNIC_DIRECT, portbindings.VNIC_MACVTAP]
ANY_VALUE: dict[str, Any] = {"type:range": [0, db_constants.DB_INTEGER_MAX_VALUE]}
DIRECTION = {"type:values": constants.VALID_DIRECTIONS}
ANY_DIRECTION = {"type:values": [*constants.VALID_DIRECTIONS, "any"]}
QOS_RULES = {
    qos_constants.RULE_TYPE_BANDWIDTH_LIMIT: {
        qos_constants.MAX_KBPS: ANY_VALUE,
        qos_constants.MAX_BURST: ANY_VALUE,
        qos_constants.DIRECTION: DIRECTION,
    },
    qos_constants.RULE_TYPE_DSCP_MARKING: {
        qos_constants.DSCP_MARK: {"type:values": constants.VALID_DSCP_MARKS}
    },
    qos_constants.RULE_TYPE_MINIMUM_BANDWIDTH: {
        qos_constants.MIN_KBPS: ANY_VALUE,
        qos_constants.DIRECTION: DIRECTION,
    },
}


class QosDriver(qos_base.DriverBase):  # type: ignore[misc]
    """Accepts every rule and does nothing."""


class TrunkDriver(trunk_base.DriverBase):  # type: ignore[misc]
    """Lets the trunk plugin start; subports carry VLAN tags only."""

    @property
    def is_loaded(self) -> bool:
        return True


def register_service_drivers() -> None:
    """Register the trunk and the QoS driver of the lab."""
    TrunkDriver(NAME, (portbindings.VIF_TYPE_OVS,), ("vlan",), can_trunk_bound_port=True)
    QosDriver(
        name=NAME,
        vif_types=[portbindings.VIF_TYPE_OVS, portbindings.VIF_TYPE_UNBOUND],
        vnic_types=VNIC_TYPES,
        supported_rules=QOS_RULES,
        requires_rpc_notifications=False,
    )


class TopDriver(api.MechanismDriver):  # type: ignore[misc]
    """Binds nothing: no server runs at the top."""

    def initialize(self) -> None:
        """Register the service drivers."""
        register_service_drivers()

    @property
    def connectivity(self) -> str:
        return str(portbindings.CONNECTIVITY_L2)


class PodDriver(TopDriver):
    """Binds each port to its first segment, and shows floating IPs as working."""

    def initialize(self) -> None:
        """Register the service drivers and watch floating IPs."""
        super().initialize()
        for event in (events.AFTER_CREATE, events.AFTER_UPDATE):
            registry.subscribe(set_floating_ip_status, resources.FLOATING_IP, event)

    def bind_port(self, context: api.PortContext) -> None:
        """Bind the port; it is ACTIVE at once because nothing has to be plugged."""
        for segment in context.segments_to_bind:
            context.set_binding(
                segment[api.ID],
                portbindings.VIF_TYPE_OVS,
                {portbindings.CAP_PORT_FILTER: True},
                status=constants.PORT_STATUS_ACTIVE,
            )
            return


def set_floating_ip_status(resource: str, event: str, trigger: Any, payload: Any) -> None:
    """Set ACTIVE while a port is associated: there is no L3 agent that would."""
    router_plugin = directory.get_plugin(plugin_constants.L3)
    floating_ip_id = payload.resource_id or payload.latest_state.get("id")
    state = payload.latest_state
    associated = bool(state and (state.get("fixed_port_id") or state.get("port_id")))
    status = constants.FLOATINGIP_STATUS_ACTIVE if associated else constants.FLOATINGIP_STATUS_DOWN
    if router_plugin and floating_ip_id:
        router_plugin.update_floatingip_status(payload.context.elevated(), floating_ip_id, status)
