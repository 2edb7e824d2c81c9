"""Twins of networks and their subnets in a pod, and who may use them there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tricircle.core.errors import NeutronRefused, NotBuiltYet
from tricircle.core.model import BottomId, Kind, PodId, ProjectId, Routing, RoutingState, TopId
from tricircle.core.network.marks import DHCP_OWNER, dhcp_mark
from tricircle.core.network.objects import Network, Port, RbacPolicy, Subnet
from tricircle.core.network.refusals import Form, network_not_found
from tricircle.core.network.twins import (
    check_extensions,
    mark_of,
    needs_reservation,
    network_values,
    reservation_values,
    subnet_values,
)
from tricircle.interfaces.store import RoutingStore
from tricircle.usecases.ensure import TwinMaker
from tricircle.usecases.networking.neutron import Neutron
from tricircle.usecases.networking.pod_facts import PodFacts
from tricircle.usecases.networking.together import all_of, both

_SHARES_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Site:
    """Both sides of one errand: the top's Neutron and a pod's, asked with the service's token."""

    top: Neutron
    bottom: Neutron

    @property
    def pod_id(self) -> PodId:
        """The pod."""
        return self.bottom.pod_id


@dataclass(frozen=True, slots=True)
class NetworkTwin:
    """A network in a pod: its id, whose it is, and the pod's ids of its subnets."""

    bottom_id: BottomId
    owner_id: ProjectId
    subnets: Mapping[str, BottomId]


class NetworkTwins:
    """Ensures networks in pods. Asks no pod for what is known to be there."""

    def __init__(self, routings: RoutingStore, maker: TwinMaker, facts: PodFacts) -> None:
        self._routings, self._maker, self._facts = routings, maker, facts
        self._shares: OrderedDict[tuple[PodId, BottomId, ProjectId], None] = OrderedDict()

    async def ensure(
        self, site: Site, network_id: str, subnet_ids: Iterable[str], form: Form
    ) -> NetworkTwin:
        """Return the twin of a network, with all its subnets when one of those asked for is new.

        Raises Nova's error for a network that is gone from the top, TwinBusy, PodError.
        """
        known = await self._find_known(site, network_id, set(subnet_ids))
        if known is not None:
            return known
        top, subnets = await both(
            partial(site.top.find, Network, network_id),
            partial(site.top.list_all, Subnet, network_id=network_id),
        )
        if top is None:
            raise network_not_found(form, network_id)
        if top.external:
            raise NotBuiltYet(
                f"network {network_id} is external: servers get addresses of such networks "
                "through floating IPs only"
            )
        bottom_id = await self._ensure_network(site, top)
        made = await all_of(
            partial(self._ensure_subnet, site, subnet, bottom_id) for subnet in subnets
        )
        twins = {subnet.id: twin for subnet, twin in zip(subnets, made, strict=True)}
        return NetworkTwin(bottom_id, ProjectId(top.project_id), twins)

    async def share(self, site: Site, twin: NetworkTwin, project_id: ProjectId) -> None:
        """Let a project use a network that the top has let it use; it may own it anyway."""
        key = (site.pod_id, twin.bottom_id, project_id)
        if project_id == twin.owner_id or key in self._shares:
            return
        network = await site.bottom.find(Network, twin.bottom_id)
        if network is not None and not network.shared:
            await self._add_policy(site, twin, project_id)
        self._shares[key] = None
        if len(self._shares) > _SHARES_KEPT:
            self._shares.popitem(last=False)

    async def list_auto_address(self, site: Site, subnet_ids: Sequence[str]) -> frozenset[str]:
        """Return which of these subnets of the top give addresses that follow from MACs."""
        if not subnet_ids:
            return frozenset()
        subnets = await site.top.list_all(Subnet, id=list(subnet_ids))
        return frozenset(subnet.id for subnet in subnets if subnet.auto_address)

    async def _find_known(
        self, site: Site, network_id: str, subnet_ids: set[str]
    ) -> NetworkTwin | None:
        network, *subnets = await all_of(
            partial(find_active, self._routings, kind, top_id, site.pod_id)
            for kind, top_id in [
                (Kind.NETWORK, network_id),
                *((Kind.SUBNET, subnet_id) for subnet_id in sorted(subnet_ids)),
            ]
        )
        if network is None or network.bottom_id is None:
            return None
        found = {
            str(subnet.top_id): subnet.bottom_id
            for subnet in subnets
            if subnet is not None and subnet.bottom_id is not None
        }
        if len(found) < len(subnet_ids):
            return None
        return NetworkTwin(network.bottom_id, network.project_id, found)

    async def _ensure_network(self, site: Site, top: Network) -> BottomId:
        routing = new_routing(Kind.NETWORK, top.id, top.project_id, site.pod_id)
        ensured = await self._maker.ensure(routing, _NetworkRecipe(site, top, self._facts))
        return ensured.bottom_id

    async def _ensure_subnet(self, site: Site, top: Subnet, network_id: BottomId) -> BottomId:
        routing = new_routing(Kind.SUBNET, top.id, top.project_id, site.pod_id)
        recipe = _SubnetRecipe(site, top, network_id, self._facts)
        return (await self._maker.ensure(routing, recipe)).bottom_id

    async def _add_policy(self, site: Site, twin: NetworkTwin, project_id: ProjectId) -> None:
        values = {
            "object_type": "network",
            "object_id": twin.bottom_id,
            "action": "access_as_shared",
            "target_tenant": project_id,
            "project_id": twin.owner_id,
        }
        try:
            await site.bottom.create(RbacPolicy, values)
        except NeutronRefused as refusal:
            # Someone else has shared it meanwhile.
            if refusal.status != 409 or refusal.reason == "OverQuota":
                raise


@dataclass(frozen=True, slots=True)
class _NetworkRecipe:
    site: Site
    top: Network
    facts: PodFacts

    async def look(self) -> BottomId | None:
        mark = mark_of(Kind.NETWORK, self.top)
        return await _find_marked(self.site.bottom, mark, self.top.project_id)

    async def make(self) -> BottomId:
        extensions = await self.facts.extensions(self.site.bottom)
        check_extensions(self.top, extensions, self.site.pod_id)
        values = network_values(self.top, extensions)
        try:
            made = await self.site.bottom.create(Network, values)
        except NeutronRefused as refusal:
            # The pod's underlay may carry less than the top's; the pod then knows best.
            if refusal.status != 400 or "mtu" not in values:
                raise
            del values["mtu"]
            made = await self.site.bottom.create(Network, values)
        return BottomId(made.id)


@dataclass(frozen=True, slots=True)
class _SubnetRecipe:
    site: Site
    top: Subnet
    network_id: BottomId
    facts: PodFacts

    async def look(self) -> BottomId | None:
        """Return the subnet by mark, or by its range: there can be but one in a network."""
        present = await self.site.bottom.list_all(Subnet, network_id=self.network_id)
        return next((BottomId(one.id) for one in present if one.cidr == self.top.cidr), None)

    async def make(self) -> BottomId:
        check_extensions(self.top, await self.facts.extensions(self.site.bottom), self.site.pod_id)
        reserved = await self._reserve() if needs_reservation(self.top) else None
        values = subnet_values(self.top, self.network_id, reserved)
        return BottomId((await self.site.bottom.create(Subnet, values)).id)

    async def _reserve(self) -> str | None:
        """Return the address that the top keeps for this pod's DHCP service, None when it is full.

        Looked for first: whoever was here before may have died after keeping one.
        """
        kept = await self.site.top.list_all(
            Port,
            network_id=self.top.network_id,
            device_owner=DHCP_OWNER,
            description=dhcp_mark(TopId(self.top.id), self.site.pod_id),
        )
        if not kept:
            try:
                values = reservation_values(self.top, self.site.pod_id)
                kept = (await self.site.top.create(Port, values),)
            except NeutronRefused as refusal:
                if refusal.reason != "IpAddressGenerationFailure":
                    raise
                return None
        # Neutron adds addresses of its own where they follow from the MAC.
        addresses = (one for one in kept[0].fixed_ips if one.subnet_id == self.top.id)
        return next((one.ip_address for one in addresses), None)


def new_routing(kind: Kind, top_id: str, project_id: str, pod_id: PodId) -> Routing:
    """Return the routing of a twin that is to be made."""
    return Routing(kind, TopId(top_id), pod_id, None, ProjectId(project_id), RoutingState.CREATING)


async def find_active(
    routings: RoutingStore, kind: Kind, top_id: str, pod_id: PodId
) -> Routing | None:
    """Return the routing of a twin that is known to be in a pod."""
    for routing in await routings.find_routings(kind, TopId(top_id)):
        if routing.pod_id == pod_id and routing.state is RoutingState.ACTIVE:
            return routing
    return None


async def _find_marked(bottom: Neutron, mark: str, project_id: str) -> BottomId | None:
    """Return the pod's network of a project that carries a mark: of two, the first by id."""
    found = await bottom.list_all(Network, description=mark, project_id=project_id)
    return min((BottomId(one.id) for one in found), default=None)
