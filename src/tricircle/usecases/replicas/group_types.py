"""The group types of one pod."""

from __future__ import annotations

from tricircle.core.model import BottomId, Version
from tricircle.core.replica_plans import (
    Change,
    Create,
    Remove,
    SetSpecs,
    Step,
    UnsetSpec,
    group_type_body,
)
from tricircle.core.replicas import read_group_type
from tricircle.core.wishes import Replica, Wish
from tricircle.usecases.replicas.named_replicas import NamedReplicas
from tricircle.usecases.replicas.pod_service import PodService
from tricircle.usecases.replicas.replica_kind import Shown
from tricircle.usecases.replicas.spec_steps import SpecSteps, SpecWords

_VERSION = Version(3, 11)
_GROUPS = Version(3, 13)
_WORDS = SpecWords("group_specs", "group_specs")


class GroupTypes(NamedReplicas):
    """``ReplicaKind`` for group types."""

    def __init__(self, service: PodService) -> None:
        super().__init__(service, Replica.GROUP_TYPE)
        self._specs = SpecSteps(service, _VERSION, _WORDS)

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
