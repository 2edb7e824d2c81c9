"""Knowing, and writing down, which ids the things have that all pods have alike.

What the top makes it writes down itself. What was in the pods before is found by name, once:
when an id turns up that nobody knows, the pods are asked what they have.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from tricircle.core.counterparts import Counterparts, NamedIds, match_by_name, read_counterparts
from tricircle.core.errors import ServiceUnavailable
from tricircle.core.model import BottomId, Kind, Pod, PodId, ProjectId, Routing, Service, TopId
from tricircle.core.wishes import ROUTED
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.cloud import Cloud, ServiceCredential
from tricircle.interfaces.store import PodStore, RoutingStore, RoutingUpkeep
from tricircle.usecases.fanout import Done, fan_out
from tricircle.usecases.replicas.named_list import NamedList
from tricircle.usecases.replicas.pod_service import PodService

log = logging.getLogger(__name__)

KEPT_S = 5.0
"""Seconds that what was read from the database is believed; what is not in it is read anew."""
LEARN_AGAIN_S = 10.0
"""Seconds between two times that pods are asked for ids that nobody knows."""
LEARN_S = 5.0
"""Seconds that pods have to say what they have."""
_PAGE = 1000
_RESOURCES = {kind: resource for resource, kind in ROUTED.items()}


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was read of a kind, and when."""

    counterparts: Counterparts
    read_at_s: float


class TwinIds:
    """The ids of volume types, QoS specs and group types in all pods. One for each process."""

    def __init__(
        self,
        routings: RoutingStore,
        upkeep: RoutingUpkeep,
        pods: PodStore,
        cloud: Cloud,
        credential: ServiceCredential,
        clock: Clock,
    ) -> None:
        self._routings, self._upkeep, self._pods = routings, upkeep, pods
        self._cloud, self._credential, self._clock = cloud, credential, clock
        self._kept: dict[Kind, _Kept] = {}
        self._learned_at_s: dict[Kind, float] = {}
        self._learning = asyncio.Lock()
        self._reading = {kind: asyncio.Lock() for kind in _RESOURCES}
        self._reads = dict.fromkeys(_RESOURCES, 0)
        self._last: dict[Kind, Counterparts | str] = {}

    async def resolve(
        self, kinds: Collection[Kind], is_enough: Callable[[Counterparts], bool], request_id: str
    ) -> Counterparts:
        """Return what is known of kinds, looking further until it is enough.

        Database first, then the pods, which are not asked again and again. Never raises
        because of a pod; ServiceUnavailable when the database is away and what is known
        of old is not enough.
        """
        known = await self._known(kinds, KEPT_S)
        if is_enough(known):
            return known
        known = await self._known(kinds, 0.0)
        if is_enough(known):
            return known
        for kind in kinds:
            await self._learn(kind, request_id)
        return await self._known(kinds, KEPT_S)

    async def learn(self, request_id: str) -> None:
        """Write down all that pods have and nobody knows yet. Never raises because of a pod."""
        for kind in _RESOURCES:
            await self._learn(kind, request_id)

    async def find_all(self, kind: Kind, an_id: str, request_id: str) -> Counterparts:
        """Return what is known of a kind, of one id at least."""
        return await self.resolve([kind], lambda known: bool(known.find_top(an_id)), request_id)

    async def find_bottom(
        self, kind: Kind, pod_id: PodId, an_id: str, request_id: str
    ) -> BottomId | None:
        """Return a pod's own id of a thing, None when it has none as far as is known."""
        known = await self.resolve(
            [kind], lambda known: bool(known.find_bottom(pod_id, an_id)), request_id
        )
        return known.find_bottom(pod_id, an_id)

    async def keep(self, kind: Kind, top_id: TopId, pod_id: PodId, bottom: BottomId | None) -> None:
        """Write down the one id that a thing has in a pod; None when it is not there."""
        routings = await self._routings.find_routings(kind, top_id)
        kept = next((one.bottom_id for one in routings if one.pod_id == pod_id), None)
        if kept == bottom:
            return
        self._kept.pop(kind, None)
        if kept is not None:
            await self._routings.forget_routing(kind, top_id, pod_id)
        if bottom is None:
            return
        # what was found by name may have been thought another thing
        for other in await self._routings.find_by_bottom(kind, pod_id, [bottom]):
            await self._routings.forget_routing(kind, other.top_id, pod_id)
        await self._routings.keep_routings([Routing(kind, top_id, pod_id, bottom, ProjectId(""))])

    async def _known(self, kinds: Collection[Kind], kept_s: float) -> Counterparts:
        found = [await self._read(kind, kept_s) for kind in kinds]
        if len(found) == 1:
            return found[0]
        tops = {an_id: top for one in found for an_id, top in one.tops.items()}
        bottoms = {top: ids for one in found for top, ids in one.bottoms.items()}
        return Counterparts(tops, bottoms)

    async def _read(self, kind: Kind, kept_s: float) -> Counterparts:
        now = self._clock.now_s()
        kept = self._kept.get(kind)
        if kept is not None and now - kept.read_at_s < kept_s:
            return kept.counterparts
        try:
            read = await self._read_anew(kind)
        except ServiceUnavailable:
            if kept is None:
                raise
            return kept.counterparts
        self._kept[kind] = _Kept(read, now)
        return read

    async def _read_anew(self, kind: Kind) -> Counterparts:
        """Return what the database has. All who come during one read share the next one."""
        reads = self._reads[kind]
        async with self._reading[kind]:
            # without an outcome the reader was cancelled
            if self._reads[kind] == reads or kind not in self._last:
                self._reads[kind] += 1
                self._last.pop(kind, None)
                self._last[kind] = await self._try_to_read(kind)
            last = self._last[kind]
        if isinstance(last, str):
            raise ServiceUnavailable(last)
        return last

    async def _try_to_read(self, kind: Kind) -> Counterparts | str:
        """Return what the database has, or in words why nobody can tell."""
        try:
            return read_counterparts(await self._list(kind))
        except ServiceUnavailable as error:
            return str(error)

    async def _list(self, kind: Kind) -> Sequence[Routing]:
        found: list[Routing] = []
        page = await self._upkeep.list_routings(kind=kind, limit=_PAGE)
        while page:
            found += page
            last = page[-1]
            after = (last.kind, last.top_id, last.pod_id)
            page = await self._upkeep.list_routings(kind=kind, limit=_PAGE, after=after)
        return found

    async def _learn(self, kind: Kind, request_id: str) -> None:
        """Write down what pods have that nobody knows; whoever comes meanwhile waits for it."""
        async with self._learning:
            learned_at_s = self._learned_at_s.get(kind)
            if learned_at_s is not None and self._clock.now_s() - learned_at_s < LEARN_AGAIN_S:
                return
            known = await self._list(kind)
            found = match_by_name(kind, known, await self._ask(kind, request_id))
            for one in found.gone:
                await self._routings.forget_routing(one.kind, one.top_id, one.pod_id)
            if found.new:
                await self._routings.keep_routings(found.new)
            self._kept.pop(kind, None)
            self._learned_at_s[kind] = self._clock.now_s()

    async def _ask(self, kind: Kind, request_id: str) -> list[tuple[PodId, NamedIds]]:
        """Return what each pod that answers has, pods by name."""
        pods = [pod for pod in await self._pods.list_pods() if Service.VOLUME in pod.endpoints]
        calls = {pod.id: self._lister(pod, kind, request_id) for pod in pods}
        outcomes = await fan_out(calls, timeout_s=LEARN_S)
        for pod in pods:
            if not isinstance(outcomes[pod.id], Done):
                log.warning("pod does not say what it has", extra={"pod": pod.name, "kind": kind})
        return [
            (pod_id, outcome.value)
            for pod_id, outcome in outcomes.items()
            if isinstance(outcome, Done)
        ]

    def _lister(
        self, pod: Pod, kind: Kind, request_id: str
    ) -> Callable[[], Awaitable[Mapping[str, BottomId]]]:
        service = PodService(
            self._cloud,
            self._credential,
            pod,
            pod.endpoints[Service.VOLUME],
            request_id,
            LEARN_S,
        )
        return NamedList(service, _RESOURCES[kind]).list_names
