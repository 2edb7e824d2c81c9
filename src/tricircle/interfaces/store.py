"""What the database must promise. One Protocol for each table that callers need.

All time is the database's own. Every method is one short transaction, may be
repeated, and raises ``errors.ServiceUnavailable`` when the database is away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tricircle.core.model import (
    BottomId,
    Kind,
    Node,
    Origin,
    Pod,
    PodId,
    ProjectId,
    Routing,
    RoutingState,
    TopId,
    ZoneName,
    ZonePod,
)
from tricircle.core.network.spares import SparePort

PodChange = Callable[[Pod], Pod]
"""Returns what is to become of a pod."""

MAX_READY = 100
"""How many ready spares are listed at once."""


class PodStore(Protocol):
    """The pods and where their services are."""

    async def list_pods(self) -> Sequence[Pod]:
        """Return all pods with their endpoints, ordered by name."""
        ...

    async def get_pod(self, pod_id: PodId) -> Pod:
        """Return one pod. Raises NotFound."""
        ...

    async def add_pod(self, pod: Pod) -> Pod:
        """Return the pod as kept, times filled in. Raises Duplicate naming name or region."""
        ...

    async def update_pod(self, pod_id: PodId, change: PodChange) -> Pod:
        """Return the pod as kept after ``change``, which is given the pod as it is then.

        Nobody else changes the pod meanwhile, so of two changes at once none is lost.
        ``change`` may be called more than once; id, region and times stay as they are.
        Raises NotFound, Duplicate, and what ``change`` raises.
        """
        ...

    async def delete_pod(self, pod_id: PodId) -> None:
        """Delete a pod that holds nothing but replicas; projects bound to it are bound no more.

        Raises NotFound; PodInUse while zone map or routings name it.
        """
        ...


class ZoneStore(Protocol):
    """The zone map."""

    async def list_zone_pods(self) -> Sequence[ZonePod]:
        """Return the whole map, ordered by zone and pod id."""
        ...

    async def add_zone_pod(self, entry: ZonePod) -> ZonePod:
        """Keep an entry.

        Raises Duplicate when the pod serves that zone already, or serves another zone
        with the same ``pod_az`` (its answers could not be told apart); NotFound for
        an unknown pod.
        """
        ...

    async def update_zone_pod(self, entry: ZonePod) -> ZonePod:
        """Change ``pod_az`` of an entry. Raises NotFound, Duplicate."""
        ...

    async def delete_zone_pod(self, zone: ZoneName, pod_id: PodId) -> None:
        """Delete an entry. Raises NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """The outcome of ``claim_routing``.

    ``mine`` tells whether the caller holds the lease and must make the resource;
    ``fresh`` that the row did not exist before (else a former holder may have made
    the resource already: look before creating).
    """

    routing: Routing
    mine: bool
    fresh: bool


class RoutingStore(Protocol):
    """The routing table: lookups by primary key, and claims that act as locks."""

    async def find_routings(self, kind: Kind, top_id: TopId) -> Sequence[Routing]:
        """Return all routings of a resource (one read by primary key), ordered by pod id."""
        ...

    async def find_by_bottom(
        self, kind: Kind, pod_id: PodId, bottom_ids: Sequence[BottomId]
    ) -> Sequence[Routing]:
        """Return the routings of these bottom ids in one pod, in one read."""
        ...

    async def list_owned(self, owner_id: TopId) -> Sequence[Routing]:
        """Return what was made for ``owner_id``, ordered by kind and top id."""
        ...

    async def keep_routings(self, routings: Sequence[Routing]) -> None:
        """Insert routings whose ids are known; those already there are left as they are."""
        ...

    async def claim_routing(self, routing: Routing, lease_owner: str, lease_s: float) -> Claim:
        """Take the right to make a resource in a pod.

        Inserts ``routing`` in state CREATING under ``lease_owner``; when the row is
        there: ACTIVE is returned as it is (``mine`` False), CREATING with an expired
        lease is taken over (``mine`` True, ``fresh`` False), CREATING with a live lease
        of another owner is returned with ``mine`` False.
        """
        ...

    async def settle_routing(self, routing: Routing, lease_owner: str, bottom_id: BottomId) -> bool:
        """Fill in ``bottom_id`` and make it ACTIVE; False when the lease is no longer ours."""
        ...

    async def forget_routing(self, kind: Kind, top_id: TopId, pod_id: PodId) -> None:
        """Delete our record (not the resource); nothing happens when there is none."""
        ...


class RoutingUpkeep(Protocol):
    """The slower side of the routing table, for sweeps and the Admin API."""

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
        after: tuple[Kind, TopId, PodId] | None = None,
    ) -> Sequence[Routing]:
        """Return routings in primary-key order, at most ``limit``, after a key."""
        ...

    async def mark_routing(
        self, kind: Kind, top_id: TopId, pod_id: PodId, state: RoutingState, owner_id: TopId | None
    ) -> bool:
        """Set state and owner of a routing; False when it is gone."""
        ...


class SparePortStore(Protocol):
    """Ports that are ready in pods; unique on (pod, port)."""

    async def keep_spare(self, spare: SparePort) -> None:
        """Keep a spare that is ready; one that is known already is left as it is.

        Raises NotFound for an unknown pod.
        """
        ...

    async def list_ready(self, network_id: TopId, project_id: ProjectId) -> Sequence[SparePort]:
        """Return spares that nobody has taken, of all pods, oldest first, at most ``MAX_READY``."""
        ...

    async def take_spare(self, spare: SparePort, boot_id: str, group_ids: Sequence[str]) -> bool:
        """Give a ready spare to one boot; False when another has it, or it is gone."""
        ...

    async def find_spare(self, pod_id: PodId, port_id: BottomId) -> SparePort | None:
        """Return a spare, taken or ready."""
        ...

    async def find_taken(
        self, network_id: TopId, project_id: ProjectId, mac_address: str
    ) -> SparePort | None:
        """Return the spare with this MAC on a network, in any pod, if it is taken."""
        ...

    async def list_old(
        self,
        older_than_s: float,
        *,
        limit: int = 1000,
        after: tuple[PodId, BottomId] | None = None,
    ) -> Sequence[SparePort]:
        """Return spares, taken or ready, that have not changed for a while, by (pod, port)."""
        ...

    async def forget_spare(self, pod_id: PodId, port_id: BottomId) -> None:
        """Delete our record (not the port); nothing happens when there is none."""
        ...


class BindingStore(Protocol):
    """Which pod a project's new resources of a zone, or servers of a group, go to."""

    async def find_binding(self, project_id: ProjectId, zone: ZoneName) -> PodId | None:
        """Return the pod a project is bound to in a zone ('' = no zone asked for), if any."""
        ...

    async def list_bindings(self, project_id: ProjectId) -> Mapping[ZoneName, PodId]:
        """Return all pods a project is bound to."""
        ...

    async def list_past_pods(self, project_id: ProjectId) -> frozenset[PodId]:
        """Return the pods that a binding of a project was moved from, those of deleted pods not."""
        ...

    async def bind(self, project_id: ProjectId, zone: ZoneName, pod_id: PodId) -> PodId:
        """Return the pod the project is bound to now: ``pod_id``, or who came first."""
        ...

    async def rebind(self, project_id: ProjectId, zone: ZoneName, old: PodId, new: PodId) -> PodId:
        """Move a binding from ``old`` to ``new`` if it still is ``old``; return what it is now."""
        ...

    async def unbind(self, project_id: ProjectId, zone: ZoneName) -> None:
        """Forget a binding; nothing happens when there is none."""
        ...


class PositionStore(Protocol):
    """Where each pod stood at the end of recent list pages."""

    async def keep_position(self, key: str, position: bytes, ttl_s: float) -> None:
        """Keep ``position`` under ``key`` for a while, replacing an older one."""
        ...

    async def find_position(self, key: str) -> bytes | None:
        """Return a position that has not expired, if any."""
        ...

    async def purge_positions(self) -> int:
        """Delete expired positions; return how many."""
        ...


class NodeStore(Protocol):
    """Pods as hosts, with what they can hold."""

    async def list_nodes(self) -> Sequence[Node]:
        """Return all nodes ordered by name."""
        ...

    async def put_node(self, node: Node) -> None:
        """Insert or replace the node of a pod; ``measured_at`` is set by the database."""
        ...
