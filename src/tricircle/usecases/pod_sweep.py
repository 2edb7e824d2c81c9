"""Finding what a pod lacks of what all pods shall have: the job ``SweepPod``.

Nothing is changed here: for whatever is missing or different a job is asked for. First
comes what the top itself knows to be missing. Then a page of wishes at a time is compared
with the pod's lists, so memory is bounded by the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from tricircle.core.errors import Conflict, NotFound
from tricircle.core.jobs import JobRequest, Replicate, SweepPod
from tricircle.core.model import Pod
from tricircle.core.runs import Errand, Outcome, Succeeded
from tricircle.core.wishes import Replica, Wish, WishId, is_behind, is_made
from tricircle.interfaces.jobs import JobDesk
from tricircle.interfaces.store import PodStore
from tricircle.interfaces.wishes import Wishes
from tricircle.usecases.replicas.kinds import ReplicaKinds
from tricircle.usecases.replicas.replica_kind import ReplicaKind, Shown, WishAtPod
from tricircle.usecases.twin_ids import TwinIds

PAGE = 500


class PodSweep:
    """Compares a pod with all wishes."""

    def __init__(
        self,
        wishes: Wishes,
        pods: PodStore,
        desk: JobDesk,
        kinds: ReplicaKinds,
        twins: TwinIds,
        page: int = PAGE,
    ) -> None:
        self._wishes, self._pods, self._desk = wishes, pods, desk
        self._kinds, self._twins, self._page = kinds, twins, page

    async def run(self, job: SweepPod, errand: Errand) -> Outcome:
        """Ask for jobs of what a pod lacks; what failed before waits for its operator.

        Tombstones that no pod needs any more are forgotten. Raises PodError.
        """
        try:
            pod = await self._pods.get_pod(job.pod_id)
        except NotFound:
            return Succeeded("the pod is gone")
        found = {
            resource: self._kinds.find(pod, resource, errand.request_id) for resource in Replica
        }
        # before the pod that gave the ids is away
        await self._twins.learn(errand.request_id)
        asked = 0
        for resource, kind in found.items():
            asked += await self._ask_for_lacking(pod, resource, kind, errand.request_id)
        for resource, kind in found.items():
            if kind is not None:
                asked += await self._ask_for_different(pod, resource, kind, errand.request_id)
        await self._wishes.forget_tombstones()
        return Succeeded(f"{asked} job(s) asked for")

    async def _ask_for_lacking(
        self, pod: Pod, resource: Replica, kind: ReplicaKind | None, request_id: str
    ) -> int:
        """Ask for what the pod is not known to have; of a service it lacks, for tombstones only."""
        asked, after = 0, None
        while page := await self._wishes.list_lacking(pod.id, resource, self._page, after):
            wishes = [wish for wish in page if kind is not None or not wish.wanted]
            asked += await self._ask(pod, wishes, request_id)
            after = page[-1].key
        return asked

    async def _ask_for_different(
        self, pod: Pod, resource: Replica, kind: ReplicaKind, request_id: str
    ) -> int:
        asked, after = 0, None
        while page := await self._wishes.list_for_pod(pod.id, resource, self._page, after):
            noted = [(wish, known) for wish, known in page if not is_behind(wish, known)]
            if noted:
                asked += await self._ask(pod, await _find_different(kind, noted), request_id)
            after = page[-1][0].key
        return asked

    async def _ask(self, pod: Pod, wishes: Sequence[Wish], request_id: str) -> int:
        jobs = [Replicate(pod.id, wish.resource.value, wish.owner, wish.name) for wish in wishes]
        return await self._desk.ensure_jobs([JobRequest(job, request_id) for job in jobs])


async def _find_different(kind: ReplicaKind, wishes: Sequence[WishAtPod]) -> Sequence[Wish]:
    """Return the wishes that the pod is not like."""
    shown: dict[WishId, Shown] = {}
    async for wish, found in kind.scan(wishes):
        shown[wish.id] = found
    return [
        wish for wish, known in wishes if _differs(kind, wish, shown.get(wish.id), is_made(known))
    ]


def _differs(kind: ReplicaKind, wish: Wish, shown: Shown | None, made: bool) -> bool:
    try:
        return bool(kind.plan(wish, shown, made))
    except Conflict:
        return True
