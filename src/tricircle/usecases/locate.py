"""Which pod holds a resource: cache, routing table, and at last the pods themselves."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from tricircle.core.bodies import read_value
from tricircle.core.errors import NotFound, PodMisbehaved, ServiceUnavailable
from tricircle.core.model import (
    BottomId,
    Caller,
    Endpoint,
    Kind,
    Pod,
    PodId,
    ProjectId,
    Routing,
    Service,
    TopId,
)
from tricircle.core.placing import Topology
from tricircle.core.table import Lookup
from tricircle.core.versions import STANDARD_HEADER, pick_version
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.cloud import Cloud, PodRequest
from tricircle.interfaces.store import RoutingStore
from tricircle.usecases.fanout import Done, Failed, fan_out

_ABSENT = frozenset({400, 401, 403, 404})
"""Statuses by which a pod says that it has no such resource for this caller."""

_VERSION_NAMES = {Service.COMPUTE: "compute", Service.VOLUME: "volume"}
"""What a header of microversions calls a service."""

_UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")


def is_id(text: str) -> bool:
    """Tell whether a text can be the id of something that a pod made."""
    return _UUID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a resource is: the hot part of its routing."""

    pod_id: PodId
    bottom_id: BottomId
    project_id: ProjectId


class Locator:
    """Finds the pod of servers, volumes and whatever else keeps its pod's own id.

    What was found is kept in a bounded cache, the oldest going first: a resource never
    moves to another pod. That an id is nowhere is remembered for
    ``absent_s`` only, and only when every pod has said so.
    """

    def __init__(
        self,
        cloud: Cloud,
        routings: RoutingStore,
        topology: Callable[[], Topology],
        lookups: Mapping[Kind, Lookup],
        clock: Clock,
        *,
        cache_size: int,
        timeout_s: float,
        absent_s: float = 2.0,
    ) -> None:
        self._cloud, self._routings, self._topology = cloud, routings, topology
        self._lookups, self._clock = lookups, clock
        self._cache_size, self._timeout_s, self._absent_s = cache_size, timeout_s, absent_s
        self._places: OrderedDict[tuple[Kind, str], Place] = OrderedDict()
        self._absent: OrderedDict[tuple[Kind, str], dict[str, float]] = OrderedDict()

    def find_cached(self, kind: Kind, top_id: str) -> Place | None:
        """Return where a resource is when this process knows it already."""
        return self._places.get((kind, top_id))

    async def locate(self, kind: Kind, top_id: str, caller: Caller) -> Place:
        """Return where a resource is.

        Raises NotFound in the service's own words when no pod has it for this caller,
        ServiceUnavailable when none has it but not every pod could be asked.
        """
        if (kind, top_id) not in self._places and not is_id(top_id):
            raise self._not_found(kind, top_id)
        place = await self.find_recorded(kind, top_id)
        return place or await self._ask(kind, top_id, caller)

    async def find_recorded(self, kind: Kind, top_id: str) -> Place | None:
        """Return where a resource is as far as our records tell; no pod is asked."""
        place = self._places.get((kind, top_id))
        if place is not None:
            return place
        for routing in await self._routings.find_routings(kind, TopId(top_id)):
            if routing.bottom_id is not None:
                return self.remember(
                    kind, top_id, Place(routing.pod_id, routing.bottom_id, routing.project_id)
                )
        return None

    async def locate_visible(self, kind: Kind, top_id: str, caller: Caller) -> Place:
        """Return where a resource is that the caller may see.

        Where it is may be known because somebody else used it: then its pod is asked
        with the caller's own token. Raises as ``locate`` does, and PodError.
        """
        place = await self.locate(kind, top_id, caller)
        if place.project_id == caller.project_id:
            return place
        pod = self._topology().find_pod(place.pod_id)
        if pod is None:
            raise self._not_found(kind, top_id)
        seen = await self._ask_pod(pod, self._lookups[kind], top_id, caller)
        if seen is None:
            raise self._not_found(kind, top_id)
        if seen.project_id and seen.project_id != place.project_id:
            await self.hand_over(kind, top_id, seen)
        return seen

    def remember(self, kind: Kind, top_id: str, place: Place) -> Place:
        """Keep a place in this process's cache and return it."""
        self._places[(kind, top_id)] = place
        if len(self._places) > self._cache_size:
            self._places.popitem(last=False)
        self._absent.pop((kind, top_id), None)
        return place

    async def keep(self, kind: Kind, top_id: str, place: Place) -> None:
        """Write a routing, if there are any of this kind, and remember it."""
        routing = Routing(kind, TopId(top_id), place.pod_id, place.bottom_id, place.project_id)
        if self._lookups[kind].recorded:
            await self._routings.keep_routings([routing])
        self.remember(kind, top_id, place)

    async def hand_over(self, kind: Kind, top_id: str, place: Place) -> None:
        """Write that a resource is of another project now; its pod says so.

        Whoever dies in between leaves an id without routing, which the next request for
        it finds by asking.
        """
        await self.forget(kind, top_id, place.pod_id)
        await self.keep(kind, top_id, place)

    async def correct_owner(self, kind: Kind, top_id: str, place: Place, body: bytes) -> None:
        """Hand a resource over to the project that its pod shows, if that is another one."""
        where = self._lookups[kind].project
        project = read_value(body, where) if where else None
        if isinstance(project, str) and project != place.project_id:
            await self.hand_over(kind, top_id, replace(place, project_id=ProjectId(project)))

    async def forget(self, kind: Kind, top_id: str, pod_id: PodId) -> None:
        """Forget our record of a resource that its pod says is gone."""
        await self._routings.forget_routing(kind, TopId(top_id), pod_id)
        self.let_go(kind, top_id)

    def let_go(self, kind: Kind, top_id: str) -> None:
        """Drop what this process remembers of a resource; the database has the truth."""
        self._places.pop((kind, top_id), None)

    async def find_owner(self, kind: Kind, top_id: str) -> ProjectId | None:
        """Return whose a resource is as the database has it, which others may have changed."""
        routings = await self._routings.find_routings(kind, TopId(top_id))
        return routings[0].project_id if routings else None

    async def _ask(self, kind: Kind, top_id: str, caller: Caller) -> Place:
        asker = f"{caller.user_id} {caller.project_id}"
        if self._absent.get((kind, top_id), {}).get(asker, 0.0) > self._clock.now_s():
            raise self._not_found(kind, top_id)
        lookup = self._lookups[kind]
        pods = [pod for pod in self._topology().pods if lookup.service in pod.endpoints]
        outcomes = await fan_out(
            {pod.name: self._asker(pod, lookup, top_id, caller) for pod in pods},
            timeout_s=self._timeout_s,
        )
        unknown = [name for name, outcome in outcomes.items() if isinstance(outcome, Failed)]
        for outcome in outcomes.values():
            if isinstance(outcome, Done) and outcome.value is not None:
                if outcome.value.project_id:
                    await self.keep(kind, top_id, outcome.value)
                return outcome.value
        if unknown:
            raise ServiceUnavailable(
                f"{kind} {top_id} is not in any pod that answers, and these do not answer: "
                f"{', '.join(unknown)}; please retry"
            )
        self._remember_absent(kind, top_id, asker)
        raise self._not_found(kind, top_id)

    def _asker(
        self, pod: Pod, lookup: Lookup, top_id: str, caller: Caller
    ) -> Callable[[], Awaitable[Place | None]]:
        async def ask() -> Place | None:
            return await self._ask_pod(pod, lookup, top_id, caller)

        return ask

    async def _ask_pod(self, pod: Pod, lookup: Lookup, top_id: str, caller: Caller) -> Place | None:
        """Return where a pod has it, None when it says that it has not. Raises PodError."""
        path = lookup.path.format(id=top_id, project=caller.project_id)
        endpoint = pod.endpoints[lookup.service]
        request = PodRequest("GET", path, headers=_headers(lookup, endpoint, caller))
        async with self._cloud.send(pod.id, endpoint, request, self._timeout_s) as response:
            body = await response.read()
        if response.status in _ABSENT:
            return None
        if response.status != 200:
            raise PodMisbehaved(pod.id, f"pod {pod.name} answers {response.status}")
        owner = await self._read_owner(lookup, body, caller)
        return Place(pod.id, BottomId(top_id), owner)

    async def _read_owner(self, lookup: Lookup, body: bytes, caller: Caller) -> ProjectId:
        """Return whose a resource is; '' when nobody tells.

        Where its pod shows it to nobody, a caller who sees only what is their own does tell.
        """
        project = read_value(body, lookup.project) if lookup.project else None
        if isinstance(project, str):
            return ProjectId(project)
        if lookup.holder is not None:
            kind, place = lookup.holder
            holder_id = read_value(body, place)
            if isinstance(holder_id, str):
                return await self._find_holders_owner(kind, holder_id, caller)
        is_anyones = not lookup.project and "admin" in caller.roles
        return ProjectId("") if is_anyones else caller.project_id or ProjectId("")

    async def _find_holders_owner(self, kind: Kind, top_id: str, caller: Caller) -> ProjectId:
        try:
            return (await self.locate(kind, top_id, caller)).project_id
        except NotFound:
            return ProjectId("")

    def _remember_absent(self, kind: Kind, top_id: str, asker: str) -> None:
        self._absent.setdefault((kind, top_id), {})[asker] = self._clock.now_s() + self._absent_s
        while len(self._absent) > 1000:
            self._absent.popitem(last=False)

    def _not_found(self, kind: Kind, top_id: str) -> NotFound:
        return NotFound(self._lookups[kind].absent.format(id=top_id))


def _headers(lookup: Lookup, endpoint: Endpoint, caller: Caller) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-auth-token", caller.token.encode()), (b"accept", b"application/json")]
    if lookup.version is not None:
        version = pick_version(endpoint.versions, [lookup.version])
        name = _VERSION_NAMES[lookup.service]
        headers.append((STANDARD_HEADER, f"{name} {version}".encode()))
    return headers
