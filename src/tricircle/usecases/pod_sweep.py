"""Finding what a pod lacks of what all pods shall have: the job ``SweepPod``.

Nothing is changed here: for whatever is missing or different a job is asked for. A page
of wishes at a time is compared with the pod's lists, so memory is bounded by the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from tricircle.core.errors import Conflict, NotFound
from tricircle.core.jobs import Errand, JobRequest, Outcome, Replicate, Succeeded, SweepPod
from tricircle.core.model import Pod
from tricircle.core.wishes import Replica, Wish, WishId, is_behind, is_made
from tricircle.interfaces.jobs import JobDesk
from tricircle.interfaces.store import PodStore
from tricircle.interfaces.wishes import Wishes
from tricircle.usecases.replicas.kinds import ReplicaKinds
from tricircle.usecases.replicas.replica_kind import ReplicaKind, Shown, WishAtPod

PAGE = 500


class PodSweep:
    """Compares a pod with all wishes."""

    def __init__(
        self,
        wishes: Wishes,
        pods: PodStore,
        desk: JobDesk,
        kinds: ReplicaKinds,
        page: int = PAGE,
    ) -> None:
        self._wishes, self._pods, self._desk = wishes, pods, desk
        self._kinds, self._page = kinds, page

    async def run(self, job: SweepPod, errand: Errand) -> Outcome:
        """Ask for jobs of what a pod lacks; what failed before waits for its operator.

        Tombstones that no pod needs any more are forgotten. Raises PodError.
        """
        try:
            pod = await self._pods.get_pod(job.pod_id)
        except NotFound:
            return Succeeded("the pod is gone")
        asked = 0
        for resource in Replica:
            kind = self._kinds.find(pod, resource, errand.request_id)
            if kind is not None:
                asked += await self._sweep(pod, resource, kind, errand.request_id)
        await self._wishes.forget_tombstones()
        return Succeeded(f"{asked} job(s) asked for")

    async def _sweep(self, pod: Pod, resource: Replica, kind: ReplicaKind, request_id: str) -> int:
        asked, after = 0, None
        while page := await self._wishes.list_for_pod(pod.id, resource, self._page, after):
            requests = [
                JobRequest(
                    Replicate(pod.id, wish.resource.value, wish.owner, wish.name), request_id
                )
                for wish in await _find_lacking(kind, page)
            ]
            asked += await self._desk.ensure_jobs(requests)
            after = page[-1][0].key
        return asked


async def _find_lacking(kind: ReplicaKind, wishes: Sequence[WishAtPod]) -> Sequence[Wish]:
    """Return the wishes of a page that the pod is not like."""
    behind = [wish for wish, known in wishes if is_behind(wish, known)]
    noted = [(wish, known) for wish, known in wishes if not is_behind(wish, known)]
    if not noted:
        return behind
    shown: dict[WishId, Shown] = {}
    async for wish, found in kind.scan(noted):
        shown[wish.id] = found
    return behind + [
        wish for wish, known in noted if _differs(kind, wish, shown.get(wish.id), is_made(known))
    ]


def _differs(kind: ReplicaKind, wish: Wish, shown: Shown | None, made: bool) -> bool:
    try:
        return bool(kind.plan(wish, shown, made))
    except Conflict:
        return True
