"""The key pairs of one pod. Their private halves are never seen here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from urllib.parse import quote

from tricircle.core.errors import PodTimeout
from tricircle.core.model import BottomId, Version
from tricircle.core.replica_plans import (
    KEYPAIR_PAGES,
    OF_OTHERS,
    Create,
    Remove,
    Step,
    Steps,
    keypair_body,
    keypair_versions,
    plan_keypair,
    plan_removal,
)
from tricircle.core.replicas import KeyPair, read_keypair
from tricircle.core.versions import pick_version
from tricircle.core.wishes import Document, Wish, WishKey, WishPod
from tricircle.usecases.fanout import Failed, fan_out
from tricircle.usecases.replicas.pod_service import PodService
from tricircle.usecases.replicas.replica_kind import Shown, WishAtPod, thing_of

_PAGE = "500"
_OWNERS_AT_ONCE = 8
_SCAN_S = 120.0
"""Seconds in which the lists of all owners of a page of wishes must be read."""


class KeyPairs:
    """``ReplicaKind`` for key pairs: user and name are the same in all pods."""

    def __init__(self, service: PodService) -> None:
        self._service = service

    async def show(self, key: WishKey) -> Shown | None:
        """Return the key pair of a user with a name."""
        version = self._version(OF_OTHERS)
        reply = await self._service.find(_path(key.name), version, user_id=key.owner)
        return self._read(reply.item("keypair")) if reply else None

    async def search(self, label: str) -> Shown | None:
        """Return nothing: the name of a key pair is its id."""
        return None

    async def find(self, wish: Wish, known: WishPod | None) -> Shown | None:
        """Return the key pair of a wish."""
        return await self.show(wish.key)

    def plan(self, wish: Wish, shown: Shown | None, made: bool) -> Steps:
        """Return what makes the key pair like the wish."""
        wished, found = read_keypair(wish.document), thing_of(shown, KeyPair)
        if not wish.wanted:
            return plan_removal(wished, found, made)
        return plan_keypair(f"{wish.key} in pod {self._service.pod.name}", wished, found, made)

    async def carry_out(self, wish: Wish, shown: Shown | None, step: Step) -> str:
        """Do a step; return '' or what the pod says."""
        match step:
            case Create():
                body = keypair_body(wish.owner, read_keypair(wish.document))
                version = self._version(*keypair_versions(wish.name))
                reply = await self._service.change("POST", "/os-keypairs", version, body)
            case Remove():
                version = self._version(OF_OTHERS)
                reply = await self._service.change(
                    "DELETE", _path(wish.name), version, user_id=wish.owner
                )
            case _:
                raise ValueError(f"a key pair cannot be changed: {step}")
        return reply.message if reply.status >= 300 else ""

    async def is_used(self, bottom_id: BottomId) -> bool:
        """Tell that nothing keeps a key pair from being deleted."""
        return False

    async def scan(self, wishes: Sequence[WishAtPod]) -> AsyncIterator[tuple[Wish, Shown]]:
        """Yield what the pod has of these wishes, by reading the list of each owner once."""
        owned: dict[str, dict[str, Wish]] = defaultdict(dict)
        for wish, _ in wishes:
            owned[wish.owner][wish.name] = wish
        calls = {owner: partial(self._scan, owner, wished) for owner, wished in owned.items()}
        outcomes = await fan_out(calls, timeout_s=_SCAN_S, concurrency=_OWNERS_AT_ONCE)
        for outcome in outcomes.values():
            if isinstance(outcome, Failed):
                raise self._unread(outcome)
            for found in outcome.value:
                yield found

    async def _scan(self, owner: str, wished: Mapping[str, Wish]) -> Sequence[tuple[Wish, Shown]]:
        """Return what an owner has of these wishes."""
        return [
            (wished[name], self._read(item))
            async for page in self._pages(owner)
            for item in page
            if (name := str(item.get("name"))) in wished
        ]

    def _unread(self, failed: Failed) -> Exception:
        if not isinstance(failed.error, TimeoutError):
            return failed.error
        pod = self._service.pod
        return PodTimeout(pod.id, f"pod {pod.name} did not list its key pairs in time")

    def _version(self, *wanted: Version) -> Version:
        return pick_version(self._service.endpoint.versions, wanted)

    async def _pages(self, owner: str) -> AsyncIterator[Sequence[Document]]:
        version = self._version(KEYPAIR_PAGES, OF_OTHERS)
        query = {"user_id": owner}
        if version >= KEYPAIR_PAGES:
            query["limit"] = _PAGE
        while True:
            reply = await self._service.get("/os-keypairs", version, **query)
            page = [
                one
                for each in reply.items("keypairs")
                if isinstance(one := each.get("keypair"), dict)
            ]
            yield page
            if not page or "keypairs_links" not in reply.document:
                return
            query["marker"] = str(page[-1].get("name"))

    def _read(self, item: Document) -> Shown:
        try:
            found = read_keypair(item)
        except ValueError as error:
            raise self._service.misread("key pair", error) from None
        return Shown(BottomId(found.name), found)


def _path(name: str) -> str:
    return f"/os-keypairs/{quote(name, safe='')}"
