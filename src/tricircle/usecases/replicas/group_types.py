"""The group types of one pod."""

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
    group_type_body,
    plan_group_type,
    plan_removal,
)
from tricircle.core.replicas import GroupType, read_group_type
from tricircle.core.wishes import Document, Replica, Wish, WishKey, WishPod
from tricircle.usecases.replicas.named_list import NamedList
from tricircle.usecases.replicas.pod_service import PodService
from tricircle.usecases.replicas.replica_kind import Shown, WishAtPod, thing_of
from tricircle.usecases.replicas.spec_steps import SpecSteps, SpecWords

_VERSION = Version(3, 11)
_GROUPS = Version(3, 13)
_WORDS = SpecWords("group_specs", "group_specs")


class GroupTypes:
    """``ReplicaKind`` for group types: each pod gives ids of its own, names are unique."""

    def __init__(self, service: PodService) -> None:
        self._service = service
        self._list = NamedList(service, Replica.GROUP_TYPE)
        self._specs = SpecSteps(service, _VERSION, _WORDS)

    async def show(self, key: WishKey) -> Shown | None:
        """Return the group type whose id in this pod is the name of the key."""
        return await self._list.show(key.name, self._read)

    async def search(self, label: str) -> Shown | None:
        """Return the group type with a name."""
        return await self._list.search(label, self._read)

    async def find(self, wish: Wish, known: WishPod | None) -> Shown | None:
        """Return the group type of a wish: by its id in the pod, else by its name now or before."""
        return await self._list.find(wish, known, self._read)

    def plan(self, wish: Wish, shown: Shown | None, made: bool) -> Steps:
        """Return what makes the group type like the wish."""
        wished, found = read_group_type(wish.document), thing_of(shown, GroupType)
        if not wish.wanted:
            return plan_removal(wished, found, made)
        subject = f"{wish.key} ('{wished.name}') of pod {self._service.pod.name}"
        return plan_group_type(subject, wished, found, made)

    async def carry_out(self, wish: Wish, shown: Shown | None, step: Step) -> str:
        """Do a step; return '' or what the pod says."""
        path = self._list.path_of(shown.bottom_id if shown else "")
        match step:
            case Create():
                body = group_type_body(read_group_type(wish.document))
                return await self._service.attempt("POST", "/group_types", _VERSION, body)
            case Remove():
                what = f"DELETE of {wish.key}"
                return await self._service.change_unused(what, "DELETE", path, _VERSION)
            case Change(values):
                body = {"group_type": values}
                return await self._service.attempt("PUT", path, _VERSION, body)
            case SetSpecs() | UnsetSpec():
                return await self._specs.take(path, step)
            case _:
                raise ValueError(f"a group type cannot be changed so: {step}")

    async def is_used(self, bottom_id: BottomId) -> bool:
        """Tell whether groups are of a type."""
        query = {"all_tenants": "1", "group_type_id": bottom_id, "limit": "1"}
        return bool((await self._service.get("/groups", _GROUPS, **query)).items("groups"))

    def scan(self, wishes: Sequence[WishAtPod]) -> AsyncIterator[tuple[Wish, Shown]]:
        """Yield what the pod has of these wishes, by reading its list once."""
        return self._list.scan(wishes, self._read)

    async def _read(self, item: Document) -> Shown:
        try:
            return Shown(BottomId(str(item.get("id"))), read_group_type(item))
        except ValueError as error:
            raise self._service.misread("group type", error) from None
