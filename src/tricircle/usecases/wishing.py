"""How a change that one pod has taken becomes what the top wants of all pods."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tricircle.core.counterparts import ID
from tricircle.core.errors import Conflict, ServiceUnavailable, StillInUse
from tricircle.core.model import BottomId, Pod, PodId
from tricircle.core.replicas import Named, Thing, decide_wish, list_needs, read_thing
from tricircle.core.wishes import ROUTED, Replica, Wish, WishKey, WishPod, is_behind
from tricircle.interfaces.wishes import PutWish, WishChange, Wishes
from tricircle.usecases.fanout import Done, Failed, fan_out
from tricircle.usecases.job_requests import JobRequests
from tricircle.usecases.replicas.kinds import ReplicaKinds
from tricircle.usecases.replicas.replica_kind import ReplicaKind, Shown
from tricircle.usecases.replication import Replication
from tricircle.usecases.twin_ids import TwinIds

log = logging.getLogger(__name__)

SPREAD_S = 5.0
"""Seconds a client waits for the other pods; what takes longer is left to the jobs."""
_TRIES = 5
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Standing:
    """What the top knows of a resource; ``key`` has its id at the top.

    ``bottoms`` are its ids in the pods, where each pod gives one of its own.
    """

    key: WishKey
    wish: Wish | None = None
    pods: Mapping[PodId, WishPod] = field(default_factory=dict)
    bottoms: Mapping[PodId, BottomId] = field(default_factory=dict)

    def is_behind(self, pod: Pod) -> bool:
        """Tell whether a pod is not known to be as the wish says."""
        return self.wish is not None and is_behind(self.wish, self.pods.get(pod.id))

    def lacks(self, pod: Pod) -> bool:
        """Tell whether other pods are known to have the resource, and this one is not."""
        return bool(self.bottoms) and pod.id not in self.bottoms

    def bottom_id(self, pod: Pod) -> BottomId:
        """Return the pod's own id of the resource, as far as is known."""
        known = self.pods.get(pod.id)
        recorded = (known.bottom_id if known else None) or self.bottoms.get(pod.id)
        return recorded or BottomId(self.key.name)

    def key_in(self, pod: Pod) -> WishKey:
        """Return the key by which the pod itself knows the resource."""
        return WishKey(self.key.resource, self.key.owner, self.bottom_id(pod))


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
        twins: TwinIds,
        kinds: ReplicaKinds,
        replication: Replication,
        requests: JobRequests,
    ) -> None:
        self._wishes, self._twins, self._kinds = wishes, twins, kinds
        self._replication, self._requests = replication, requests

    async def look_up(self, key: WishKey, request_id: str) -> Standing:
        """Return what is known of a resource by its id at the top, or in any pod."""
        kind = ROUTED.get(key.resource)
        bottoms: Mapping[PodId, BottomId] = {}
        if kind is not None and key.name:
            ids = await self._twins.find_all(kind, key.name, request_id)
            key = replace(key, name=ids.find_top(key.name) or key.name)
            bottoms = ids.list_bottoms(key.name)
        wish = await self._wishes.find_wish(key)
        pods = await self._wishes.list_pods_of(wish.id) if wish is not None else {}
        return Standing(key, wish, pods, bottoms)

    async def bring_up(self, pod: Pod, standing: Standing, request_id: str) -> Standing:
        """Make a pod as the wish says before it is changed further; return what is known then.

        Raises PodError, Conflict.
        """
        if not standing.is_behind(pod):
            return standing
        await self._replication.apply(pod, standing.key, request_id)
        return await self.look_up(standing.key, request_id)

    async def make_ready(
        self, pod: Pod, resource: Replica, labels: Collection[str], request_id: str
    ) -> None:
        """Make a pod as the wishes say of these names or ids, before anything is made of them.

        A pod that was away has what they were before: less secret, or anybody's to use. What
        an operator made under such a name stays. Raises PodError, StillInUse.
        """
        known = {label: await self._top_id(resource, label, request_id) for label in labels}
        after = None
        while page := await self._wishes.list_lacking(pod.id, resource, _PAGE, after):
            for wish in page:
                if _names_of(wish).isdisjoint({*known, *known.values()}):
                    continue
                try:
                    await self._replication.apply(pod, wish.key, request_id)
                except StillInUse:
                    raise
                except Conflict as error:
                    facts = {"wish": str(wish.key), "pod": pod.name, "reason": str(error)}
                    log.warning("pod is not as the top wants", extra=facts)
            after = page[-1].key

    async def _top_id(self, resource: Replica, label: str, request_id: str) -> str:
        kind = ROUTED.get(resource)
        if kind is None or not ID.fullmatch(label):
            return label
        return (await self._twins.find_all(kind, label, request_id)).find_top(label) or label

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

    async def find_users(
        self, pods: Sequence[Pod], standing: Standing, request_id: str
    ) -> Collection[PodId]:
        """Return the pods that would refuse to delete a resource, as far as they answer soon."""
        calls = {pod.id: self._user_finder(pod, standing, request_id) for pod in pods}
        outcomes = await fan_out(calls, timeout_s=SPREAD_S)
        return {pod_id for pod_id, one in outcomes.items() if isinstance(one, Done) and one.value}

    def _user_finder(
        self, pod: Pod, standing: Standing, request_id: str
    ) -> Callable[[], Awaitable[bool]]:
        async def find() -> bool:
            key = standing.key_in(pod)
            return await self._kind(pod, key, request_id).is_used(BottomId(key.name))

        return find

    async def record(self, taken: Taken, request_id: str) -> Sequence[PutWish]:
        """Make what a pod has now the wish, with its jobs, and what that needs too.

        Returns the wishes that were changed, what is needed first. Raises Conflict, PodError.
        """
        put = await self._record(taken, request_id)
        if put is None:
            return ()
        puts: list[PutWish] = []
        for need in list_needs(put.wish):
            standing = await self.look_up(need, request_id)
            if standing.wish is None:
                needed = Taken(taken.pod, standing.key, standing.bottom_id(taken.pod))
                puts += await self.record(needed, request_id)
        return [*puts, put]

    async def _record(self, taken: Taken, request_id: str) -> PutWish | None:
        """Make what a pod has now the wish; None when it is the wish already.

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

    async def spread(self, puts: Sequence[PutWish], pods: Sequence[Pod], request_id: str) -> None:
        """Carry wishes to other pods now, as far as they answer soon; jobs see to the rest."""
        calls = {pod.name: self._carrier(pod, puts, request_id) for pod in pods}
        try:
            outcomes = await fan_out(calls, timeout_s=SPREAD_S)
        finally:
            self._requests.ring([job_id for put in puts for job_id in put.job_ids], request_id)
        wishes = ", ".join(str(put.wish.key) for put in puts)
        for name, outcome in outcomes.items():
            if isinstance(outcome, Failed):
                log.warning(
                    "left to a job",
                    extra={"wish": wishes, "pod": name, "reason": outcome.reason},
                )

    def _carrier(
        self, pod: Pod, puts: Sequence[PutWish], request_id: str
    ) -> Callable[[], Awaitable[None]]:
        async def carry() -> None:
            for put in puts:
                await self._replication.apply(pod, put.wish.key, request_id)

        return carry


def _names_of(wish: Wish) -> set[str]:
    """Return by what clients may name the thing of a wish, in pods that have it as it was too."""
    thing = read_thing(wish.resource, wish.document)
    if not isinstance(thing, Named):
        return {wish.name}
    return {wish.name, thing.name, thing.formerly.name if thing.formerly else thing.name}
