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
from tricircle.core.model import BottomId, Pod, TopId
from tricircle.core.replica_plans import Steps
from tricircle.core.replicas import list_needs, without_need
from tricircle.core.runs import Errand, Outcome, Postponed, Succeeded
from tricircle.core.wishes import ROUTED, Wish, WishKey, WishPod, is_made, key_of
from tricircle.interfaces.store import PodStore
from tricircle.interfaces.wishes import Wishes
from tricircle.usecases.replicas.kinds import ReplicaKinds
from tricircle.usecases.replicas.replica_kind import ReplicaKind, Shown
from tricircle.usecases.twin_ids import TwinIds

log = logging.getLogger(__name__)

ROUNDS = 6
"""To make a thing takes three: make it, complete it, see that nothing is left to do."""
IN_USE_WAIT_S = 300.0
"""Seconds until what is still in use is tried to be removed again."""
_MAKING = BottomId("")


class Replication:
    """Carries wishes to pods."""

    def __init__(self, wishes: Wishes, twins: TwinIds, pods: PodStore, kinds: ReplicaKinds) -> None:
        self._wishes, self._twins, self._pods, self._kinds = wishes, twins, pods, kinds

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
            met = await self._meet_needs(wish, pod, request_id)
            known = (await self._wishes.list_pods_of(wish.id)).get(pod.id)
            shown = await kind.find(met, known)
            steps = kind.plan(met, shown, is_made(known))
            if not steps:
                await self._settle(wish, pod, known, shown)
            elif await self._is_newest(wish):
                await self._claim(wish, pod, known, shown)
                objection = await _take(kind, met, shown, steps)
                taken += len(steps)
                continue
            if await self._is_newest(wish):
                return f"{taken} step(s) at generation {wish.generation}"
        raise Conflict(
            f"{key} in pod {pod.name} does not become what the top wants: "
            f"{objection or 'it keeps changing'}; see to it in the pod and have the job done again"
        )

    async def _meet_needs(self, wish: Wish, pod: Pod, request_id: str) -> Wish:
        """Make in a pod what a wish needs there; return the wish without what is gone.

        Raises as ``apply``.
        """
        for need in list_needs(wish):
            routed = ROUTED[need.resource]
            if await self._twins.find_bottom(routed, pod.id, need.name, request_id):
                continue
            needed = await self._wishes.find_wish(need)
            if needed is None or not needed.wanted:
                wish = without_need(wish, need)
            else:
                await self.apply(pod, need, request_id)
        return wish

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
        if kind is not None:
            await self._twins.keep(kind, TopId(wish.name), pod.id, bottom_id)

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
