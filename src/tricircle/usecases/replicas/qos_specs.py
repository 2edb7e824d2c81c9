"""The QoS specs of one pod."""

from __future__ import annotations

from tricircle.core.model import BottomId, Version
from tricircle.core.replica_plans import (
    Change,
    Create,
    Remove,
    SetSpecs,
    Step,
    UnsetSpec,
    qos_specs_body,
)
from tricircle.core.replicas import read_qos_specs
from tricircle.core.wishes import Document, Replica, Wish, WishKey
from tricircle.usecases.replicas.named_replicas import NamedReplicas
from tricircle.usecases.replicas.pod_service import PodService
from tricircle.usecases.replicas.replica_kind import Shown

_VERSION = Version(3, 0)


class QosSpecsOfPod(NamedReplicas):
    """``ReplicaKind`` for QoS specs; which volume types they are of is said by the types."""

    def __init__(self, service: PodService) -> None:
        super().__init__(service, Replica.QOS_SPECS)

    async def show(self, key: WishKey) -> Shown | None:
        """Return the QoS specs whose id in this pod is the name of the key, with their types."""
        shown = await super().show(key)
        if shown is None:
            return None
        return Shown(shown.bottom_id, shown.thing, await self._list_types(shown.bottom_id))

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

    async def _set(self, path: str, values: Document) -> str:
        return await self._service.attempt("PUT", path, _VERSION, {"qos_specs": values})

    async def _list_types(self, bottom_id: BottomId) -> tuple[BottomId, ...]:
        path = f"{self._list.path_of(bottom_id)}/associations"
        reply = await self._service.find(path, _VERSION)
        found = reply.items("qos_associations") if reply else []
        return tuple(BottomId(str(one.get("id"))) for one in found)
