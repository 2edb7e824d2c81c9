"""Twins of ports in a pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tricircle.core.errors import NeutronRefused, TwinBusy
from tricircle.core.model import BottomId, Kind, Origin, PodId, Routing, RoutingState, TopId
from tricircle.core.network.marks import Mark
from tricircle.core.network.objects import Port
from tricircle.core.network.refusals import port_in_use
from tricircle.core.network.twins import check_extensions, mark_of, port_changes, port_values
from tricircle.interfaces.store import RoutingStore, RoutingUpkeep
from tricircle.usecases.ensure import TwinMaker
from tricircle.usecases.networking.networks import NetworkTwin, Site, new_routing
from tricircle.usecases.networking.neutron import Neutron
from tricircle.usecases.networking.pod_facts import PodFacts


@dataclass(frozen=True, slots=True)
class TopPort:
    """A port of the top that a server gets, and whether the gateway made it."""

    port: Port
    origin: Origin


@dataclass(frozen=True, slots=True)
class PortSurroundings:
    """What a port's twin is made of: its network's twin, the groups' ids, special subnets."""

    network: NetworkTwin
    groups: Mapping[str, BottomId]
    auto_subnets: frozenset[str]

    @property
    def twins(self) -> Mapping[str, BottomId]:
        """The pod's ids of subnets and groups together."""
        return {**self.network.subnets, **self.groups}


class PortTwins:
    """Ensures ports in pods and takes them away again."""

    def __init__(
        self,
        routings: RoutingStore,
        upkeep: RoutingUpkeep,
        maker: TwinMaker,
        facts: PodFacts,
    ) -> None:
        self._routings, self._upkeep = routings, upkeep
        self._maker, self._facts = maker, facts

    async def ensure(self, site: Site, top: TopPort, around: PortSurroundings) -> BottomId:
        """Return a port's twin, like its top in every respect and not in use.

        Raises Nova's PortInUse, TwinBusy, PodError.
        """
        routing = replace(
            new_routing(Kind.PORT, top.port.id, top.port.project_id, site.pod_id),
            origin=top.origin,
        )
        recipe = PortRecipe(site, top.port, around, self._facts)
        for _ in range(2):
            ensured = await self._maker.ensure(routing, recipe)
            if not ensured.made:
                await self._want_again(top.port.id, site.pod_id)
            if ensured.made or await self._renew(site, top.port, around, ensured.bottom_id):
                return ensured.bottom_id
            # Someone has removed the port from the pod: what we know of it is void.
            await self._forget(top.port.id, site.pod_id)
        raise NeutronRefused(site.pod_id, 404, "PortNotFound", f"{top.port.id} vanishes again")

    async def free(self, site: Site, routing: Routing) -> None:
        """Remove what an earlier attempt left of a port, and forget it.

        Raises Nova's PortInUse when a server there has the port, or another process is
        putting it there.
        """
        if routing.bottom_id is None and not await self._maker.take_over(routing):
            raise port_in_use(routing.top_id)
        await self._remove(site, routing, await _find_twin(site, routing))

    async def take_from(self, site: Site, routing: Routing) -> None:
        """Remove a port's twin from the pod of ``site`` and ``routing``, and forget it.

        Raises Nova's PortInUse when a server there has the port; TwinBusy when the pod
        may be making the twin still, so that nobody knows of it later.
        """
        bottom_id = await _find_twin(site, routing)
        if bottom_id is None and not await self._maker.take_over(routing):
            raise TwinBusy(Kind.PORT, routing.top_id)
        await self._remove(site, routing, bottom_id)

    async def _remove(self, site: Site, routing: Routing, bottom_id: BottomId | None) -> None:
        if bottom_id is not None:
            bottom = await site.bottom.find(Port, bottom_id)
            if bottom is not None and bottom.device_id:
                raise port_in_use(routing.top_id)
            await site.bottom.delete(Port, bottom_id)
        await self._forget(routing.top_id, routing.pod_id)

    async def _want_again(self, top_id: str, pod_id: PodId) -> None:
        """Make an earlier boot's leftover one of a boot under way, which no repair touches."""
        for row in await self._routings.find_routings(Kind.PORT, TopId(top_id)):
            if row.pod_id == pod_id and row.owner_id is None:
                await self._upkeep.mark_routing(
                    Kind.PORT, row.top_id, pod_id, RoutingState.ACTIVE, None
                )

    async def _renew(
        self, site: Site, top: Port, around: PortSurroundings, bottom_id: BottomId
    ) -> bool:
        """Make a twin that an earlier boot left like its top; False when it is gone."""
        extensions = await self._facts.extensions(site.bottom)
        changes = port_changes(top, around.twins, around.auto_subnets, extensions)
        bottom = await site.bottom.find(Port, bottom_id)
        if bottom is None:
            return False
        if bottom.device_id:
            raise port_in_use(top.id)
        if bottom.mac_address != top.mac_address:
            changes["mac_address"] = top.mac_address
        return await site.bottom.update(Port, bottom_id, changes) is not None

    async def _forget(self, top_id: str, pod_id: PodId) -> None:
        await self._routings.forget_routing(Kind.PORT, TopId(top_id), pod_id)


@dataclass(frozen=True, slots=True)
class PortRecipe:
    """How a port's twin is found and made."""

    site: Site
    top: Port
    around: PortSurroundings
    facts: PodFacts

    async def look(self) -> BottomId | None:
        """Return the twin by its mark."""
        return await find_port(self.site.bottom, mark_of(Kind.PORT, self.top), self.top.project_id)

    async def make(self) -> BottomId:
        """Return a new twin."""
        extensions = await self.facts.extensions(self.site.bottom)
        check_extensions(self.top, extensions, self.site.pod_id)
        values = port_values(
            self.top,
            self.around.network.bottom_id,
            self.around.twins,
            self.around.auto_subnets,
            extensions,
        )
        return BottomId((await self.site.bottom.create(Port, values)).id)


async def _find_twin(site: Site, routing: Routing) -> BottomId | None:
    return routing.bottom_id or await find_routed(site.bottom, routing)


async def find_port(bottom: Neutron, mark: str, project_id: str) -> BottomId | None:
    """Return the pod's port of a project that carries a mark: of two, the first by id."""
    found = await bottom.list_all(Port, description=mark, project_id=project_id)
    return min((BottomId(port.id) for port in found), default=None)


async def find_routed(bottom: Neutron, routing: Routing) -> BottomId | None:
    """Return the twin of a port whose routing does not say it, if it is in the pod."""
    mark = str(Mark(Kind.PORT, routing.top_id, routing.project_id))
    return await find_port(bottom, mark, routing.project_id)
