"""The ports of one server in one pod, with everything they stand on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from tricircle.core.errors import NeutronRefused, PodError
from tricircle.core.model import BottomId, Kind, Origin, Pod, PodId, ProjectId, TopId
from tricircle.core.network.objects import KINDS, Port, SecurityGroup
from tricircle.core.network.refusals import Form
from tricircle.core.network.twins import mark_of, may_be_auto_address, twin_groups
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.store import RoutingStore, RoutingUpkeep
from tricircle.usecases.ensure import TwinMaker
from tricircle.usecases.fanout import Done, Failed, fan_out
from tricircle.usecases.networking.groups import GroupTwins
from tricircle.usecases.networking.networks import NetworkTwin, NetworkTwins, Site
from tricircle.usecases.networking.neutron import Neutrons
from tricircle.usecases.networking.pod_facts import PodFacts
from tricircle.usecases.networking.ports import PortSurroundings, PortTwins, TopPort
from tricircle.usecases.networking.together import all_of

log = logging.getLogger(__name__)

_LIMIT_S = 300.0
_LOST = frozenset({400, 404})
"""What a Neutron says when a port is to be made on something that is gone."""


@dataclass(frozen=True, slots=True)
class TwinStores:
    """What is kept of twins in the database, and the pods that are named there."""

    routings: RoutingStore
    upkeep: RoutingUpkeep
    find_pod: Callable[[PodId], Pod | None]


@dataclass(frozen=True, slots=True)
class WantedPorts:
    """The ports that are to be in a pod, and security groups that were read already."""

    form: Form
    request_id: str
    ports: tuple[TopPort, ...] = ()
    groups: Mapping[str, SecurityGroup] = field(default_factory=dict)


class ServerPorts:
    """Puts ports into pods and takes them away again."""

    def __init__(
        self, neutrons: Neutrons, stores: TwinStores, maker: TwinMaker, clock: Clock
    ) -> None:
        facts = PodFacts(clock)
        self._neutrons, self._stores = neutrons, stores
        self._networks = NetworkTwins(stores.routings, maker, facts)
        self._groups = GroupTwins(stores.routings, maker, facts, clock)
        self._ports = PortTwins(stores.routings, stores.upkeep, maker, facts)

    async def ensure(self, wanted: WantedPorts, pod: Pod) -> list[BottomId]:
        """Return the twins of all ports in a pod, in order.

        Raises TwinBusy, PodError, Nova's PortInUse; what was made so far stays.
        """
        if not wanted.ports:
            return []
        site = self.site(pod, wanted.request_id)
        await all_of(partial(self._free_elsewhere, wanted, one, pod) for one in wanted.ports)
        try:
            return await self._ensure_all(site, wanted)
        except NeutronRefused as refusal:
            if refusal.status not in _LOST or not await self._forget_lost(site, wanted):
                raise
            return await self._ensure_all(site, wanted)

    async def put_groups(
        self, wanted: WantedPorts, pod: Pod, port_id: BottomId, *, is_default: bool
    ) -> None:
        """Have the groups of the one wanted port in a pod, and on that pod's port.

        A port that was made without naming any is in the ``is_default`` one already.
        Raises NotFound, TwinBusy, PodError.
        """
        site, top = self.site(pod, wanted.request_id), wanted.ports[0].port
        twins = await self._groups.ensure(site, _groups([top]), wanted.groups)
        if not is_default:
            await site.bottom.update(Port, port_id, {"security_groups": twin_groups(top, twins)})

    async def put_mark(self, wanted: WantedPorts, pod: Pod, port_id: BottomId) -> None:
        """Mark a pod's port as the twin of the one wanted port. Raises PodError."""
        top = wanted.ports[0].port
        values = {"name": top.name, "description": mark_of(Kind.PORT, top)}
        await self.site(pod, wanted.request_id).bottom.update(Port, port_id, values)

    async def take_away(self, wanted: WantedPorts, only: Pod | None) -> set[str]:
        """Remove the twins of all ports, from one pod or from all.

        Return the ports that now have none there; what fails is logged.
        """
        return await carry_out(
            "twin of a port not yet removed",
            {
                one.port.id: partial(self._take_one_away, one.port.id, only, wanted.request_id)
                for one in wanted.ports
            },
        )

    def site(self, pod: Pod, request_id: str) -> Site:
        """Return both sides of an errand in a pod."""
        return Site(self._neutrons.top(request_id), self._neutrons.pod(pod, request_id))

    async def _ensure_all(self, site: Site, wanted: WantedPorts) -> list[BottomId]:
        ports = [one.port for one in wanted.ports]
        networks: dict[str, NetworkTwin] = {}
        groups: dict[str, BottomId] = {}
        auto: set[str] = set()

        async def ensure_network(network_id: str) -> None:
            mine = [port for port in ports if port.network_id == network_id]
            twin = await self._networks.ensure(site, network_id, _subnets(mine), wanted.form)
            for project_id in sorted({port.project_id for port in mine}):
                await self._networks.share(site, twin, ProjectId(project_id))
            networks[network_id] = twin

        async def ensure_groups() -> None:
            groups.update(await self._groups.ensure(site, _groups(ports), wanted.groups))

        async def find_auto_subnets() -> None:
            suspects = sorted({one for port in ports for one in may_be_auto_address(port)})
            auto.update(await self._networks.list_auto_address(site, suspects))

        steps: list[Callable[[], Awaitable[None]]] = [ensure_groups, find_auto_subnets]
        steps += [partial(ensure_network, one) for one in {port.network_id for port in ports}]
        await all_of(steps)
        return await all_of(
            partial(
                self._ports.ensure,
                site,
                one,
                PortSurroundings(networks[one.port.network_id], groups, frozenset(auto)),
            )
            for one in wanted.ports
        )

    async def _free_elsewhere(self, wanted: WantedPorts, one: TopPort, pod: Pod) -> None:
        """Remove what an earlier attempt left of a port in other pods.

        A port is in one pod at a time: its addresses must not be in use twice. No server
        can have a port that was made for this one: that may wait for the sweep.
        """
        for routing in await self._stores.routings.find_routings(Kind.PORT, TopId(one.port.id)):
            other = self._stores.find_pod(routing.pod_id)
            if routing.pod_id == pod.id or other is None:
                continue
            try:
                await self._ports.free(self.site(other, wanted.request_id), routing)
            except PodError as error:
                if one.origin is Origin.USER:
                    raise
                log.info(
                    "twin of a port left to the sweep",
                    extra={"port": one.port.id, "pod": other.name, "reason": str(error)},
                )

    async def _forget_lost(self, site: Site, wanted: WantedPorts) -> bool:
        """Forget twins that someone has deleted in the pod; tell whether there were any."""
        ports = [one.port for one in wanted.ports]
        lost = await all_of(
            partial(forget_lost, self._stores.routings, site, kind, sorted(ids))
            for kind, ids in (
                (Kind.NETWORK, {port.network_id for port in ports}),
                (Kind.SUBNET, _subnets(ports)),
                (Kind.SECURITY_GROUP, _groups(ports)),
            )
        )
        return any(lost)

    async def _take_one_away(self, port_id: str, only: Pod | None, request_id: str) -> None:
        for routing in await self._stores.routings.find_routings(Kind.PORT, TopId(port_id)):
            pod = self._stores.find_pod(routing.pod_id)
            if pod is not None and only in (None, pod):
                await self._ports.take_from(self.site(pod, request_id), routing)


async def carry_out(
    complaint: str, calls: Mapping[str, Callable[[], Awaitable[object]]]
) -> set[str]:
    """Run all calls; return the keys of those that succeeded and log ``complaint`` for the rest."""
    outcomes = await fan_out(calls, timeout_s=_LIMIT_S)
    for key, outcome in outcomes.items():
        if isinstance(outcome, Failed):
            log.warning(complaint, extra={"port": key, "reason": outcome.reason})
    return {key for key, outcome in outcomes.items() if isinstance(outcome, Done)}


async def forget_lost(
    routings: RoutingStore, site: Site, kind: Kind, top_ids: Sequence[str]
) -> bool:
    """Forget twins of a kind that someone has deleted in the pod; tell whether there were any."""
    rows = await all_of(partial(routings.find_routings, kind, TopId(one)) for one in top_ids)
    known = {
        str(row.bottom_id): row
        for found in rows
        for row in found
        if row.pod_id == site.pod_id and row.bottom_id is not None
    }
    if not known:
        return False
    present = await site.bottom.list_all(KINDS[kind], id=sorted(known))
    lost = [row for bottom_id, row in known.items() if bottom_id not in {p.id for p in present}]
    for row in lost:
        await routings.forget_routing(kind, row.top_id, row.pod_id)
    return bool(lost)


def _subnets(ports: Iterable[Port]) -> set[str]:
    return {fixed.subnet_id for port in ports for fixed in port.fixed_ips}


def _groups(ports: Iterable[Port]) -> set[str]:
    """Return the security groups that ports really have."""
    return {
        group
        for port in ports
        if port.port_security_enabled is not False
        for group in port.security_groups
    }
