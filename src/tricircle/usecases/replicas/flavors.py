"""The flavors of one pod."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote

from msgspec.structs import replace

from tricircle.core.model import BottomId
from tricircle.core.replica_plans import (
    DESCRIBED,
    SPECS_SHOWN,
    Admit,
    Change,
    Create,
    Expel,
    Remove,
    SetSpecs,
    Step,
    Steps,
    UnsetSpec,
    flavor_body,
    plan_flavor,
    plan_removal,
)
from tricircle.core.replicas import Flavor, read_flavor
from tricircle.core.versions import pick_version
from tricircle.core.wishes import Document, Wish, WishKey, WishPod
from tricircle.usecases.replicas.pod_service import PodService, Reply
from tricircle.usecases.replicas.replica_kind import Shown, WishAtPod, thing_of
from tricircle.usecases.replicas.spec_steps import SpecSteps, SpecWords

_PAGE = "500"
_WORDS = SpecWords(
    "os-extra_specs", "extra_specs", "addTenantAccess", "removeTenantAccess", "tenant"
)


class Flavors:
    """``ReplicaKind`` for flavors: the id is the same in all pods."""

    def __init__(self, service: PodService) -> None:
        self._service = service
        self._version = pick_version(service.endpoint.versions, (SPECS_SHOWN, DESCRIBED))
        self._specs = SpecSteps(service, self._version, _WORDS)

    async def show(self, key: WishKey) -> Shown | None:
        """Return the flavor with an id."""
        reply = await self._service.find(_path(key.name), self._version)
        return await self._complete(reply.item("flavor")) if reply else None

    async def search(self, label: str) -> Shown | None:
        """Return the flavor with a name."""
        async for page in self._pages():
            for item in page:
                if item.get("name") == label:
                    return await self._complete(item)
        return None

    async def find(self, wish: Wish, known: WishPod | None) -> Shown | None:
        """Return the flavor of a wish."""
        return await self.show(wish.key)

    def plan(self, wish: Wish, shown: Shown | None, made: bool) -> Steps:
        """Return what makes the flavor like the wish."""
        wished, found = self._wished(wish), thing_of(shown, Flavor)
        if not wish.wanted:
            return plan_removal(wished, found, made)
        subject = f"{wish.key} ('{wished.name}') of pod {self._service.pod.name}"
        return plan_flavor(subject, wished, found, made)

    async def carry_out(self, wish: Wish, shown: Shown | None, step: Step) -> str:
        """Do a step; return '' or what the pod says."""
        path, wished = _path(wish.name), self._wished(wish)
        match step:
            case Create():
                body = flavor_body(wish.name, wished, self._version)
                return await self._change("POST", "/flavors", body)
            case Remove():
                return await self._change("DELETE", path)
            case Change(values):
                return await self._change("PUT", path, {"flavor": values})
            case SetSpecs() | UnsetSpec() | Admit() | Expel():
                return await self._specs.take(path, step)
            case _:
                raise ValueError(f"a flavor cannot be changed so: {step}")

    async def scan(self, wishes: Sequence[WishAtPod]) -> AsyncIterator[tuple[Wish, Shown]]:
        """Yield what the pod has of these wishes, by reading its list once."""
        wished = {wish.name: wish for wish, _ in wishes}
        async for page in self._pages():
            for item in page:
                wish = wished.get(str(item.get("id")))
                if wish is not None:
                    yield wish, await self._complete(item)

    async def is_used(self, bottom_id: BottomId) -> bool:
        """Tell that nothing keeps a flavor from being deleted."""
        return False

    def _wished(self, wish: Wish) -> Flavor:
        wished = read_flavor(wish.document)
        return wished if self._version >= DESCRIBED else replace(wished, description=None)

    async def _change(self, method: str, path: str, body: Document | None = None) -> str:
        return await self._service.attempt(method, path, self._version, body)

    async def _pages(self) -> AsyncIterator[Sequence[Document]]:
        query = {"is_public": "None", "limit": _PAGE}
        while True:
            reply = await self._service.get("/flavors/detail", self._version, **query)
            page = reply.items("flavors")
            yield page
            if not page or "flavors_links" not in reply.document:
                return
            query["marker"] = str(page[-1].get("id"))

    async def _complete(self, item: Document) -> Shown:
        """Return a flavor with what is not shown with it: old extra specs, and who may use it."""
        path = _path(str(item.get("id")))
        try:
            flavor = read_flavor(item)
        except ValueError as error:
            raise self._service.misread("flavor", error) from None
        if self._version < SPECS_SHOWN:
            specs = await self._service.find(f"{path}/os-extra_specs", self._version)
            item = {**item, "extra_specs": specs.item("extra_specs") if specs else {}}
        if not flavor.is_public:
            access = await self._service.find(f"{path}/os-flavor-access", self._version)
            item = {**item, "projects": _projects(access) if access else []}
        try:
            return Shown(BottomId(str(item["id"])), read_flavor(item))
        except ValueError as error:
            raise self._service.misread("flavor", error) from None


def _projects(access: Reply) -> list[object]:
    return [one.get("tenant_id") for one in access.items("flavor_access")]


def _path(flavor_id: str) -> str:
    return f"/flavors/{quote(flavor_id, safe='')}"
