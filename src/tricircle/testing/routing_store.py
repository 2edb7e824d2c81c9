"""The routing table in memory; see ``testing.store``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tricircle.core.conflicts import taken_bottom
from tricircle.core.model import (
    REPLICATED_KINDS,
    BottomId,
    Kind,
    Origin,
    PodId,
    ProjectId,
    Routing,
    RoutingState,
    TopId,
)
from tricircle.core.texts import require_storable
from tricircle.interfaces.store import Claim

RoutingKey = tuple[Kind, TopId, PodId]
BottomKey = tuple[Kind, PodId, BottomId]
Now = Callable[[], datetime]
RequirePod = Callable[[PodId], None]


@dataclass(frozen=True, slots=True)
class Lease:
    """Who makes the resource of a routing, and until when nobody else may."""

    owner: str
    until: datetime


@dataclass(slots=True)
class RoutingTable:
    """Routings with the two indexes that the store promises, and their leases."""

    _by_top: dict[tuple[Kind, TopId], dict[PodId, Routing]] = field(default_factory=dict)
    _by_bottom: dict[BottomKey, RoutingKey] = field(default_factory=dict)
    leases: dict[RoutingKey, Lease] = field(default_factory=dict)

    def find(self, key: RoutingKey) -> Routing | None:
        """Return one routing, if it is there."""
        kind, top_id, pod_id = key
        return self.find_all(kind, top_id).get(pod_id)

    def find_all(self, kind: Kind, top_id: TopId) -> Mapping[PodId, Routing]:
        """Return the routings of a resource by pod."""
        return self._by_top.get((kind, top_id), {})

    def find_by_bottom(self, kind: Kind, pod_id: PodId, bottom_id: BottomId) -> Routing | None:
        """Return the routing of a bottom resource, if it is there."""
        key = self._by_bottom.get((kind, pod_id, bottom_id))
        return None if key is None else self.find(key)

    def list_all(self) -> Sequence[Routing]:
        """Return all routings in primary-key order."""
        return sorted(
            (each for by_pod in self._by_top.values() for each in by_pod.values()), key=key_of
        )

    def is_bottom_free(self, routing: Routing) -> bool:
        """Tell whether the bottom id of a routing is not that of another one."""
        if routing.bottom_id is None:
            return True
        holder = self._by_bottom.get((routing.kind, routing.pod_id, routing.bottom_id))
        return holder in (None, key_of(routing))

    def put(self, routing: Routing) -> Routing:
        """Insert or replace a routing; return it."""
        self._by_top.setdefault((routing.kind, routing.top_id), {})[routing.pod_id] = routing
        if routing.bottom_id is not None:
            bottom_key = (routing.kind, routing.pod_id, routing.bottom_id)
            self._by_bottom[bottom_key] = key_of(routing)
        return routing

    def remove(self, key: RoutingKey) -> None:
        """Delete a routing with its lease; nothing happens when there is none."""
        kind, top_id, pod_id = key
        routing = self.find(key)
        if routing is None:
            return
        del self._by_top[kind, top_id][pod_id]
        self.leases.pop(key, None)
        if routing.bottom_id is not None:
            del self._by_bottom[kind, pod_id, routing.bottom_id]

    def forget_replicas_of(self, pod_id: PodId) -> None:
        """Delete the routings into a pod of what all pods have alike."""
        for routing in self.list_all():
            if routing.pod_id == pod_id and routing.kind in REPLICATED_KINDS:
                self.remove(key_of(routing))


class MemoryRoutings:
    """``interfaces.store.RoutingStore`` in memory."""

    def __init__(self, table: RoutingTable, now: Now, require_pod: RequirePod) -> None:
        self._table = table
        self._now = now
        self._require_pod = require_pod

    async def find_routings(self, kind: Kind, top_id: TopId) -> Sequence[Routing]:
        """Return all routings of a resource, ordered by pod id."""
        return sorted(self._table.find_all(kind, top_id).values(), key=key_of)

    async def find_by_bottom(
        self, kind: Kind, pod_id: PodId, bottom_ids: Sequence[BottomId]
    ) -> Sequence[Routing]:
        """Return the routings of these bottom ids in one pod, ordered by bottom id."""
        wanted = sorted(set(bottom_ids))
        found = [self._table.find_by_bottom(kind, pod_id, bottom_id) for bottom_id in wanted]
        return [routing for routing in found if routing is not None]

    async def list_owned(self, owner_id: TopId) -> Sequence[Routing]:
        """Return what was made for ``owner_id``, ordered by kind, top id and pod id."""
        return [each for each in self._table.list_all() if each.owner_id == owner_id]

    async def keep_routings(self, routings: Sequence[Routing]) -> None:
        """Insert routings whose ids are known; those already there are left as they are."""
        for routing in routings:
            _require_storable_routing(routing)
        for routing in routings:
            self._require_pod(routing.pod_id)
        for routing in routings:
            if self._table.find(key_of(routing)) is None and self._table.is_bottom_free(routing):
                self._insert(routing)

    async def claim_routing(self, routing: Routing, lease_owner: str, lease_s: float) -> Claim:
        """Take the right to make a resource in a pod. Raises NotFound without the pod."""
        _require_storable_routing(routing)
        require_storable("the owner of the lease", lease_owner)
        key = key_of(routing)
        lease = Lease(lease_owner, self._now() + timedelta(seconds=lease_s))
        kept = self._table.find(key)
        if kept is None:
            self._require_pod(routing.pod_id)
            self._table.leases[key] = lease
            claimed = replace(routing, state=RoutingState.CREATING, bottom_id=None)
            return Claim(self._insert(claimed), mine=True, fresh=True)
        if not self._is_free(kept, lease_owner):
            return Claim(kept, mine=False, fresh=False)
        self._table.leases[key] = lease
        taken = replace(kept, origin=routing.origin, owner_id=routing.owner_id)
        return Claim(self._change(taken), mine=True, fresh=False)

    async def settle_routing(self, routing: Routing, lease_owner: str, bottom_id: BottomId) -> bool:
        """Fill in ``bottom_id`` and make it ACTIVE; False when the lease is no longer ours."""
        require_storable("the id of the resource in the pod", bottom_id)
        key = key_of(routing)
        kept, lease = self._table.find(key), self._table.leases.get(key)
        if kept is None:
            return False
        if kept.state is not RoutingState.CREATING or lease is None or lease.owner != lease_owner:
            return kept.state is RoutingState.ACTIVE and kept.bottom_id == bottom_id
        settled = replace(kept, bottom_id=bottom_id, state=RoutingState.ACTIVE)
        if not self._table.is_bottom_free(settled):
            raise taken_bottom(routing, bottom_id)
        del self._table.leases[key]
        self._change(settled)
        return True

    async def forget_routing(self, kind: Kind, top_id: TopId, pod_id: PodId) -> None:
        """Delete our record (not the resource); nothing happens when there is none."""
        self._table.remove((kind, top_id, pod_id))

    def _is_free(self, kept: Routing, lease_owner: str) -> bool:
        if kept.state is not RoutingState.CREATING:
            return False
        lease = self._table.leases.get(key_of(kept))
        return lease is None or lease.owner == lease_owner or lease.until <= self._now()

    def _insert(self, routing: Routing) -> Routing:
        now = self._now()
        return self._table.put(replace(routing, created_at=now, updated_at=now))

    def _change(self, routing: Routing) -> Routing:
        return self._table.put(replace(routing, updated_at=self._now()))


class MemoryUpkeep:
    """``interfaces.store.RoutingUpkeep`` in memory."""

    def __init__(self, table: RoutingTable, now: Now) -> None:
        self._table = table
        self._now = now

    async def list_routings(
        self,
        *,
        kind: Kind | None = None,
        pod_id: PodId | None = None,
        project_id: ProjectId | None = None,
        top_id: TopId | None = None,
        state: RoutingState | None = None,
        origin: Origin | None = None,
        older_than_s: float | None = None,
        limit: int = 1000,
        after: RoutingKey | None = None,
    ) -> Sequence[Routing]:
        """Return routings in primary-key order; age is since the last change."""
        wanted = {
            "kind": kind,
            "pod_id": pod_id,
            "project_id": project_id,
            "top_id": top_id,
            "state": state,
            "origin": origin,
        }
        asked = {name: value for name, value in wanted.items() if value is not None}
        found: Iterable[Routing] = (
            routing
            for routing in self._table.list_all()
            if all(getattr(routing, name) == value for name, value in asked.items())
        )
        if older_than_s is not None:
            latest = self._now() - timedelta(seconds=older_than_s)
            found = (each for each in found if each.updated_at and each.updated_at <= latest)
        if after is not None:
            found = (each for each in found if key_of(each) > after)
        return list(found)[:limit]

    async def mark_routing(
        self, kind: Kind, top_id: TopId, pod_id: PodId, state: RoutingState, owner_id: TopId | None
    ) -> bool:
        """Set state and owner of a routing; False when it is gone."""
        kept = self._table.find((kind, top_id, pod_id))
        if kept is None:
            return False
        self._table.put(replace(kept, state=state, owner_id=owner_id, updated_at=self._now()))
        return True


def key_of(routing: Routing) -> RoutingKey:
    """Return the primary key of a routing."""
    return (routing.kind, routing.top_id, routing.pod_id)


def _require_storable_routing(routing: Routing) -> None:
    require_storable(f"the id of the {routing.kind}", routing.top_id)
    require_storable("the id of the pod", routing.pod_id)
    require_storable("the id of the project", routing.project_id)
    require_storable("the id of the resource in the pod", routing.bottom_id or "")
    require_storable("the id of the owner", routing.owner_id or "")
