"""Why a new resource would go to a pod, told without making one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from tricircle.core.errors import BadInput, PodError, ServiceUnavailable
from tricircle.core.model import Pod, ProjectId, Service
from tricircle.core.placing import Topology
from tricircle.core.weighing import Asked, Facts, Needs, Verdict, judge
from tricircle.interfaces.cloud import Cloud, ServiceCredential
from tricircle.interfaces.store import BindingStore, NodeStore, PodStore, RoutingStore, ZoneStore
from tricircle.usecases.demands import ask_flavor, ask_volume_type
from tricircle.usecases.replicas.pod_service import PodService, PodServices


@dataclass(frozen=True, slots=True)
class _Asking:
    """How one pod is asked, and for what in words."""

    service: Service
    what: str
    ask: Callable[[PodService], Awaitable[Needs | None]]


@dataclass(frozen=True, slots=True)
class PlacementQuery:
    """What would be made: ``count`` servers of a flavor, or a volume of ``volume_gib``.

    ``volume_type`` is a name, or an id at the top, of that volume or of one that is made
    with the servers.
    """

    zone: str | None = None
    project_id: ProjectId | None = None
    flavor: str | None = None
    count: int = 1
    volume_gib: int = 0
    volume_type: str | None = None


@dataclass(frozen=True, slots=True)
class PlacementAdvice:
    """Judges pods as the gateways do. ``open_cloud`` gives a way to ask one pod."""

    pods: PodStore
    zones: ZoneStore
    nodes: NodeStore
    bindings: BindingStore
    routings: RoutingStore
    credential: ServiceCredential
    open_cloud: Callable[[Pod], AbstractAsyncContextManager[Cloud]]
    timeout_s: float

    async def explain(self, query: PlacementQuery, request_id: str) -> list[Verdict]:
        """Return all pods, best first, each with why.

        Raises BadInput for a zone, flavor or volume type that is not there.
        """
        topology = Topology(
            tuple(await self.pods.list_pods()), tuple(await self.zones.list_zone_pods())
        )
        if query.zone and not topology.pod_zones(query.zone):
            raise BadInput(f"there is no availability zone '{query.zone}'; see GET /v1/zones")
        needs = await self._read_needs(topology, query, request_id)
        nodes = {node.pod_id: node for node in await self.nodes.list_nodes()}
        facts = Facts(topology, nodes)
        if query.project_id:
            bindings = await self.bindings.list_bindings(query.project_id)
            past = await self.bindings.list_past_pods(query.project_id)
            facts = replace(facts, bindings=bindings, past_pods=past)
        return judge(Asked(query.zone or None, needs=needs), facts)

    async def _read_needs(
        self, topology: Topology, query: PlacementQuery, request_id: str
    ) -> Needs:
        needs = Needs(volume_gib=query.volume_gib)
        flavor_id, label = query.flavor, query.volume_type
        if flavor_id is not None:

            async def ask_nova(nova: PodService) -> Needs | None:
                return await ask_flavor(nova, flavor_id)

            asking = _Asking(Service.COMPUTE, f"flavor '{flavor_id}'", ask_nova)
            found = await self._find(topology, asking, request_id)
            needs = replace(found.times(query.count), volume_gib=query.volume_gib)
        if label is not None:

            async def ask_cinder(cinder: PodService) -> Needs | None:
                return await ask_volume_type(cinder, self.routings, label)

            asking = _Asking(Service.VOLUME, f"volume type '{label}'", ask_cinder)
            found = await self._find(topology, asking, request_id)
            needs = replace(needs, tags=needs.tags | found.tags)
        return needs

    async def _find(self, topology: Topology, asking: _Asking, request_id: str) -> Needs:
        """Return what the first pod says that has such a thing."""
        silent, what = False, asking.what
        pods = [pod for pod in topology.pods if asking.service in pod.endpoints]
        for pod in sorted(pods, key=lambda pod: (not pod.enabled, pod.name)):
            try:
                async with self.open_cloud(pod) as cloud:
                    services = PodServices(asking.service, cloud, self.credential, self.timeout_s)
                    found = await asking.ask(services.of(pod, request_id))
            except PodError:
                silent = True
                continue
            if found is not None:
                return found
        if silent:
            raise ServiceUnavailable(f"no pod that answers has {what}; retry later")
        raise BadInput(f"no pod has {what}; see 'openstack {what.rpartition(' ')[0]} list'")
