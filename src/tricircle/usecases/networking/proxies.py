"""Networks, floating IPs and security groups of the top, as Nova's proxies to Neutron serve them.

The top's Neutron is asked with the caller's own token, in Nova's own order
(nova/network/neutron.py and security_group_api.py), so that it decides what the caller
sees and may change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from msgspec.structs import replace

from tricircle.core.errors import BadInput, Forbidden, NeutronRefused, NotFound, ServiceFault
from tricircle.core.model import Caller, ProjectId
from tricircle.core.network.action_refusals import (
    floating_address_not_found,
    floating_ip_ambiguous,
)
from tricircle.core.network.asking import is_uuid
from tricircle.core.network.group_views import View, view_group, view_rule
from tricircle.core.network.objects import (
    FloatingIp,
    Network,
    Port,
    PortDetails,
    Rule,
    SecurityGroup,
)
from tricircle.core.network.proxy_refusals import Meanings, allocation_refused, explain
from tricircle.core.network.proxy_requests import (
    AskedGroup,
    AskedRule,
    Values,
    has_rule,
    ingress_rule,
)
from tricircle.core.network.proxy_views import view_floating_ip
from tricircle.usecases.networking.named_groups import with_named
from tricircle.usecases.networking.neutron import Neutron

DEFAULT_POOL = "nova"
"""Nova's own default of ``default_floating_pool``."""

_ABSENT: Meanings = {404: NotFound}
_CREATION: Meanings = {400: BadInput, 409: Forbidden}
_DELETION: Meanings = {404: NotFound, 409: BadInput}
_NEW_RULE: Meanings = {400: BadInput, 404: NotFound, 409: Forbidden}

V = TypeVar("V")
LocateServer = Callable[[str], Awaitable[object]]
"""Raises NotFound in Nova's words for a server that the caller does not see."""


class NetworkProxy:
    """The top's networks and pools for one request."""

    def __init__(self, neutron: Neutron) -> None:
        self._neutron = neutron

    async def list_networks(self) -> Sequence[Network]:
        """Return the networks that the caller sees, in Neutron's order."""
        return await _explained(self._neutron.list_all(Network), {})

    async def list_pools(self) -> Sequence[Network]:
        """Return the external networks that the caller sees, in Neutron's order."""
        return await _explained(self._neutron.list_all(Network, **{"router:external": True}), {})

    async def get_network(self, network_id: str) -> Network:
        """Return one network. Raises NotFound."""
        found = await _explained(self._neutron.find(Network, network_id), {})
        if found is None:
            raise NotFound("Network not found")
        return found


class FloatingIpProxy:
    """The top's floating IPs for one request."""

    def __init__(self, neutron: Neutron, locate_server: LocateServer) -> None:
        self._neutron, self._locate_server = neutron, locate_server

    async def list_all(self, project_id: ProjectId) -> list[View]:
        """Return the floating IPs of a project."""
        found = await self._list(project_id=project_id)
        ids = sorted({one.floating_network_id for one in found})
        pools = await _explained(self._neutron.list_all(Network, id=ids), {}) if ids else ()
        by_id = {pool.id: pool for pool in pools}
        return [view_floating_ip(await self._with_port(one), by_id) for one in found]

    async def show(self, floating_ip_id: str) -> View:
        """Return one floating IP. Raises NotFound."""
        return await self._view(await self._get(floating_ip_id))

    async def create(self, pool: str | None) -> View:
        """Return a new floating IP of a pool, given by name or id."""
        network = await self._find_pool(pool)
        try:
            made = await self._neutron.create(FloatingIp, {"floating_network_id": network.id})
        except NeutronRefused as refusal:
            raise allocation_refused(refusal, pool) from None
        return view_floating_ip(made, {network.id: network})

    async def delete(self, floating_ip_id: str) -> None:
        """Delete a floating IP, also one that a server of the caller has.

        Nova looks for it by its address and for the server that has it first.
        """
        address = (await self._get(floating_ip_id)).floating_ip_address
        found = await self._list(floating_ip_address=address)
        if not found:
            raise floating_address_not_found(address)
        if len(found) > 1:
            raise floating_ip_ambiguous(address)
        port_id = found[0].port_id
        port = await _explained(self._neutron.find(Port, port_id), {}) if port_id else None
        if port is not None and port.device_id:
            await self._locate_server(port.device_id)
        if not await _explained(self._neutron.delete(FloatingIp, found[0].id), {}):
            raise floating_address_not_found(address)

    async def _get(self, floating_ip_id: str) -> FloatingIp:
        found = await _explained(self._neutron.find(FloatingIp, floating_ip_id), {})
        if found is None:
            raise NotFound(f"Floating IP not found for ID {floating_ip_id}")
        return found

    async def _list(self, **filters: str) -> Sequence[FloatingIp]:
        """Return floating IPs; none where there are no routers at all."""
        try:
            return await self._neutron.list_all(FloatingIp, **filters)
        except NeutronRefused as refusal:
            if refusal.status == 404:
                return ()
            raise explain(refusal, {}) from None

    async def _find_pool(self, pool: str | None) -> Network:
        """Return the external network that a pool is.

        Which one is meant by none is an option of each Nova; here it is the one of Nova's
        own default, or the only one there is.
        """
        pools = await NetworkProxy(self._neutron).list_pools()
        name = pool or DEFAULT_POOL
        found = [one for one in pools if name == (one.id if is_uuid(name) else one.name)]
        if not found and pool is None and len(pools) == 1:
            found = list(pools)
        if not found:
            raise NotFound("Floating IP pool not found.")
        if len(found) > 1:
            raise ServiceFault("nova.exception.NovaException")
        return found[0]

    async def _view(self, floating_ip: FloatingIp) -> View:
        pool = await _explained(self._neutron.find(Network, floating_ip.floating_network_id), {})
        pools = {} if pool is None else {pool.id: pool}
        return view_floating_ip(await self._with_port(floating_ip), pools)

    async def _with_port(self, floating_ip: FloatingIp) -> FloatingIp:
        """Return it with the device of its port, which not every Neutron shows by itself."""
        if floating_ip.port_id is None or floating_ip.port_details is not None:
            return floating_ip
        port = await _explained(self._neutron.find(Port, floating_ip.port_id), {})
        if port is None:
            return floating_ip
        return replace(floating_ip, port_details=PortDetails(device_id=port.device_id))


class GroupProxy:
    """The top's security groups for one request."""

    def __init__(self, neutron: Neutron) -> None:
        self._neutron = neutron

    async def list_all(self, caller: Caller, *, everyones: bool) -> Sequence[SecurityGroup]:
        """Return the groups of the caller's project, or all that the caller sees."""
        filters = {} if everyones else {"project_id": str(caller.project_id)}
        return await _explained(self._neutron.list_all(SecurityGroup, **filters), {})

    async def views(self, groups: Sequence[SecurityGroup]) -> list[View]:
        """Return groups as Nova shows them, by project and name."""
        named = await _explained(
            with_named(self._neutron, {group.id: group for group in groups}), {}
        )
        ordered = sorted(groups, key=lambda group: (group.project_id, group.name))
        return [view_group(group, named) for group in ordered]

    async def show(self, group_id: str) -> View:
        """Return one group."""
        return await self._view(await self._get_checked(group_id))

    async def create(self, asked: AskedGroup) -> View:
        """Return a new group."""
        made = await _explained(self._neutron.create(SecurityGroup, _values(asked)), _CREATION)
        return await self._view(made)

    async def update(self, group_id: str, asked: AskedGroup) -> View:
        """Return a group with another name and description."""
        group = await self._get_checked(group_id)
        changed = await _explained(
            self._neutron.update(SecurityGroup, group.id, _values(asked)), {}
        )
        if changed is None:
            raise NotFound(f"Security group {group_id} does not exist")
        return await self._view(changed)

    async def delete(self, group_id: str) -> None:
        """Delete a group."""
        group = await self._get_checked(group_id)
        await _explained(self._neutron.delete(SecurityGroup, group.id), _DELETION)

    async def create_rule(self, asked: AskedRule) -> View:
        """Return a new rule of a group."""
        parent = await self._get(asked.parent_group_id)
        named = {} if asked.group_id is None else {asked.group_id: await self._get(asked.group_id)}
        values = ingress_rule(asked)
        if has_rule(parent, values):
            raise BadInput(f"This rule already exists in group {parent.id}")
        made = await _explained(self._neutron.create(Rule, values), _NEW_RULE)
        return view_rule(parent.id, made, {group.id: group for group in named.values()})

    async def delete_rule(self, rule_id: str) -> None:
        """Delete a rule."""
        _check_id(rule_id)
        rule = await _explained(self._neutron.get(Rule, rule_id), _ABSENT)
        await self._get(rule.security_group_id)
        await _explained(self._neutron.delete(Rule, rule.id), {})

    async def _get_checked(self, group_id: str) -> SecurityGroup:
        _check_id(group_id)
        return await self._get(group_id)

    async def _get(self, group_id: str) -> SecurityGroup:
        return await _explained(self._neutron.get(SecurityGroup, group_id), _ABSENT)

    async def _view(self, group: SecurityGroup) -> View:
        [view] = await self.views([group])
        return view


async def _explained(call: Awaitable[V], meanings: Meanings) -> V:
    """Return what Neutron answers. Raises Nova's own error for a refusal."""
    try:
        return await call
    except NeutronRefused as refusal:
        raise explain(refusal, meanings) from None


def _check_id(group_id: str) -> None:
    if not is_uuid(group_id):
        raise BadInput("Security group id should be uuid")


def _values(asked: AskedGroup) -> Values:
    return {"name": asked.name, "description": asked.description}
