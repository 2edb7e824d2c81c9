"""What flavors and volume types ask of the pod that is chosen: room, and tags."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from tricircle.core.counterparts import ID
from tricircle.core.errors import PodError
from tricircle.core.model import BottomId, Kind, Pod, PodId, TopId
from tricircle.core.replicas import Flavor, VolumeType, read_volume_type
from tricircle.core.weighing import Needs, flavor_needs, type_needs
from tricircle.core.wishes import Document, Replica, WishKey
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.store import RoutingStore
from tricircle.usecases.remembered import Remembered
from tricircle.usecases.replicas.flavors import Flavors
from tricircle.usecases.replicas.named_list import NamedList
from tricircle.usecases.replicas.pod_service import PodService, PodServices
from tricircle.usecases.replicas.replica_kind import Shown, thing_of

REMEMBERED_S = 60.0
"""Seconds for which a flavor or volume type is remembered."""
MOST_REMEMBERED = 1000


class Demands:
    """Asks pods with the service credential: not every user is shown extra specs."""

    def __init__(
        self,
        novas: PodServices,
        cinders: PodServices,
        routings: RoutingStore,
        pods: Callable[[], Sequence[Pod]],
        clock: Clock,
    ) -> None:
        self._novas, self._cinders = novas, cinders
        self._routings, self._pods = routings, pods
        self._known: Remembered[tuple[Replica, str], Needs] = Remembered(
            clock, REMEMBERED_S, MOST_REMEMBERED
        )

    async def find_flavor(self, flavor_id: str, request_id: str) -> Needs | None:
        """Return what one server of a flavor takes; None when no pod that answers has it."""

        async def ask(pod: Pod) -> Needs | None:
            return await ask_flavor(self._novas.of(pod, request_id), flavor_id)

        return await self._find((Replica.FLAVOR, flavor_id), self._novas, ask)

    async def find_volume_type(self, label: str, request_id: str) -> Needs | None:
        """Return what a volume type, by its name or its id at the top, demands; None likewise."""

        async def ask(pod: Pod) -> Needs | None:
            return await ask_volume_type(self._cinders.of(pod, request_id), self._routings, label)

        return await self._find((Replica.VOLUME_TYPE, label), self._cinders, ask)

    async def _find(
        self,
        key: tuple[Replica, str],
        services: PodServices,
        ask: Callable[[Pod], Awaitable[Needs | None]],
    ) -> Needs | None:
        known = self._known.find(key)
        if known is not None:
            return known
        is_dead = services.cloud.is_dead
        pods = [pod for pod in self._pods() if services.service in pod.endpoints]
        for pod in sorted(pods, key=lambda pod: (is_dead(pod.id), pod.name)):
            try:
                found = await ask(pod)
            except PodError:
                continue
            if found is not None:
                self._known.keep(key, found)
                return found
        return None


async def ask_flavor(nova: PodService, flavor_id: str) -> Needs | None:
    """Return what one server of a flavor of a pod takes. Raises PodError."""
    shown = await Flavors(nova).show(WishKey(Replica.FLAVOR, "", flavor_id))
    flavor = thing_of(shown, Flavor)
    return flavor_needs(flavor) if flavor is not None else None


async def ask_volume_type(cinder: PodService, routings: RoutingStore, label: str) -> Needs | None:
    """Return what a volume type of a pod demands, by name or top id. Raises PodError."""
    types = NamedList(cinder, Replica.VOLUME_TYPE)

    async def read(item: Document) -> Shown:
        try:
            return Shown(BottomId(str(item.get("id"))), read_volume_type(item))
        except ValueError as error:
            raise cinder.misread("volume type", error) from None

    if ID.fullmatch(label):  # as get_by_name_or_id in cinder/volume/volume_types.py
        shown = await types.show(await _id_in(routings, cinder.pod.id, label), read)
    else:
        shown = await types.search(label, read)
    found = thing_of(shown, VolumeType)
    return type_needs(found) if found is not None else None


async def _id_in(routings: RoutingStore, pod_id: PodId, top_id: str) -> BottomId:
    """Return the id of a volume type in a pod; one that is not known may be the pod's own."""
    kept = await routings.find_routings(Kind.VOLUME_TYPE, TopId(top_id))
    found = (one.bottom_id for one in kept if one.pod_id == pod_id)
    return next((one for one in found if one is not None), BottomId(top_id))
