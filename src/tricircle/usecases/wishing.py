"""How a change that one pod has taken becomes what the top wants of all pods."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tricircle.core.errors import Conflict, ServiceUnavailable
from tricircle.core.model import BottomId, Pod, PodId
from tricircle.core.replicas import Thing, decide_wish
from tricircle.core.wishes import Wish, WishKey, WishPod, is_behind
from tricircle.interfaces.store import RoutingStore
from tricircle.interfaces.wishes import PutWish, WishChange, Wishes
from tricircle.usecases.fanout import Failed, fan_out
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.replicas.kinds import ReplicaKinds
from tricircle.usecases.replicas.replica_kind import ReplicaKind, Shown
from tricircle.usecases.replication import ROUTED, Replication

log = logging.getLogger(__name__)

SPREAD_S = 5.0
"""Seconds a client waits for the other pods; what takes longer is left to the jobs."""
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """What the top knows of a resource; ``key`` is that of the wish where there is one."""

    key: WishKey
    wish: Wish | None = None
    pods: Mapping[PodId, WishPod] = field(default_factory=dict)

    def is_behind(self, pod: Pod) -> bool:
        """Tell whether a pod is not known to be as the wish says."""
        return self.wish is not None and is_behind(self.wish, self.pods.get(pod.id))

    def bottom_id(self, pod: Pod) -> BottomId:
        """Return the pod's own id of the resource, as far as is known."""
        known = self.pods.get(pod.id)
        return (known.bottom_id if known else None) or BottomId(self.key.name)


@dataclass(frozen=True, slots=True)
class Taken:
    """A change that a pod has taken: of which resource, with its id there, and what it was."""

    pod: Pod
    key: WishKey
    bottom_id: BottomId
    before: Thing | None = None


class Wishing:
    """Keeps wishes for those who change a pod, and carries them to the others at once."""

    def __init__(
        self,
        wishes: Wishes,
        routings: RoutingStore,
        kinds: ReplicaKinds,
        replication: Replication,
        requests: JobRequests,
    ) -> None:
        self._wishes, self._routings, self._kinds = wishes, routings, kinds
        self._replication, self._requests = replication, requests

    async def look_up(self, key: WishKey, pods: Sequence[Pod]) -> Standing:
        """Return what is known of a resource by its id at the top, or in any of these pods."""
        wish = await self._wishes.find_wish(key)
        if wish is None:
            wish = await self._find_by_bottom(key, pods)
        if wish is None:
            return Standing(key)
        return Standing(wish.key, wish, await self._wishes.list_pods_of(wish.id))

    async def _find_by_bottom(self, key: WishKey, pods: Sequence[Pod]) -> Wish | None:
        kind = ROUTED.get(key.resource)
        if kind is None:
            return None
        for pod in pods:
            for one in await self._routings.find_by_bottom(kind, pod.id, [BottomId(key.name)]):
                return await self._wishes.find_wish(WishKey(key.resource, key.owner, one.top_id))
        return None

    async def bring_up(self, pod: Pod, standing: Standing, request_id: str) -> Standing:
        """Make a pod as the wish says before it is changed further; return what is known then.

        Raises PodError, Conflict.
        """
        if not standing.is_behind(pod):
            return standing
        await self._replication.apply(pod, standing.key, request_id)
        return await self.look_up(standing.key, (pod,))

    async def show(self, pod: Pod, key: WishKey, request_id: str) -> Shown | None:
        """Return the resource with the id ``key.name`` of this pod. Raises PodError."""
        return await self._kind(pod, key, request_id).show(key)

    async def search(self, pod: Pod, key: WishKey, label: str, request_id: str) -> Shown | None:
        """Return what a pod has by an id or, failing that, under a name. Raises PodError."""
        kind = self._kind(pod, key, request_id)
        found = await kind.show(key) if key.name else None
        return found or (await kind.search(label) if label else None)

    def _kind(self, pod: Pod, key: WishKey, request_id: str) -> ReplicaKind:
        kind = self._kinds.find(pod, key.resource, request_id)
        if kind is None:
            raise ServiceUnavailable(f"pod {pod.name} has no service for {key}")
        return kind

    async def record(self, taken: Taken, request_id: str) -> PutWish | None:
        """Make what a pod has now the wish, with its jobs; None when it is the wish already.

        The wish is read before the pod is: whoever changes the pod later puts a wish later,
        or sees that somebody else did and reads the pod again. Raises Conflict, PodError.
        """
        here = WishKey(taken.key.resource, taken.key.owner, taken.bottom_id)
        for _ in range(_TRIES):
            wish = await self._wishes.find_wish(taken.key)
            shown = await self.show(taken.pod, here, request_id)
            decided = decide_wish(wish, shown.thing if shown else None, taken.before)
            if decided is None:
                return None
            change = WishChange(
                taken.key,
                decided.document,
                decided.wanted,
                wish.generation if wish else 0,
                taken.pod.id,
                shown.bottom_id if shown else None,
            )
            try:
                put = await self._wishes.put_wish(change, request_id)
            except Conflict:
                continue
            gone_or_here = change.bottom_id if change.wanted else None
            await self._replication.keep_route(put.wish, taken.pod, gone_or_here)
            return put
        raise Conflict(f"{taken.key} keeps changing; please retry")

    async def spread(self, put: PutWish, pods: Sequence[Pod], request_id: str) -> None:
        """Carry a wish to other pods now, as far as they answer soon; jobs see to the rest."""
        calls = {pod.name: self._carrier(pod, put.wish.key, request_id) for pod in pods}
        try:
            outcomes = await fan_out(calls, timeout_s=SPREAD_S)
        finally:
            self._requests.ring(put.job_ids, request_id)
        for name, outcome in outcomes.items():
            if isinstance(outcome, Failed):
                log.warning(
                    "left to a job",
                    extra={"wish": str(put.wish.key), "pod": name, "reason": outcome.reason},
                )

    def _carrier(self, pod: Pod, key: WishKey, request_id: str) -> Callable[[], Awaitable[str]]:
        async def carry() -> str:
            return await self._replication.apply(pod, key, request_id)

        return carry
