"""What the database must promise of wishes; the same rules as in ``interfaces.store``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tricircle.core.model import BottomId, PodId
from tricircle.core.runs import JobId
from tricircle.core.wishes import Document, Replica, Wish, WishId, WishKey, WishPod

JOB_WAIT_S = 6.0
"""Seconds until jobs of a new wish may begin: who put it carries it to the pods meanwhile."""


@dataclass(frozen=True, slots=True)
class WishChange:
    """What a wish is to be.

    ``expected`` is the generation that it follows, 0 when there is no such wish yet.
    ``pod_id`` is a pod that is so already, with the thing's id there.
    """

    key: WishKey
    document: Document
    wanted: bool
    expected: int
    pod_id: PodId
    bottom_id: BottomId | None


@dataclass(frozen=True, slots=True)
class PutWish:
    """A wish as it is now, and the jobs that carry it to the pods."""

    wish: Wish
    job_ids: Sequence[JobId]


class WishStore(Protocol):
    """The wishes."""

    async def find_wish(self, key: WishKey) -> Wish | None:
        """Return a wish, tombstones too."""
        ...

    async def list_wishes(
        self, resource: Replica, limit: int, after: WishKey | None = None
    ) -> Sequence[Wish]:
        """Return wishes, tombstones too, ordered by owner and name, after a key."""
        ...

    async def put_wish(self, change: WishChange, request_id: str) -> PutWish:
        """Keep a wish and ask for a ``Replicate`` job of every other pod: both, or nothing.

        The pod that is so already is left alone: its next change may be under way, which
        a job that compares it with this wish would undo. The jobs may begin after
        ``JOB_WAIT_S``.

        Raises Conflict when the wish has another generation than ``expected``, BadInput
        for text that cannot be kept.
        """
        ...

    async def forget_tombstones(self) -> int:
        """Delete the tombstones of what every pod is known not to have; return how many."""
        ...


class WishPodStore(Protocol):
    """What of the wishes each pod is known to have."""

    async def list_pods_of(self, wish_id: WishId) -> Mapping[PodId, WishPod]:
        """Return what is known of each pod; a pod that was never asked is not in there."""
        ...

    async def list_for_pod(
        self, pod_id: PodId, resource: Replica, limit: int, after: WishKey | None = None
    ) -> Sequence[tuple[Wish, WishPod | None]]:
        """Return wishes with what is known of one pod, ordered as in ``list_wishes``."""
        ...

    async def list_lacking(
        self, pod_id: PodId, resource: Replica, limit: int, after: WishKey | None = None
    ) -> Sequence[Wish]:
        """Return the wishes that a pod is behind of, or knows nothing of; ordered likewise."""
        ...

    async def note_pod(self, wish_id: WishId, pod_id: PodId, known: WishPod) -> None:
        """Keep what a pod has, unless a newer generation is known of it already.

        Nothing happens when wish or pod are gone.
        """
        ...


class Wishes(WishStore, WishPodStore, Protocol):
    """Both, for those who carry wishes to pods."""
