"""Making one pod like the top wants it: the job ``Replicate``.

Everything is read anew in each round: the wish, what is known of the pod, what the pod
has. Steps are taken until none is left, so the last round proves the outcome. A process may
die at any line, and several may do this at once: whoever ends last has compared the pod
with the newest wish.
"""

from __future__ import annotations

import logging

from tricircle.core.errors import Conflict, NotFound, StillInUse
from tricircle.core.jobs import Replicate
from tricircle.core.model import BottomId, Kind, Pod, ProjectId, Routing, TopId
from tricircle.core.replicas import Steps
from tricircle.core.runs import Errand, Outcome, Postponed, Succeeded
from tricircle.core.wishes import Replica, Wish, WishKey, WishPod, is_made, key_of
from tricircle.interfaces.store import PodStore, RoutingStore
from tricircle.interfaces.wishes import Wishes
from tricircle.usecases.replicas.kinds import ReplicaKinds
from tricircle.usecases.replicas.replica_kind import ReplicaKind, Shown

log = logging.getLogger(__name__)

ROUNDS = 6
"""To make a thing takes three: make it, complete it, see that nothing is left to do."""
IN_USE_WAIT_S = 300.0
"""Seconds until what is still in use is tried to be removed again."""
_MAKING = BottomId("")
ROUTED = {Replica.VOLUME_TYPE: Kind.VOLUME_TYPE}
"""What has another id in each pod."""


class Replication:
    """Carries wishes to pods."""

    def __init__(
        self, wishes: Wishes, routings: RoutingStore, pods: PodStore, kinds: ReplicaKinds
    ) -> None:
        self._wishes, self._routings, self._pods, self._kinds = wishes, routings, pods, kinds

    async def run(self, job: Replicate, errand: Errand) -> Outcome:
        """Make a pod as a wish says.

        Raises Conflict for what an operator made or must decide, PodError.
        """
        key = key_of(job)
        if key is None:
            raise NotFound(f"there is no kind of replica '{job.resource}' in this release")
        try:
            pod = await self._pods.get_pod(job.pod_id)
        except NotFound:
            return Succeeded("the pod is gone")
        try:
            return Succeeded(await self.apply(pod, key, errand.request_id))
        except StillInUse as error:
            return Postponed(str(error), IN_USE_WAIT_S)

    async def apply(self, pod: Pod, key: WishKey, request_id: str) -> str:
        """Make a pod as the wish of a key says; return in words what it took.

        Raises StillInUse, Conflict, PodError.
        """
        kind = self._kinds.find(pod, key.resource, request_id)
        taken, objection = 0, ""
        for _ in range(ROUNDS):
            wish = await self._wishes.find_wish(key)
            if wish is None:
                return "there is no such wish any more"
            if kind is None:
                return await self._skip(wish, pod)
            known = (await self._wishes.list_pods_of(wish.id)).get(pod.id)
            shown = await kind.find(wish, known)
            steps = kind.plan(wish, shown, is_made(known))
            if not steps:
                await self._settle(wish, pod, known, shown)
            elif await self._is_newest(wish):
                await self._claim(wish, pod, known, shown)
                objection = await _take(kind, wish, shown, steps)
                taken += len(steps)
                continue
            if await self._is_newest(wish):
                return f"{taken} step(s) at generation {wish.generation}"
        raise Conflict(
            f"{key} in pod {pod.name} does not become what the top wants: "
            f"{objection or 'it keeps changing'}; see to it in the pod and have the job done again"
        )

    async def _is_newest(self, wish: Wish) -> bool:
        now = await self._wishes.find_wish(wish.key)
        return now is not None and (now.id, now.generation) == (wish.id, wish.generation)

    async def _claim(
        self, wish: Wish, pod: Pod, known: WishPod | None, shown: Shown | None
    ) -> None:
        """Write down, before a thing is made, that what will be there is ours."""
        if shown is not None or is_made(known) or not wish.wanted:
            return
        generation = known.generation if known else 0
        await self._wishes.note_pod(wish.id, pod.id, WishPod(generation, _MAKING))

    async def _settle(
        self, wish: Wish, pod: Pod, known: WishPod | None, shown: Shown | None
    ) -> None:
        """Write down that a pod is as a wish says."""
        bottom_id = shown.bottom_id if shown and wish.wanted else None
        await self.keep_route(wish, pod, bottom_id)
        now = WishPod(wish.generation, bottom_id)
        if known != now:
            await self._wishes.note_pod(wish.id, pod.id, now)

    async def keep_route(self, wish: Wish, pod: Pod, bottom_id: BottomId | None) -> None:
        """Write down the pod's own id of a thing, where that is another one in each pod."""
        kind = ROUTED.get(wish.resource)
        if kind is None:
            return
        top_id = TopId(wish.name)
        routings = await self._routings.find_routings(kind, top_id)
        kept = next((one.bottom_id for one in routings if one.pod_id == pod.id), None)
        if kept == bottom_id:
            return
        if kept is not None:
            await self._routings.forget_routing(kind, top_id, pod.id)
        if bottom_id is not None:
            routing = Routing(kind, top_id, pod.id, bottom_id, ProjectId(""))
            await self._routings.keep_routings([routing])

    async def _skip(self, wish: Wish, pod: Pod) -> str:
        """Pass over a pod without the service; it has nothing to remove either."""
        if not wish.wanted:
            await self._wishes.note_pod(wish.id, pod.id, WishPod(wish.generation))
        return "the pod has no such service"


async def _take(kind: ReplicaKind, wish: Wish, shown: Shown | None, steps: Steps) -> str:
    """Take steps until one meets what was not expected; return what the pod says of it."""
    for step in steps:
        objection = await kind.carry_out(wish, shown, step)
        if objection:
            log.info("pod was not as planned", extra={"wish": str(wish.key), "reason": objection})
            return objection
    return ""
