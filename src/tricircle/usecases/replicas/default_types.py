"""The default volume types of the projects of one pod."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote

from tricircle.core.model import BottomId, Kind, Version
from tricircle.core.replica_plans import (
    Create,
    Remove,
    Step,
    Steps,
    plan_default_type,
    plan_removal,
)
from tricircle.core.replicas import DefaultType, read_default_type
from tricircle.core.wishes import Document, Wish, WishKey, WishPod
from tricircle.usecases.replicas.pod_service import PodService
from tricircle.usecases.replicas.replica_kind import Shown, WishAtPod, thing_of
from tricircle.usecases.twin_ids import TwinIds

_VERSION = Version(3, 62)


class DefaultTypes:
    """``ReplicaKind`` for default types: a project has one in all pods, or none."""

    def __init__(self, service: PodService, twins: TwinIds) -> None:
        self._service, self._twins = service, twins

    async def show(self, key: WishKey) -> Shown | None:
        """Return the default type of a project.

        Cinder asks Keystone for a project that is named, which takes it seconds, and says
        nothing of one that is deleted: so all are read.
        """
        for item in await self._list():
            if item.get("project_id") == key.name:
                return await self._read(item)
        return None

    async def search(self, label: str) -> Shown | None:
        """Return nothing: a project has one default type at most."""
        return None

    async def find(self, wish: Wish, known: WishPod | None) -> Shown | None:
        """Return the default type of the project of a wish."""
        return await self.show(wish.key)

    def plan(self, wish: Wish, shown: Shown | None, made: bool) -> Steps:
        """Return what makes the default type the wished one."""
        wished, found = read_default_type(wish.document), thing_of(shown, DefaultType)
        if not wish.wanted:
            return plan_removal(wished, found, made)
        return plan_default_type(wished, found)

    async def carry_out(self, wish: Wish, shown: Shown | None, step: Step) -> str:
        """Do a step; return '' or what the pod says."""
        path, service = _path(wish.name), self._service
        match step:
            case Create():
                wished = read_default_type(wish.document).volume_type
                bottom_id = await self._twins.find_bottom(
                    Kind.VOLUME_TYPE, service.pod.id, wished, service.request_id
                )
                if bottom_id is None:
                    return f"there is no volume type {wished} yet"
                body = {"default_type": {"volume_type": bottom_id}}
                return await service.attempt("PUT", path, _VERSION, body)
            case Remove():
                return await service.attempt("DELETE", path, _VERSION)
            case _:
                raise ValueError(f"a default type cannot be changed so: {step}")

    async def is_used(self, bottom_id: BottomId) -> bool:
        """Tell that nothing keeps a default type from being taken back."""
        return False

    async def scan(self, wishes: Sequence[WishAtPod]) -> AsyncIterator[tuple[Wish, Shown]]:
        """Yield what the pod has of these wishes, by reading its list once."""
        wished = {wish.name: wish for wish, _ in wishes}
        for item in await self._list():
            wish = wished.get(str(item.get("project_id")))
            if wish is not None:
                yield wish, await self._read(item)

    async def _list(self) -> Sequence[Document]:
        reply = await self._service.get("/default-types", _VERSION)
        return reply.items("default_types")

    async def _read(self, item: Document) -> Shown:
        bottom_id = str(item.get("volume_type_id"))
        known = await self._twins.find_all(Kind.VOLUME_TYPE, bottom_id, self._service.request_id)
        volume_type = known.find_top(bottom_id) or bottom_id
        return Shown(BottomId(str(item.get("project_id"))), DefaultType(volume_type=volume_type))


def _path(project_id: str) -> str:
    return f"/default-types/{quote(project_id, safe='')}"
