"""A store in memory that keeps every promise of ``interfaces.store``.

It passes the contract tests of the real one. Its time is a clock that tests may
give, so that leases and positions expire without waiting.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tricircle.core.conflicts import (
    Holdings,
    PodName,
    find_pod_conflict,
    find_zone_conflict,
    pod_in_use,
    taken_pod_id,
    taken_zone,
    unknown_pod,
    unknown_zone_pod,
)
from tricircle.core.model import REPLICATED_KINDS, Node, Pod, PodId, ProjectId, ZoneName, ZonePod
from tricircle.core.texts import require_storable
from tricircle.interfaces.store import PodChange
from tricircle.testing.job_store import (
    JobTable,
    MemoryJobDesk,
    MemoryJobQueue,
    MemoryJobRecords,
)
from tricircle.testing.quota_store import (
    MemoryQuotaCounts,
    MemoryQuotaLedger,
    MemoryQuotaLimits,
    QuotaTables,
)
from tricircle.testing.routing_store import MemoryRoutings, MemoryUpkeep, Now, RoutingTable
from tricircle.testing.spare_store import MemorySpares, SpareTable
from tricircle.testing.wish_store import MemoryWishes, WishTable


@dataclass(slots=True)
class Tables:
    """What is kept, and the time it is kept at."""

    now: Now
    pods: dict[PodId, Pod] = field(default_factory=dict)
    zones: dict[tuple[ZoneName, PodId], ZonePod] = field(default_factory=dict)
    routings: RoutingTable = field(default_factory=RoutingTable)
    spares: SpareTable = field(default_factory=SpareTable)
    bindings: dict[tuple[ProjectId, ZoneName], PodId] = field(default_factory=dict)
    past_bindings: set[tuple[ProjectId, PodId]] = field(default_factory=set)
    positions: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    nodes: dict[PodId, Node] = field(default_factory=dict)
    jobs: JobTable = field(default_factory=JobTable)
    wishes: WishTable = field(default_factory=WishTable)
    quotas: QuotaTables = field(default_factory=QuotaTables)

    def forget_bindings(self, pod_id: PodId) -> None:
        """Drop the bindings to a pod that is deleted."""
        self.bindings = {key: pod for key, pod in self.bindings.items() if pod != pod_id}
        self.past_bindings = {past for past in self.past_bindings if past[1] != pod_id}

    def require_pod(self, pod_id: PodId) -> None:
        """Raise NotFound unless the pod is there, as a foreign key would."""
        if pod_id not in self.pods:
            raise unknown_pod(pod_id)


class MemoryStores:
    """All of ``interfaces.store``, ``.jobs``, ``.wishes`` and ``.quotas``, like ``SqlStores``."""

    def __init__(self, now: Now | None = None) -> None:
        tables = Tables(now or _wall_time)
        self.tables = tables
        self.pods = MemoryPods(tables)
        self.zones = MemoryZones(tables)
        self.routings = MemoryRoutings(tables.routings, tables.now, tables.require_pod)
        self.upkeep = MemoryUpkeep(tables.routings, tables.now)
        self.spares = MemorySpares(tables.spares, tables.now, tables.require_pod)
        self.bindings = MemoryBindings(tables)
        self.positions = MemoryPositions(tables)
        self.nodes = MemoryNodes(tables)
        self.desk = MemoryJobDesk(tables.jobs, tables.now, tables.require_pod)
        self.queue = MemoryJobQueue(tables.jobs, tables.now)
        self.records = MemoryJobRecords(tables.jobs, tables.now, self.desk)
        self.wishes = MemoryWishes(tables.wishes, self.desk, lambda: sorted(tables.pods))
        self.quota_limits = MemoryQuotaLimits(tables.quotas)
        self.quota_ledger = MemoryQuotaLedger(tables.quotas, tables.now)
        self.quota_counts = MemoryQuotaCounts(tables.quotas, tables.now)


class MemoryPods:
    """``interfaces.store.PodStore`` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def list_pods(self) -> Sequence[Pod]:
        """Return all pods with their endpoints, ordered by name."""
        return sorted(self._tables.pods.values(), key=lambda pod: pod.name)

    async def get_pod(self, pod_id: PodId) -> Pod:
        """Return one pod. Raises NotFound."""
        self._tables.require_pod(pod_id)
        return self._tables.pods[pod_id]

    async def add_pod(self, pod: Pod) -> Pod:
        """Return the pod as kept, times filled in. Raises Duplicate naming name or region."""
        _require_storable_pod(pod)
        conflict = find_pod_conflict(pod, self._names())
        if conflict or pod.id in self._tables.pods:
            raise conflict or taken_pod_id(pod.id)
        now = self._tables.now()
        kept = replace(
            pod,
            endpoints=dict(pod.endpoints),
            tags=dict(pod.tags),
            created_at=now,
            updated_at=now,
        )
        self._tables.pods[pod.id] = kept
        return kept

    async def update_pod(self, pod_id: PodId, change: PodChange) -> Pod:
        """Return the pod as kept after ``change``. Raises NotFound, Duplicate."""
        self._tables.require_pod(pod_id)
        old = self._tables.pods[pod_id]
        pod = replace(change(old), id=pod_id, region=old.region)
        _require_storable_pod(pod)
        conflict = find_pod_conflict(pod, self._names())
        if conflict:
            raise conflict
        kept = replace(
            pod,
            endpoints=dict(pod.endpoints),
            tags=dict(pod.tags),
            created_at=old.created_at,
            updated_at=self._tables.now(),
        )
        self._tables.pods[pod_id] = kept
        return kept

    async def delete_pod(self, pod_id: PodId) -> None:
        """Delete a pod that holds nothing but replicas. Raises NotFound, PodInUse."""
        self._tables.require_pod(pod_id)
        holdings = self._holdings(pod_id)
        if holdings.zones or holdings.routings:
            pod = self._tables.pods[pod_id]
            raise pod_in_use(PodName(pod.id, pod.name, pod.region), holdings)
        del self._tables.pods[pod_id]
        self._tables.routings.forget_replicas_of(pod_id)
        self._tables.nodes.pop(pod_id, None)
        self._tables.spares.forget_pod(pod_id)
        self._tables.forget_bindings(pod_id)
        self._tables.jobs.forget_pod(pod_id)
        self._tables.wishes.forget_pod(pod_id)

    def _names(self) -> Iterable[PodName]:
        return [PodName(pod.id, pod.name, pod.region) for pod in self._tables.pods.values()]

    def _holdings(self, pod_id: PodId) -> Holdings:
        kept = self._tables.routings.list_all()
        kinds = [
            routing.kind
            for routing in kept
            if routing.pod_id == pod_id and routing.kind not in REPLICATED_KINDS
        ]
        return Holdings(
            zones=tuple(sorted(zone for zone, pod in self._tables.zones if pod == pod_id)),
            routings={kind: len(list(same)) for kind, same in itertools.groupby(kinds)},
        )


class MemoryZones:
    """``interfaces.store.ZoneStore`` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def list_zone_pods(self) -> Sequence[ZonePod]:
        """Return the whole map, ordered by zone and pod id."""
        return [self._tables.zones[key] for key in sorted(self._tables.zones)]

    async def add_zone_pod(self, entry: ZonePod) -> ZonePod:
        """Keep an entry. Raises Duplicate, NotFound for an unknown pod."""
        _require_storable_entry(entry)
        if (entry.zone, entry.pod_id) in self._tables.zones:
            raise taken_zone(entry)
        self._tables.require_pod(entry.pod_id)
        return self._put(entry)

    async def update_zone_pod(self, entry: ZonePod) -> ZonePod:
        """Change ``pod_az`` of an entry. Raises NotFound, Duplicate."""
        _require_storable_entry(entry)
        if (entry.zone, entry.pod_id) not in self._tables.zones:
            raise unknown_zone_pod(entry.zone, entry.pod_id)
        return self._put(entry)

    async def delete_zone_pod(self, zone: ZoneName, pod_id: PodId) -> None:
        """Delete an entry. Raises NotFound."""
        if self._tables.zones.pop((zone, pod_id), None) is None:
            raise unknown_zone_pod(zone, pod_id)

    def _put(self, entry: ZonePod) -> ZonePod:
        conflict = find_zone_conflict(entry, self._tables.zones.values())
        if conflict:
            raise conflict
        self._tables.zones[entry.zone, entry.pod_id] = entry
        return entry


class MemoryBindings:
    """``interfaces.store.BindingStore`` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def find_binding(self, project_id: ProjectId, zone: ZoneName) -> PodId | None:
        """Return the pod a project is bound to in a zone ('' = no zone asked for), if any."""
        return self._tables.bindings.get((project_id, zone))

    async def list_bindings(self, project_id: ProjectId) -> Mapping[ZoneName, PodId]:
        """Return all pods a project is bound to."""
        bindings = self._tables.bindings.items()
        return {zone: pod_id for (owner, zone), pod_id in bindings if owner == project_id}

    async def list_past_pods(self, project_id: ProjectId) -> frozenset[PodId]:
        """Return the pods that a binding of a project was moved from."""
        return frozenset(pod for owner, pod in self._tables.past_bindings if owner == project_id)

    async def bind(self, project_id: ProjectId, zone: ZoneName, pod_id: PodId) -> PodId:
        """Return the pod the project is bound to now: ``pod_id``, or who came first."""
        require_storable("the id of the project", project_id)
        require_storable("the zone", zone)
        self._tables.require_pod(pod_id)
        return self._tables.bindings.setdefault((project_id, zone), pod_id)

    async def rebind(self, project_id: ProjectId, zone: ZoneName, old: PodId, new: PodId) -> PodId:
        """Move a binding from ``old`` to ``new`` if it still is ``old``; return what it is now."""
        bound = await self.find_binding(project_id, zone)
        if bound is not None and bound != old:
            return bound
        self._tables.require_pod(new)
        self._tables.bindings[project_id, zone] = new
        if bound is not None and old != new:
            self._tables.past_bindings.add((project_id, old))
        return new

    async def unbind(self, project_id: ProjectId, zone: ZoneName) -> None:
        """Forget a binding; nothing happens when there is none."""
        self._tables.bindings.pop((project_id, zone), None)


class MemoryPositions:
    """``interfaces.store.PositionStore`` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def keep_position(self, key: str, position: bytes, ttl_s: float) -> None:
        """Keep ``position`` under ``key`` for a while, replacing an older one."""
        require_storable("the key of the list position", key)
        expires_at = self._tables.now() + timedelta(seconds=ttl_s)
        self._tables.positions[key] = (position, expires_at)

    async def find_position(self, key: str) -> bytes | None:
        """Return a position that has not expired, if any."""
        position, expires_at = self._tables.positions.get(key, (None, None))
        return position if expires_at is not None and expires_at > self._tables.now() else None

    async def purge_positions(self) -> int:
        """Delete expired positions; return how many."""
        now = self._tables.now()
        expired = [key for key, (_, until) in self._tables.positions.items() if until <= now]
        for key in expired:
            del self._tables.positions[key]
        return len(expired)


class MemoryNodes:
    """``interfaces.store.NodeStore`` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def list_nodes(self) -> Sequence[Node]:
        """Return all nodes ordered by name."""
        return sorted(self._tables.nodes.values(), key=lambda node: (node.name, node.pod_id))

    async def put_node(self, node: Node) -> None:
        """Insert or replace the node of a pod. Raises NotFound when the pod is not there."""
        require_storable("the name of the node", node.name)
        self._tables.require_pod(node.pod_id)
        self._tables.nodes[node.pod_id] = replace(node, measured_at=self._tables.now())


def _wall_time() -> datetime:
    return datetime.now(UTC)


def _require_storable_pod(pod: Pod) -> None:
    require_storable("the id of the pod", pod.id)
    require_storable("the name of the pod", pod.name)
    require_storable("the region of the pod", pod.region)


def _require_storable_entry(entry: ZonePod) -> None:
    require_storable("the zone", entry.zone)
    require_storable("the id of the pod", entry.pod_id)
    require_storable("the zone of the pod", entry.pod_az)
