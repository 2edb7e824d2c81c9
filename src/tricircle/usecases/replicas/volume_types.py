"""The volume types of one pod."""

from __future__ import annotations

from typing import assert_never
from urllib.parse import quote

from tricircle.core.model import BottomId, Kind, Version
from tricircle.core.replica_plans import (
    Admit,
    Associate,
    Change,
    Create,
    Decrypt,
    Disassociate,
    Encrypt,
    Expel,
    Reencrypt,
    Remove,
    SetSpecs,
    Step,
    UnsetSpec,
    encryption_body,
    new_encryption_body,
    volume_type_body,
)
from tricircle.core.replicas import read_volume_type
from tricircle.core.wishes import Document, Replica, Wish
from tricircle.usecases.replicas.named_replicas import NamedReplicas
from tricircle.usecases.replicas.pod_service import PodService, Reply
from tricircle.usecases.replicas.replica_kind import Shown
from tricircle.usecases.replicas.spec_steps import SpecSteps, SpecWords
from tricircle.usecases.twin_ids import TwinIds

_VERSION = Version(3, 0)
_GROUPS = Version(3, 13)
_PAGE = "500"
_WORDS = SpecWords(
    "extra_specs", "extra_specs", "addProjectAccess", "removeProjectAccess", "project", guarded=True
)


class VolumeTypes(NamedReplicas):
    """``ReplicaKind`` for volume types."""

    def __init__(self, service: PodService, twins: TwinIds) -> None:
        super().__init__(service, Replica.VOLUME_TYPE)
        self._twins = twins
        self._specs = SpecSteps(service, _VERSION, _WORDS)

    async def carry_out(self, wish: Wish, shown: Shown | None, step: Step) -> str:
        """Do a step; return '' or what the pod says."""
        type_id = shown.bottom_id if shown else BottomId("")
        path = self._list.path_of(type_id)
        match step:
            case Create():
                body = volume_type_body(read_volume_type(wish.document))
                return await self._service.attempt("POST", "/types", _VERSION, body)
            case Remove():
                return await self._change_unused(wish, "DELETE", path)
            case Change(values):
                body = {"volume_type": values}
                return await self._service.attempt("PUT", path, _VERSION, body)
            case SetSpecs() | UnsetSpec() | Admit() | Expel():
                return await self._specs.take(path, step)
            case Encrypt(encryption):
                body = new_encryption_body(encryption)
                return await self._change_unused(wish, "POST", f"{path}/encryption", body)
            case Reencrypt(encryption):
                body = encryption_body(encryption)
                return await self._change_unused(wish, "PUT", f"{path}/encryption/all", body)
            case Decrypt():
                return await self._change_unused(wish, "DELETE", f"{path}/encryption/all")
            case Associate(qos_specs):
                return await self._associate(type_id, qos_specs, "associate")
            case Disassociate(qos_specs):
                return await self._associate(type_id, qos_specs, "disassociate")
            case _:
                assert_never(step)

    async def is_used(self, bottom_id: BottomId) -> bool:
        """Tell whether volumes or groups are of a type, or it is what those without one get."""
        default = await self._service.find("/types/default", _VERSION)
        if default and default.item("volume_type").get("id") == bottom_id:
            return True
        query = {"all_tenants": "1", "volume_type_id": bottom_id, "limit": "1"}
        if (await self._service.get("/volumes", _VERSION, **query)).items("volumes"):
            return True
        query = {"all_tenants": "1", "limit": _PAGE}
        while True:
            reply = await self._service.get("/groups/detail", _GROUPS, **query)
            page = reply.items("groups")
            if any(bottom_id in _texts(one.get("volume_types")) for one in page):
                return True
            if not page or "group_links" not in reply.document:
                return False
            query["marker"] = str(page[-1].get("id"))

    async def _change_unused(
        self, wish: Wish, method: str, path: str, body: Document | None = None
    ) -> str:
        what = f"{method} of {wish.key}"
        return await self._service.change_unused(what, method, path, _VERSION, body)

    async def _associate(self, type_id: BottomId, qos_specs: str, verb: str) -> str:
        """Give a type QoS specs or take them away: Cinder wants that as a GET."""
        pod, service = self._service.pod, self._service
        bottom_id = await self._twins.find_bottom(
            Kind.QOS_SPECS, pod.id, qos_specs, service.request_id
        )
        path = f"/qos-specs/{quote(bottom_id or qos_specs, safe='')}/{verb}"
        reply = await service.change("GET", path, _VERSION, vol_type_id=type_id)
        return reply.message if reply.status >= 300 else ""

    async def _complete(self, item: Document) -> Shown:
        """Return a type with what is not shown with it: encryption, and who may use it."""
        bottom_id = BottomId(str(item.get("id")))
        path = self._list.path_of(bottom_id)
        encryption = await self._service.find(f"{path}/encryption", _VERSION)
        found = encryption.document if encryption else {}
        item = {**item, "encryption": found or None, "qos_specs": await self._qos_specs(item)}
        if item.get("is_public") is False:
            access = await self._service.find(f"{path}/os-volume-type-access", _VERSION)
            item = {**item, "projects": _projects(access) if access else []}
        return self._read(item)

    async def _qos_specs(self, item: Document) -> str | None:
        """Return the id at the top of the QoS specs of a type, the pod's own if it has none."""
        bottom_id = item.get("qos_specs_id")
        if not isinstance(bottom_id, str):
            return None
        known = await self._twins.find_all(Kind.QOS_SPECS, bottom_id, self._service.request_id)
        return known.find_top(bottom_id) or bottom_id


def _projects(access: Reply) -> list[object]:
    return [one.get("project_id") for one in access.items("volume_type_access")]


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
