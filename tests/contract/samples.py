"""Values that the contract tests keep."""

from __future__ import annotations

from typing import Protocol

from tricircle.core.model import (
    BottomId,
    Endpoint,
    Kind,
    Origin,
    Pod,
    PodId,
    ProjectId,
    Routing,
    RoutingState,
    Service,
    TopId,
    Version,
    VersionRange,
)
from tricircle.core.network.objects import FixedIp
from tricircle.core.network.spares import SparePort
from tricircle.interfaces.jobs import JobDesk, JobQueue, JobRecords
from tricircle.interfaces.quotas import LimitLists, QuotaCounts, QuotaLedger, QuotaLimits
from tricircle.interfaces.store import (
    BindingStore,
    NodeStore,
    PodStore,
    PositionStore,
    RoutingStore,
    RoutingUpkeep,
    SparePortStore,
    ZoneStore,
)
from tricircle.interfaces.wishes import Wishes

EAST = PodId("pod-east")
WEST = PodId("pod-west")
PROJECT = ProjectId("project-1")
NETWORK = TopId("network-1")


class Limits(QuotaLimits, LimitLists, Protocol):
    """All that is kept of limits."""


class Stores(Protocol):
    """What the store of a deployment and its double both offer."""

    @property
    def pods(self) -> PodStore: ...
    @property
    def zones(self) -> ZoneStore: ...
    @property
    def routings(self) -> RoutingStore: ...
    @property
    def upkeep(self) -> RoutingUpkeep: ...
    @property
    def spares(self) -> SparePortStore: ...
    @property
    def bindings(self) -> BindingStore: ...
    @property
    def positions(self) -> PositionStore: ...
    @property
    def nodes(self) -> NodeStore: ...
    @property
    def desk(self) -> JobDesk: ...
    @property
    def queue(self) -> JobQueue: ...
    @property
    def records(self) -> JobRecords: ...
    @property
    def wishes(self) -> Wishes: ...
    @property
    def quota_limits(self) -> Limits: ...
    @property
    def quota_ledger(self) -> QuotaLedger: ...
    @property
    def quota_counts(self) -> QuotaCounts: ...


COMPUTE = Endpoint(
    Service.COMPUTE, "http://east:8774/v2.1", VersionRange(Version(2, 1), Version(2, 104))
)
IMAGE = Endpoint(Service.IMAGE, "http://east:9292")


def make_pod(pod_id: PodId = EAST, name: str = "east", region: str = "RegionEast") -> Pod:
    """Return a pod with two endpoints."""
    endpoints = {Service.COMPUTE: COMPUTE, Service.IMAGE: IMAGE}
    return Pod(
        pod_id,
        name,
        region,
        description="the first",
        endpoints=endpoints,
        tags={"disk": "ssd", "site": "Zürich 1"},
    )


async def add_two_pods(stores: Stores) -> None:
    """Keep the pods ``EAST`` and ``WEST``."""
    await stores.pods.add_pod(make_pod())
    await stores.pods.add_pod(make_pod(WEST, "west", "RegionWest"))


def make_routing(
    top_id: str = NETWORK,
    pod_id: PodId = EAST,
    bottom_id: str | None = None,
    kind: Kind = Kind.NETWORK,
    **values: object,
) -> Routing:
    """Return a routing of ``PROJECT``; state CREATING without a bottom id, else ACTIVE."""
    state = RoutingState.ACTIVE if bottom_id else RoutingState.CREATING
    owner_id = values.get("owner_id")
    origin = values.get("origin", Origin.USER)
    assert isinstance(origin, Origin)
    return Routing(
        kind,
        TopId(top_id),
        pod_id,
        BottomId(bottom_id) if bottom_id else None,
        ProjectId(str(values.get("project_id", PROJECT))),
        state=state,
        origin=origin,
        owner_id=TopId(str(owner_id)) if owner_id else None,
    )


def make_spare(port_id: str = "port-1", pod_id: PodId = EAST) -> SparePort:
    """Return a spare port for ``PROJECT`` on ``NETWORK`` that nobody has taken."""
    return SparePort(
        pod_id,
        BottomId(port_id),
        NETWORK,
        PROJECT,
        "fa:16:3e:00:00:01",
        (FixedIp(subnet_id="subnet-1", ip_address="10.0.0.5"),),
    )
