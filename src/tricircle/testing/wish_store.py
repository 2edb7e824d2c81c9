"""Wishes in memory; see ``testing.store``."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tricircle.core.conflicts import changed_wish, require_storable_wish
from tricircle.core.jobs import JobRequest, Replicate
from tricircle.core.model import PodId
from tricircle.core.texts import require_storable
from tricircle.core.wishes import Replica, Wish, WishId, WishKey, WishPod, is_behind
from tricircle.interfaces.wishes import JOB_WAIT_S, PutWish, WishChange
from tricircle.testing.job_store import MemoryJobDesk


@dataclass(slots=True)
class WishTable:
    """All wishes, and what is known of pods."""

    wishes: dict[WishKey, Wish] = field(default_factory=dict)
    known: dict[tuple[WishId, PodId], WishPod] = field(default_factory=dict)

    def forget_pod(self, pod_id: PodId) -> None:
        """Drop what was known of a pod that is deleted."""
        self.known = {key: one for key, one in self.known.items() if key[1] != pod_id}


class MemoryWishes:
    """``interfaces.wishes.Wishes`` in memory."""

    def __init__(
        self, table: WishTable, desk: MemoryJobDesk, list_pod_ids: Callable[[], Iterable[PodId]]
    ) -> None:
        self._table, self._desk, self._list_pod_ids = table, desk, list_pod_ids

    async def find_wish(self, key: WishKey) -> Wish | None:
        """Return a wish, tombstones too."""
        return self._table.wishes.get(key)

    async def list_wishes(
        self, resource: Replica, limit: int, after: WishKey | None = None
    ) -> Sequence[Wish]:
        """Return wishes, tombstones too, ordered by owner and name, after a key."""
        found = [wish for key, wish in self._table.wishes.items() if key.resource is resource]
        found.sort(key=_place)
        if after is not None:
            found = [wish for wish in found if _place(wish) > (after.owner, after.name)]
        return found[:limit]

    async def put_wish(self, change: WishChange, request_id: str) -> PutWish:
        """Keep a wish and ask for a ``Replicate`` job of every other pod: both, or nothing."""
        key = change.key
        require_storable_wish(key)
        require_storable("the id of the request", request_id)
        old = self._table.wishes.get(key)
        pods = list(self._list_pod_ids())
        if change.expected != (old.generation if old else 0) or change.pod_id not in pods:
            raise changed_wish(key)
        wish = Wish(
            id=old.id if old else WishId(str(uuid.uuid4())),
            resource=key.resource,
            owner=key.owner,
            name=key.name,
            document=change.document,
            wanted=change.wanted,
            generation=change.expected + 1,
        )
        self._table.wishes[key] = wish
        self._table.known[wish.id, change.pod_id] = WishPod(wish.generation, change.bottom_id)
        jobs = [
            Replicate(pod, key.resource.value, key.owner, key.name)
            for pod in pods
            if pod != change.pod_id
        ]
        requests = [JobRequest(job, request_id, JOB_WAIT_S) for job in jobs]
        job_ids = await self._desk.submit_jobs(requests)
        return PutWish(wish, job_ids)

    async def forget_tombstones(self) -> int:
        """Delete the tombstones of what every pod is known not to have; return how many."""
        pods = list(self._list_pod_ids())
        done = [
            wish
            for wish in self._table.wishes.values()
            if not wish.wanted
            and not any(is_behind(wish, self._table.known.get((wish.id, pod))) for pod in pods)
        ]
        for wish in done:
            del self._table.wishes[wish.key]
            for pod in pods:
                self._table.known.pop((wish.id, pod), None)
        return len(done)

    async def list_pods_of(self, wish_id: WishId) -> Mapping[PodId, WishPod]:
        """Return what is known of each pod; a pod that was never asked is not in there."""
        return {pod: one for (of, pod), one in self._table.known.items() if of == wish_id}

    async def list_for_pod(
        self, pod_id: PodId, resource: Replica, limit: int, after: WishKey | None = None
    ) -> Sequence[tuple[Wish, WishPod | None]]:
        """Return wishes with what is known of one pod, ordered as in ``list_wishes``."""
        found = await self.list_wishes(resource, limit, after)
        return [(wish, self._table.known.get((wish.id, pod_id))) for wish in found]

    async def list_lacking(
        self, pod_id: PodId, resource: Replica, limit: int, after: WishKey | None = None
    ) -> Sequence[Wish]:
        """Return the wishes that a pod is behind of, or knows nothing of; ordered likewise."""
        found = await self.list_wishes(resource, len(self._table.wishes), after)
        known = self._table.known
        return [wish for wish in found if is_behind(wish, known.get((wish.id, pod_id)))][:limit]

    async def note_pod(self, wish_id: WishId, pod_id: PodId, known: WishPod) -> None:
        """Keep what a pod has, unless a newer generation is known of it already."""
        is_there = any(wish.id == wish_id for wish in self._table.wishes.values())
        if not is_there or pod_id not in self._list_pod_ids():
            return
        old = self._table.known.get((wish_id, pod_id))
        if old is None or old.generation <= known.generation:
            self._table.known[wish_id, pod_id] = known


def _place(wish: Wish) -> tuple[str, str]:
    return (wish.owner, wish.name)
