"""Why a new resource would go to a pod, told without making one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import quote

from tricircle.core.errors import BadInput, PodError, ServiceUnavailable
from tricircle.core.model import Pod, ProjectId, Service, Version
from tricircle.core.placing import Topology
from tricircle.core.weighing import Asked, Facts, Needs, Verdict, flavor_needs, judge
from tricircle.interfaces.cloud import Cloud, ServiceCredential
from tricircle.interfaces.store import BindingStore, NodeStore, PodStore, ZoneStore
from tricircle.usecases.replicas.pod_service import PodService

_FLAVOR_VERSION = Version(2, 1)


@dataclass(frozen=True, slots=True)
class PlacementQuery:
    """What would be made: ``count`` servers of a flavor, or a volume of ``volume_gib``."""

    zone: str | None = None
    project_id: ProjectId | None = None
    flavor: str | None = None
    count: int = 1
    volume_gib: int = 0


@dataclass(frozen=True, slots=True)
class PlacementAdvice:
    """Judges pods as the gateways do. ``open_cloud`` gives a way to ask one pod."""

    pods: PodStore
    zones: ZoneStore
    nodes: NodeStore
    bindings: BindingStore
    credential: ServiceCredential
    open_cloud: Callable[[Pod], AbstractAsyncContextManager[Cloud]]
    timeout_s: float

    async def explain(self, query: PlacementQuery, request_id: str) -> list[Verdict]:
        """Return all pods, best first, each with why.

        Raises BadInput for a zone or flavor that is not there.
        """
        topology = Topology(
            tuple(await self.pods.list_pods()), tuple(await self.zones.list_zone_pods())
        )
        if query.zone and not topology.pod_zones(query.zone):
            raise BadInput(f"there is no availability zone '{query.zone}'; see GET /v1/zones")
        needs = Needs(volume_gib=query.volume_gib)
        if query.flavor is not None:
            needs = (await self._read_flavor(topology, query.flavor, request_id)).times(query.count)
        nodes = {node.pod_id: node for node in await self.nodes.list_nodes()}
        bindings = await self.bindings.list_bindings(query.project_id) if query.project_id else {}
        asked = Asked(query.zone or None, needs=needs)
        return judge(asked, Facts(topology, nodes, bindings))

    async def _read_flavor(self, topology: Topology, flavor_id: str, request_id: str) -> Needs:
        """Return the size of a flavor from the first pod that has it."""
        silent = False
        for pod in sorted(topology.pods, key=lambda pod: (not pod.enabled, pod.name)):
            try:
                found = await self._ask(pod, flavor_id, request_id)
            except PodError:
                silent = True
                continue
            if found is not None:
                return found
        if silent:
            raise ServiceUnavailable(f"no pod that answers has flavor '{flavor_id}'; retry later")
        raise BadInput(f"no pod has flavor '{flavor_id}'; see 'openstack flavor list --all'")

    async def _ask(self, pod: Pod, flavor_id: str, request_id: str) -> Needs | None:
        endpoint = pod.endpoints.get(Service.COMPUTE)
        if endpoint is None:
            return None
        async with self.open_cloud(pod) as cloud:
            nova = PodService(cloud, self.credential, pod, endpoint, request_id, self.timeout_s)
            found = await nova.find(f"/flavors/{quote(flavor_id, safe='')}", _FLAVOR_VERSION)
        return flavor_needs(found.item("flavor")) if found is not None else None
