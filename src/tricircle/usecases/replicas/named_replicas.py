"""What volume types, QoS specs and group types of one pod have in common.

Each pod gives them ids of its own; their names are unique.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence

from tricircle.core.model import BottomId
from tricircle.core.replica_plans import Step, Steps, plan_named, plan_removal
from tricircle.core.replicas import read_thing
from tricircle.core.wishes import WORDS, Document, Replica, Wish, WishKey, WishPod
from tricircle.usecases.replicas.named_list import NamedList
from tricircle.usecases.replicas.pod_service import PodService
from tricircle.usecases.replicas.replica_kind import Shown, WishAtPod


class NamedReplicas(ABC):
    """``ReplicaKind`` but for what differs between them."""

    def __init__(self, service: PodService, resource: Replica) -> None:
        self._service, self._resource = service, resource
        self._list = NamedList(service, resource)

    async def show(self, key: WishKey) -> Shown | None:
        """Return the thing whose id in this pod is the name of the key."""
        return await self._list.show(key.name, self._complete)

    async def search(self, label: str) -> Shown | None:
        """Return the thing with a name."""
        return await self._list.search(label, self._complete)

    async def find(self, wish: Wish, known: WishPod | None) -> Shown | None:
        """Return the thing of a wish: by its id in the pod, else by its name now or before."""
        return await self._list.find(wish, known, self._complete)

    def scan(self, wishes: Sequence[WishAtPod]) -> AsyncIterator[tuple[Wish, Shown]]:
        """Yield what the pod has of these wishes, by reading its list once."""
        return self._list.scan(wishes, self._complete)

    def plan(self, wish: Wish, shown: Shown | None, made: bool) -> Steps:
        """Return what makes the thing like the wish."""
        wished, found = read_thing(wish.resource, wish.document), shown.thing if shown else None
        if not wish.wanted:
            return plan_removal(wished, found, made)
        name = wish.document.get("name")
        subject = f"{wish.key} ('{name}') of pod {self._service.pod.name}"
        return plan_named(subject, wished, found, made)

    @abstractmethod
    async def carry_out(self, wish: Wish, shown: Shown | None, step: Step) -> str:
        """Do a step; return '' or what the pod says."""

    @abstractmethod
    async def is_used(self, bottom_id: BottomId) -> bool:
        """Tell whether the pod would refuse to delete a thing because something uses it."""

    async def _complete(self, item: Document) -> Shown:
        """Return a thing out of an answer, with what is not shown with it."""
        return self._read(item)

    def _read(self, item: Document) -> Shown:
        try:
            return Shown(BottomId(str(item.get("id"))), read_thing(self._resource, item))
        except ValueError as error:
            raise self._service.misread(WORDS[self._resource], error) from None
