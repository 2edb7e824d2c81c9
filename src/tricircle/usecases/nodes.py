"""Measures what a pod holds and how much of it is used: its node.

Three requests tell almost all: Nova's computes, the candidates Placement has for one
MiB of memory, which come with capacity and use of each compute, and Cinder's pools.
A compute that is full of memory is no candidate; such ones are asked for one by one.
To ask for all of them so would cost Placement eighty times as much: 28 s of CPU for
2,000 computes instead of 0.34 s (placement 15 on SQLite, two requests each, 2026-11-27).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from urllib.parse import quote

from tricircle.core.capacity import (
    Hypervisor,
    Quantity,
    Room,
    make_node,
    measure_pools,
    read_candidates,
    read_hypervisors,
    read_pools,
    read_provider,
)
from tricircle.core.errors import (
    NotFound,
    PodDead,
    PodMisbehaved,
    PodTimeout,
    ServiceUnavailable,
)
from tricircle.core.jobs import MeasureNode
from tricircle.core.model import Node, Pod, Service, Version
from tricircle.core.runs import Errand, Outcome, Succeeded
from tricircle.interfaces.cloud import Cloud, PodRequest, ServiceCredential
from tricircle.interfaces.store import NodeStore, PodStore
from tricircle.usecases.fanout import Failed, fan_out

T = TypeVar("T")

# The lowest version whose ids are Placement's. 2.88 takes the numbers away and asks
# each compute for its uptime instead, which is what a list of thousands must not do.
_COMPUTE_VERSION = "compute 2.53"
# The lowest version that shows all resource classes and the root of nested providers.
_PLACEMENT_VERSION = Version(1, 29)
_PAGE = 1000
_MOST_PAGES = 200
_TURNS = 10
_SINGLES_AT_ONCE = 8
_SINGLES_IN_A_BATCH = 64


@dataclass(frozen=True, slots=True)
class _Told:
    """What the services of a pod tell, each its own part."""

    hypervisors: Sequence[Hypervisor] = ()
    rooms: Mapping[str, Room] = field(default_factory=dict)
    volumes: Quantity | None = None


class NodeSurvey:
    """Carries out ``MeasureNode``."""

    def __init__(
        self,
        cloud: Cloud,
        credential: ServiceCredential,
        pods: PodStore,
        nodes: NodeStore,
        timeout_s: float,
    ) -> None:
        """``timeout_s`` bounds each request; one service may take ten times as long in all."""
        self._cloud, self._credential = cloud, credential
        self._pods, self._nodes = pods, nodes
        self._timeout_s = timeout_s

    async def run(self, job: MeasureNode, errand: Errand) -> Outcome:
        """Write down the pod's node as it is now; nothing when a service does not tell all.

        Raises PodError when Nova does not, ServiceUnavailable when another service
        does not answer: the pod itself lives.
        """
        try:
            pod = await self._pods.get_pod(job.pod_id)
            node = await self._measure(pod, errand.request_id)
            await self._nodes.put_node(node)
        except NotFound:
            return Succeeded("the pod is gone")
        return Succeeded(
            f"{node.running_vms} servers; used are {node.vcpus_used} of {node.vcpus} vCPUs, "
            f"{node.memory_mib_used} of {node.memory_mib} MiB, "
            f"{node.volume_gib_used} of {node.volume_gib} GiB of volumes"
        )

    async def _measure(self, pod: Pod, request_id: str) -> Node:
        visit = _Visit(self._cloud, self._credential, pod, request_id, self._timeout_s)
        told = await _ask_services(visit)
        if _has_placement(pod):
            rooms = {**told.rooms, **await _read_singles(visit, told.hypervisors, told.rooms)}
        else:
            rooms = {each.id: each.raw_room for each in told.hypervisors}
        return make_node(pod, told.hypervisors, rooms, told.volumes or Quantity())


@dataclass(frozen=True, slots=True)
class _Visit:
    """A pod that is asked with the service's own token, on one errand."""

    cloud: Cloud
    credential: ServiceCredential
    pod: Pod
    request_id: str
    timeout_s: float

    async def find(self, service: Service, target: str, version: str = "") -> bytes | None:
        """Return what a service answers to a GET, None for 404. Raises PodError."""
        path, _, query = target.partition("?")
        headers = [
            (b"x-auth-token", (await self.credential.get_token()).encode()),
            (b"accept", b"application/json"),
            (b"x-openstack-request-id", self.request_id.encode()),
        ]
        if version:
            headers.append((b"openstack-api-version", version.encode()))
        request = PodRequest("GET", path, query, headers)
        endpoint = self.pod.endpoints[service]
        async with self.cloud.send(self.pod.id, endpoint, request, self.timeout_s) as answer:
            body = await answer.read()
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise self.misbehaved(service, f"{answer.status} to GET {path}")
            return body

    async def get(self, service: Service, target: str, version: str = "") -> bytes:
        """Return what a service answers to a GET. Raises PodError, also for 404."""
        body = await self.find(service, target, version)
        if body is None:
            raise self.misbehaved(service, f"404 to GET {target.partition('?')[0]}")
        return body

    def read(self, service: Service, read: Callable[[bytes], T], body: bytes) -> T:
        """Return a body as ``read`` reads it. Raises PodMisbehaved when it cannot."""
        try:
            return read(body)
        except ValueError as error:
            raise self.misbehaved(service, f"what is not usable: {error}") from None

    def misbehaved(self, service: Service, what: str) -> PodMisbehaved:
        """Return the error for an answer that says nothing."""
        return PodMisbehaved(
            self.pod.id,
            f"the {service} service of pod {self.pod.name} answered {what}; its node is not "
            "measured",
        )


async def _ask_services(visit: _Visit) -> _Told:
    """Return what the services tell that the pod has, all asked at once."""
    calls: dict[Service, Callable[[], Awaitable[_Told]]] = {}
    if Service.COMPUTE in visit.pod.endpoints:
        calls[Service.COMPUTE] = partial(_list_hypervisors, visit)
    if _has_placement(visit.pod):
        calls[Service.PLACEMENT] = partial(_list_candidates, visit)
    if Service.VOLUME in visit.pod.endpoints:
        calls[Service.VOLUME] = partial(_list_pools, visit)
    outcomes = await fan_out(calls, timeout_s=visit.timeout_s * _TURNS)
    told = []
    for service, outcome in outcomes.items():
        if isinstance(outcome, Failed):
            raise _explain(visit.pod, service, outcome.error)
        told.append(outcome.value)
    return _Told(
        [each for part in told for each in part.hypervisors],
        {key: room for part in told for key, room in part.rooms.items()},
        next((part.volumes for part in told if part.volumes is not None), None),
    )


async def _list_hypervisors(visit: _Visit) -> _Told:
    """Return all computes.

    Read until a page is empty: a page is short, too, when the pod allows fewer rows
    than were asked for, or leaves out a compute whose service was deleted.
    """
    found: dict[str, Hypervisor] = {}
    marker = ""
    for _ in range(_MOST_PAGES):
        target = f"/os-hypervisors/detail?limit={_PAGE}{marker}"
        body = await visit.get(Service.COMPUTE, target, _COMPUTE_VERSION)
        page = visit.read(Service.COMPUTE, read_hypervisors, body)
        if not page:
            return _Told(hypervisors=list(found.values()))
        if page[-1].id in found:
            raise visit.misbehaved(Service.COMPUTE, "the same page of hypervisors again")
        found.update((each.id, each) for each in page)
        marker = f"&marker={quote(page[-1].id, safe='')}"
    raise visit.misbehaved(Service.COMPUTE, "pages of hypervisors without end")


async def _list_candidates(visit: _Visit) -> _Told:
    """Return the rooms of all computes that have memory left."""
    target = "/allocation_candidates?resources=MEMORY_MB:1"
    body = await visit.get(Service.PLACEMENT, target, f"placement {_PLACEMENT_VERSION}")
    return _Told(rooms=visit.read(Service.PLACEMENT, read_candidates, body))


async def _list_pools(visit: _Visit) -> _Told:
    body = await visit.get(Service.VOLUME, "/scheduler-stats/get_pools?detail=true")
    return _Told(volumes=measure_pools(visit.read(Service.VOLUME, read_pools, body)))


async def _read_singles(
    visit: _Visit, hypervisors: Sequence[Hypervisor], rooms: Mapping[str, Room]
) -> Mapping[str, Room]:
    """Return the rooms of the computes that are not in ``rooms``, read one by one."""
    wanted = [each.id for each in hypervisors if each.id not in rooms and not each.is_bare_metal]
    found: dict[str, Room] = {}
    for start in range(0, len(wanted), _SINGLES_IN_A_BATCH):
        batch = wanted[start : start + _SINGLES_IN_A_BATCH]
        outcomes = await fan_out(
            {compute_id: partial(_read_single, visit, compute_id) for compute_id in batch},
            timeout_s=visit.timeout_s * _TURNS,
            concurrency=_SINGLES_AT_ONCE,
        )
        for compute_id, outcome in outcomes.items():
            if isinstance(outcome, Failed):
                raise _explain(visit.pod, Service.PLACEMENT, outcome.error)
            found[compute_id] = outcome.value
    return found


async def _read_single(visit: _Visit, compute_id: str) -> Room:
    """Return the room of a compute, none when Placement does not know it: it takes no servers.

    Of its own provider only: no driver of Nova puts CPUs, memory or disk below it.
    """
    path = f"/resource_providers/{quote(compute_id, safe='')}"
    version = f"placement {_PLACEMENT_VERSION}"
    inventories = await visit.find(Service.PLACEMENT, f"{path}/inventories", version)
    usages = await visit.find(Service.PLACEMENT, f"{path}/usages", version)
    if inventories is None or usages is None:
        return Room()
    return visit.read(Service.PLACEMENT, lambda body: read_provider(body, usages), inventories)


def _has_placement(pod: Pod) -> bool:
    """Tell whether a pod has a Placement that can be asked as we do (Rocky or later)."""
    endpoint = pod.endpoints.get(Service.PLACEMENT)
    versions = endpoint.versions if endpoint is not None else None
    return versions is not None and versions.minimum <= _PLACEMENT_VERSION <= versions.maximum


def _explain(pod: Pod, service: Service, error: Exception) -> Exception:
    """Return the error to raise: only when Nova is away is the pod away."""
    if not isinstance(error, PodDead | PodTimeout | TimeoutError):
        return error
    if service is not Service.COMPUTE:
        return ServiceUnavailable(
            f"the {service} service of pod {pod.name} does not answer; its node stays as it "
            "was measured last"
        )
    if isinstance(error, TimeoutError):
        return PodTimeout(pod.id, f"pod {pod.name} has not listed its hypervisors in time")
    return error
