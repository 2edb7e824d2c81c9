"""The QoS specs of one pod."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from tricircle.core.model import BottomId, Version
from tricircle.core.replica_plans import (
    Change,
    Create,
    Remove,
    SetSpecs,
    Step,
    Steps,
    UnsetSpec,
    plan_qos_specs,
    plan_removal,
    qos_specs_body,
)
from tricircle.core.replicas import QosSpecs, read_qos_specs
from tricircle.core.wishes import Document, Replica, Wish, WishKey, WishPod
from tricircle.usecases.replicas.named_list import NamedList
from tricircle.usecases.replicas.pod_service import PodService
from tricircle.usecases.replicas.replica_kind import Shown, WishAtPod, thing_of

_VERSION = Version(3, 0)


class QosSpecsOfPod:
    """``ReplicaKind`` for QoS specs: each pod gives ids of its own, names are unique.

    Which volume types they are of is said by the types.
    """

    def __init__(self, service: PodService) -> None:
        self._service = service
        self._list = NamedList(service, Replica.QOS_SPECS)

    async def show(self, key: WishKey) -> Shown | None:
        """Return the QoS specs whose id in this pod is the name of the key, with their types."""
        return await self._list.show(key.name, self._with_types)

    async def search(self, label: str) -> Shown | None:
        """Return the QoS specs with a name."""
        return await self._list.search(label, self._read)

    async def find(self, wish: Wish, known: WishPod | None) -> Shown | None:
        """Return the QoS specs of a wish: by their id in the pod, else by their name."""
        return await self._list.find(wish, known, self._read)

    def plan(self, wish: Wish, shown: Shown | None, made: bool) -> Steps:
        """Return what makes the QoS specs like the wish."""
        wished, found = read_qos_specs(wish.document), thing_of(shown, QosSpecs)
        if not wish.wanted:
            return plan_removal(wished, found, made)
        subject = f"{wish.key} ('{wished.name}') of pod {self._service.pod.name}"
        return plan_qos_specs(subject, wished, found, made)

    async def carry_out(self, wish: Wish, shown: Shown | None, step: Step) -> str:
        """Do a step; return '' or what the pod says."""
        path = self._list.path_of(shown.bottom_id if shown else "")
        match step:
            case Create():
                body = qos_specs_body(read_qos_specs(wish.document))
                return await self._service.attempt("POST", "/qos-specs", _VERSION, body)
            case Remove():
                reply = await self._service.change("DELETE", path, _VERSION, force="True")
                return reply.message if reply.status >= 300 else ""
            case Change(values):
                return await self._set(path, values)
            case SetSpecs(specs):
                return await self._set(path, specs)
            case UnsetSpec(name):
                body = {"keys": [name]}
                return await self._service.attempt("PUT", f"{path}/delete_keys", _VERSION, body)
            case _:
                raise ValueError(f"QoS specs cannot be changed so: {step}")

    async def is_used(self, bottom_id: BottomId) -> bool:
        """Tell whether a volume type has these QoS specs."""
        return bool(await self._list_types(bottom_id))

    def scan(self, wishes: Sequence[WishAtPod]) -> AsyncIterator[tuple[Wish, Shown]]:
        """Yield what the pod has of these wishes, by reading its list once."""
        return self._list.scan(wishes, self._read)

    async def _set(self, path: str, values: Document) -> str:
        return await self._service.attempt("PUT", path, _VERSION, {"qos_specs": values})

    async def _read(self, item: Document) -> Shown:
        try:
            return Shown(BottomId(str(item.get("id"))), read_qos_specs(item))
        except ValueError as error:
            raise self._service.misread("QoS specs", error) from None

    async def _with_types(self, item: Document) -> Shown:
        shown = await self._read(item)
        types = await self._list_types(shown.bottom_id)
        return Shown(shown.bottom_id, shown.thing, tuple(types))

    async def _list_types(self, bottom_id: BottomId) -> list[BottomId]:
        path = f"{self._list.path_of(bottom_id)}/associations"
        reply = await self._service.find(path, _VERSION)
        found = reply.items("qos_associations") if reply else []
        return [BottomId(str(one.get("id"))) for one in found]
