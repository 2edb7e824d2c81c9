"""Twins of ports that servers have: made like their tops again while they are in use."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from tricircle.core.errors import NeutronRefused
from tricircle.core.model import BottomId, Kind, TopId
from tricircle.core.network.objects import Port
from tricircle.core.network.refusals import Form
from tricircle.core.network.server_actions import Values, surplus_groups, twin_changes
from tricircle.core.network.twins import (
    mark_of,
    may_be_auto_address,
    twin_addresses,
    twin_groups,
)
from tricircle.interfaces.clock import Clock
from tricircle.usecases.ensure import TwinMaker
from tricircle.usecases.networking.groups import GroupTwins
from tricircle.usecases.networking.networks import NetworkTwins, Site
from tricircle.usecases.networking.pod_facts import PodFacts
from tricircle.usecases.networking.ports import find_port
from tricircle.usecases.networking.server_ports import TwinStores, forget_lost
from tricircle.usecases.networking.together import all_of

log = logging.getLogger(__name__)

_ATTEMPTS = 4
_LOST = frozenset({400, 404})
"""What a Neutron says when a port is to be put into a group that is gone."""

Wanted = Callable[[Site, Port], Awaitable[Values]]


class LivePorts:
    """Changes twins that are in use. Every method may be repeated, by any number of processes."""

    def __init__(self, stores: TwinStores, maker: TwinMaker, clock: Clock) -> None:
        facts = PodFacts(clock)
        self._routings = stores.routings
        self._networks = NetworkTwins(stores.routings, maker, facts)
        self._groups = GroupTwins(stores.routings, maker, facts, clock)

    async def equalise_groups(self, site: Site, ports: Sequence[Port]) -> frozenset[str]:
        """Put the twins of ports into exactly the groups of their tops.

        Return the pod's groups that a twin was taken out of. Raises PodError, TwinBusy.
        """
        taken = await all_of(
            partial(self._equalise, site, port, self._wanted_groups) for port in ports
        )
        return frozenset().union(*taken)

    async def equalise_addresses(self, site: Site, ports: Sequence[Port]) -> None:
        """Give the twins of ports exactly the addresses of their tops."""
        await all_of(partial(self._equalise, site, port, self._wanted_addresses) for port in ports)

    async def put_addresses(self, site: Site, port: Port) -> None:
        """Give a port's twin the addresses that ``port`` says, whatever its top has."""
        bottom_id = await self.find_twin(site, port)
        if bottom_id is not None:
            values = await self._wanted_addresses(site, port)
            await site.bottom.update(Port, bottom_id, values)

    async def find_twin(self, site: Site, port: Port) -> BottomId | None:
        """Return the twin of a port in the pod of ``site``, found by its mark if need be."""
        for row in await self._routings.find_routings(Kind.PORT, TopId(port.id)):
            if row.pod_id == site.pod_id and row.bottom_id is not None:
                return row.bottom_id
        return await find_port(site.bottom, mark_of(Kind.PORT, port), port.project_id)

    async def _equalise(self, site: Site, port: Port, wanted: Wanted) -> frozenset[str]:
        """Make one twin like its top; return the groups it was taken out of.

        Whoever has written the twin looks at the top once more: of two changes at once
        the one that writes the twin last may have read the top first.
        """
        bottom_id = await self.find_twin(site, port)
        taken: frozenset[str] = frozenset()
        if bottom_id is None:
            log.warning("port without twin", extra={"port": port.id, "pod": site.pod_id})
            return taken
        for _ in range(_ATTEMPTS):
            values = await wanted(site, port)
            bottom = await site.bottom.find(Port, bottom_id)
            changes = twin_changes(bottom, values) if bottom is not None else {}
            if bottom is None or not changes:
                return taken
            if "security_groups" in changes:
                taken |= surplus_groups(bottom, values)
            await site.bottom.update(Port, bottom_id, changes)
            latest = await site.top.find(Port, port.id)
            if latest is None or _is_same(latest, port):
                return taken
            port = latest
        return taken

    async def _wanted_groups(self, site: Site, port: Port) -> Values:
        try:
            twins = await self._groups.ensure(site, port.security_groups, {})
        except NeutronRefused as refusal:
            ids = sorted(port.security_groups)
            if refusal.status not in _LOST or not await forget_lost(
                self._routings, site, Kind.SECURITY_GROUP, ids
            ):
                raise
            twins = await self._groups.ensure(site, port.security_groups, {})
        return {"security_groups": twin_groups(port, twins)}

    async def _wanted_addresses(self, site: Site, port: Port) -> Values:
        subnets = {fixed.subnet_id for fixed in port.fixed_ips}
        twin = await self._networks.ensure(site, port.network_id, subnets, Form.INTERFACE)
        auto = await self._networks.list_auto_address(site, sorted(may_be_auto_address(port)))
        return {"fixed_ips": twin_addresses(port, twin.subnets, auto)}


def _is_same(latest: Port, port: Port) -> bool:
    return (latest.security_groups, latest.fixed_ips) == (port.security_groups, port.fixed_ips)
