"""The lists of a pod's Cinder whose things have ids of the pod's own and names that are unique."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tricircle.core.model import BottomId, Version
from tricircle.core.replicas import Named, read_thing
from tricircle.core.wishes import Document, Replica, Wish, WishPod
from tricircle.usecases.replicas.pod_service import PodService
from tricircle.usecases.replicas.replica_kind import Shown, WishAtPod

_PAGE = "500"


@dataclass(frozen=True, slots=True)
class Place:
    """Where such things are, and what they are called in answers."""

    path: str
    collection: str
    item: str
    version: Version


PLACES: Mapping[Replica, Place] = {
    Replica.QOS_SPECS: Place("/qos-specs", "qos_specs", "qos_specs", Version(3, 0)),
    Replica.VOLUME_TYPE: Place("/types", "volume_types", "volume_type", Version(3, 0)),
    Replica.GROUP_TYPE: Place("/group_types", "group_types", "group_type", Version(3, 11)),
}

Complete = Callable[[Document], Awaitable[Shown]]
"""Returns a thing with what is not shown with it."""


class NamedList:
    """One such list of one pod."""

    def __init__(self, service: PodService, resource: Replica) -> None:
        self.service, self.place, self._resource = service, PLACES[resource], resource

    def path_of(self, bottom_id: str) -> str:
        """Return where a thing is."""
        return f"{self.place.path}/{quote(bottom_id, safe='')}"

    async def show(self, bottom_id: str, complete: Complete) -> Shown | None:
        """Return the thing with an id."""
        reply = await self.service.find(self.path_of(bottom_id), self.place.version)
        return await complete(reply.item(self.place.item)) if reply else None

    async def search(self, name: str, complete: Complete) -> Shown | None:
        """Return the thing with a name."""
        async for page in self.pages():
            for item in page:
                if item.get("name") == name:
                    return await complete(item)
        return None

    async def find(self, wish: Wish, known: WishPod | None, complete: Complete) -> Shown | None:
        """Return the thing of a wish: by its id in the pod, else by its name now or before."""
        if known is not None and known.bottom_id:
            shown = await self.show(known.bottom_id, complete)
            if shown is not None:
                return shown
        for name in _names(wish):
            shown = await self.search(name, complete)
            if shown is not None:
                return shown
        return None

    async def scan(
        self, wishes: Sequence[WishAtPod], complete: Complete
    ) -> AsyncIterator[tuple[Wish, Shown]]:
        """Yield what the pod has of these wishes, by reading its list once."""
        by_id = {known.bottom_id: wish for wish, known in wishes if known and known.bottom_id}
        by_name = {
            str(wish.document.get("name")): wish
            for wish, known in wishes
            if known is None or not known.bottom_id
        }
        async for page in self.pages():
            for item in page:
                wish = by_id.get(BottomId(str(item.get("id"))))
                wish = wish or by_name.get(str(item.get("name")))
                if wish is not None:
                    yield wish, await complete(item)

    async def pages(self) -> AsyncIterator[Sequence[Document]]:
        """Yield the list until a page is empty: not every Cinder says whether there are more."""
        place, query = self.place, {"is_public": "None", "limit": _PAGE}
        if self._resource is Replica.QOS_SPECS:
            del query["is_public"]
        while page := (await self.service.get(place.path, place.version, **query)).items(
            place.collection
        ):
            yield page
            query["marker"] = str(page[-1].get("id"))

    async def list_names(self) -> Mapping[str, BottomId]:
        """Return the ids of all by their names."""
        return {
            str(item.get("name")): BottomId(str(item.get("id")))
            async for page in self.pages()
            for item in page
        }


def _names(wish: Wish) -> Sequence[str]:
    thing = read_thing(wish.resource, wish.document)
    if not isinstance(thing, Named):
        return ()
    before = thing.formerly.name if thing.formerly else thing.name
    return (thing.name,) if before == thing.name else (thing.name, before)
