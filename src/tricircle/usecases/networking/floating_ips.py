"""Floating IPs of the top, given to servers and taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tricircle.core.errors import NeutronRefused
from tricircle.core.network import action_refusals as refusals
from tricircle.core.network.objects import FloatingIp, Port
from tricircle.core.network.server_actions import (
    AddFloatingIp,
    RemoveFloatingIp,
    first_ipv4,
    has_address,
)
from tricircle.usecases.networking.neutron import Neutron


@dataclass(frozen=True, slots=True)
class ServerAddresses:
    """The ports of a server at the top, and the top's Neutron with the caller's token."""

    server_id: str
    ports: Sequence[Port]
    as_caller: Neutron


async def associate(server: ServerAddresses, action: AddFloatingIp) -> None:
    """Associate a floating IP with an address of a server. Raises Nova's errors."""
    fixed_address = _choose_address(server, action)
    port = next(one for one in server.ports if has_address(one, fixed_address))
    found = await _list(server.as_caller, action.address)
    if not found:
        raise refusals.floating_ip_not_found()

    failed = partial(refusals.association_failed, action.address, fixed_address, server.server_id)
    if len(found) > 1:
        raise failed(str(refusals.floating_ip_ambiguous(action.address)))
    values = {"port_id": port.id, "fixed_ip_address": fixed_address}
    try:
        associated = await server.as_caller.update(FloatingIp, found[0].id, values)
    except NeutronRefused as refusal:
        if refusal.status == 400:
            raise failed(refusal.detail) from None
        if refusal.status == 409:
            raise refusals.association_refused(refusal.detail) from None
        raise
    if associated is None:
        # Neutron answers 404 to this too; the floating IP itself was there a moment ago.
        raise failed(f"no router leads from its network to port {port.id}")


async def disassociate(server: ServerAddresses, action: RemoveFloatingIp) -> None:
    """Take a floating IP from a server. Raises Nova's errors."""
    found = await _list(server.as_caller, action.address)
    if not found:
        raise refusals.floating_address_not_found(action.address)
    if len(found) > 1:
        raise refusals.floating_ip_ambiguous(action.address)
    if found[0].port_id not in {port.id for port in server.ports}:
        raise refusals.floating_ip_not_associated(action.address, server.server_id)
    await server.as_caller.update(FloatingIp, found[0].id, {"port_id": None})


def _choose_address(server: ServerAddresses, action: AddFloatingIp) -> str:
    if not server.ports:
        raise refusals.not_ready()
    if not any(port.fixed_ips for port in server.ports):
        raise refusals.no_addresses()
    if action.fixed_address is not None:
        if not any(has_address(port, action.fixed_address) for port in server.ports):
            raise refusals.address_not_assigned()
        return action.fixed_address
    address = first_ipv4(server.ports)
    if address is None:
        raise refusals.no_ipv4(action.address, server.server_id)
    return address


async def _list(neutron: Neutron, address: str) -> Sequence[FloatingIp]:
    """Return the caller's floating IPs with an address; none where there are no routers at all."""
    try:
        return await neutron.list_all(FloatingIp, floating_ip_address=address)
    except NeutronRefused as refusal:
        if refusal.status == 404:
            return ()
        raise
