"""What all kinds of replicas have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tricircle.core.model import BottomId
from tricircle.core.replica_plans import Step, Steps
from tricircle.core.replicas import Thing
from tricircle.core.wishes import Wish, WishKey, WishPod


@dataclass(frozen=True, slots=True)
class Shown:
    """A thing as a pod shows it, with the pod's own id of it.

    ``used_by`` are the volume types that QoS specs are of.
    """

    bottom_id: BottomId
    thing: Thing
    used_by: tuple[BottomId, ...] = ()


T = TypeVar("T", bound=Thing)


def thing_of(shown: Shown | None, form: type[T]) -> T | None:
    """Return the thing that is shown, which must be of this form."""
    if shown is None:
        return None
    if not isinstance(shown.thing, form):
        raise TypeError(f"{shown.bottom_id} is no {form.__name__}")
    return shown.thing


WishAtPod = tuple[Wish, WishPod | None]


class ReplicaKind(Protocol):
    """All replicas of one kind in one pod, e.g. its flavors. All may raise PodError."""

    async def show(self, key: WishKey) -> Shown | None:
        """Return the thing whose id in this very pod is the name of the key."""
        ...

    async def search(self, label: str) -> Shown | None:
        """Return the thing that users call so."""
        ...

    async def find(self, wish: Wish, known: WishPod | None) -> Shown | None:
        """Return what the pod has of a wish."""
        ...

    def plan(self, wish: Wish, shown: Shown | None, made: bool) -> Steps:
        """Return the steps of ``core.replica_plans``. Raises Conflict as they do."""
        ...

    async def carry_out(self, wish: Wish, shown: Shown | None, step: Step) -> str:
        """Do a step; return '' or, when things were not as planned, what the pod says.

        Raises StillInUse for what cannot be removed yet.
        """
        ...

    async def is_used(self, bottom_id: BottomId) -> bool:
        """Tell whether the pod would refuse to delete a thing because something uses it."""
        ...

    def scan(self, wishes: Sequence[WishAtPod]) -> AsyncIterator[tuple[Wish, Shown]]:
        """Yield what the pod has of these wishes, by reading its lists once."""
        ...
