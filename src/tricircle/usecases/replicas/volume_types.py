"""The volume types of one pod."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import assert_never
from urllib.parse import quote

from tricircle.core.errors import StillInUse
from tricircle.core.model import BottomId, Version
from tricircle.core.replicas import (
    Admit,
    Change,
    Create,
    Expel,
    Remove,
    SetSpecs,
    Step,
    Steps,
    UnsetSpec,
    VolumeType,
    plan_removal,
    plan_volume_type,
    read_volume_type,
    volume_type_body,
)
from tricircle.core.wishes import Document, Wish, WishKey, WishPod
from tricircle.usecases.replicas.pod_service import PodService, Reply
from tricircle.usecases.replicas.replica_kind import Shown, WishAtPod, thing_of

_PAGE = "500"
_VERSION = Version(3, 0)


class VolumeTypes:
    """``ReplicaKind`` for volume types: each pod gives ids of its own, names are unique."""

    def __init__(self, service: PodService) -> None:
        self._service = service

    async def show(self, key: WishKey) -> Shown | None:
        """Return the type whose id in this pod is the name of the key."""
        return await self._show(key.name)

    async def search(self, label: str) -> Shown | None:
        """Return the type with a name."""
        async for page in self._pages():
            for item in page:
                if item.get("name") == label:
                    return await self._complete(item)
        return None

    async def find(self, wish: Wish, known: WishPod | None) -> Shown | None:
        """Return the type of a wish: by its id in the pod, else by its name now or before."""
        if known is not None and known.bottom_id:
            shown = await self._show(known.bottom_id)
            if shown is not None:
                return shown
        for name in _names(read_volume_type(wish.document)):
            shown = await self.search(name)
            if shown is not None:
                return shown
        return None

    def plan(self, wish: Wish, shown: Shown | None, made: bool) -> Steps:
        """Return what makes the type like the wish."""
        wished, found = read_volume_type(wish.document), thing_of(shown, VolumeType)
        if not wish.wanted:
            return plan_removal(wished, found, made)
        subject = f"{wish.key} ('{wished.name}') of pod {self._service.pod.name}"
        return plan_volume_type(subject, wished, found, made)

    async def carry_out(self, wish: Wish, shown: Shown | None, step: Step) -> str:
        """Do a step; return '' or what the pod says."""
        path = f"/types/{quote(shown.bottom_id if shown else '', safe='')}"
        match step:
            case Create():
                body = volume_type_body(read_volume_type(wish.document))
                return await self._change("POST", "/types", body)
            case Remove():
                return await self._remove(wish, path)
            case Change(values):
                return await self._change("PUT", path, {"volume_type": values})
            case SetSpecs(specs):
                return await self._change("POST", f"{path}/extra_specs", {"extra_specs": specs})
            case UnsetSpec(name):
                return await self._change("DELETE", f"{path}/extra_specs/{quote(name, safe='')}")
            case Admit(project):
                body = {"addProjectAccess": {"project": project}}
                return await self._change("POST", f"{path}/action", body)
            case Expel(project):
                body = {"removeProjectAccess": {"project": project}}
                return await self._change("POST", f"{path}/action", body)
            case _:
                assert_never(step)

    async def scan(self, wishes: Sequence[WishAtPod]) -> AsyncIterator[tuple[Wish, Shown]]:
        """Yield what the pod has of these wishes, by reading its list once."""
        by_id = {known.bottom_id: wish for wish, known in wishes if known and known.bottom_id}
        by_name = {
            str(wish.document.get("name")): wish
            for wish, known in wishes
            if known is None or not known.bottom_id
        }
        async for page in self._pages():
            for item in page:
                wish = by_id.get(BottomId(str(item.get("id"))))
                wish = wish or by_name.get(str(item.get("name")))
                if wish is not None:
                    yield wish, await self._complete(item)

    async def _show(self, type_id: str) -> Shown | None:
        reply = await self._service.find(f"/types/{quote(type_id, safe='')}", _VERSION)
        return await self._complete(reply.item("volume_type")) if reply else None

    async def _change(self, method: str, path: str, body: Document | None = None) -> str:
        reply = await self._service.change(method, path, _VERSION, body)
        return reply.message if reply.status >= 300 else ""

    async def _remove(self, wish: Wish, path: str) -> str:
        reply = await self._service.try_delete(path, _VERSION)
        if reply.status == 400:
            raise StillInUse(
                f"{wish.key} cannot be removed from pod {self._service.pod.name} yet: "
                f"{reply.message}"
            )
        return reply.message if reply.status >= 300 else ""

    async def _pages(self) -> AsyncIterator[Sequence[Document]]:
        """Yield the list until a page is empty: not every Cinder says whether there are more."""
        query = {"is_public": "None", "limit": _PAGE}
        while page := (await self._service.get("/types", _VERSION, **query)).items("volume_types"):
            yield page
            query["marker"] = str(page[-1].get("id"))

    async def _complete(self, item: Document) -> Shown:
        """Return a type with those who may use it, which is not shown with it."""
        bottom_id = BottomId(str(item.get("id")))
        if item.get("is_public") is False:
            path = f"/types/{quote(bottom_id, safe='')}/os-volume-type-access"
            access = await self._service.find(path, _VERSION)
            item = {**item, "projects": _projects(access) if access else []}
        try:
            return Shown(bottom_id, read_volume_type(item))
        except ValueError as error:
            raise self._service.misread("volume type", error) from None


def _projects(access: Reply) -> list[object]:
    return [one.get("project_id") for one in access.items("volume_type_access")]


def _names(wished: VolumeType) -> Sequence[str]:
    before = wished.formerly.name if wished.formerly else wished.name
    return (wished.name,) if before == wished.name else (wished.name, before)
