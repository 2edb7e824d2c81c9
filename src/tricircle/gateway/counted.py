"""Creations whose quota is reserved first, and resources that give it back when they go."""

from __future__ import annotations

from dataclasses import dataclass

from tricircle.core.errors import PodError
from tricircle.core.model import Caller, Service, TopId
from tricircle.core.placing import Candidate
from tricircle.core.quotas import MAX_USER, WHOLE, Claim, Holder
from tricircle.gateway.answers import Answer
from tricircle.gateway.hooks import ByIdHook, Call, Creation
from tricircle.usecases.background import Background
from tricircle.usecases.quotas import Quotas


def find_holder(caller: Caller, service: Service) -> Holder | None:
    """Return whose quota a caller's requests fall under, None without a project."""
    if caller.project_id is None:
        return None
    user_id = str(caller.user_id) if len(caller.user_id) <= MAX_USER else WHOLE
    return Holder(service, caller.project_id, user_id)


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Who takes more than is reserved. Where ``is_late`` the pod itself knows it later."""

    holder: Holder
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class ClaimKeeper:
    """What becomes of claims once their outcome is known."""

    quotas: Quotas
    background: Background

    async def keep(self, claim: Claim, top_id: TopId | None, request_id: str) -> None:
        """Commit a claim after the answer was given: until then it counts as it is."""
        self.background.start(self.quotas.commit(claim, top_id, request_id))

    async def release(self, claim: Claim) -> None:
        """Give back what nothing took."""
        await self.quotas.release(claim)

    async def recount(self, uncounted: Uncounted, request_id: str) -> None:
        """Have a project counted after the answer was given: it took what was not reserved."""
        count = self.quotas.count_later if uncounted.is_late else self.quotas.count_soon
        self.background.start(count(uncounted.holder, request_id))


@dataclass(slots=True)
class CountedCreation:
    """A creation and what is reserved for it; see ``gateway.hooks.Creation``.

    ``keeps_id`` tells whether the claim is for one resource, which gives it back when it
    goes. Who is ``uncounted`` is counted afterwards.
    """

    keeper: ClaimKeeper
    request_id: str
    inner: Creation
    claim: Claim | None
    keeps_id: bool = True
    uncounted: Uncounted | None = None

    @property
    def body(self) -> bytes:
        """Return the body to begin from."""
        return self.inner.body

    async def place(self, candidate: Candidate, body: bytes) -> bytes:
        """Return the body as this pod needs it."""
        return await self.inner.place(candidate, body)

    async def settle(self, answer: Answer | None) -> bool:
        """Wait for what was still being made when the pod was asked."""
        return await self.inner.settle(answer)

    async def undo(self) -> None:
        """Take back what was made in a pod; what is reserved serves the next one."""
        await self.inner.undo()

    async def give_up(self) -> None:
        """Take back everything."""
        await self.inner.give_up()
        if self.claim is not None:
            await self.keeper.release(self.claim)

    async def abandon(self) -> None:
        """Leave the claim until it expires: the resource may be there."""
        await self.inner.abandon()

    async def take_back(self, top_id: str) -> None:
        """Have everything taken back of a resource that is deleted again, as of any other."""
        await self.inner.take_back(top_id)

    async def finish(self, candidate: Candidate, answer: Answer, top_id: str | None) -> Answer:
        """Let the new resource hold what was reserved for it."""
        if self.claim is not None:
            kept = TopId(top_id) if top_id is not None and self.keeps_id else None
            await self.keeper.keep(self.claim, kept, self.request_id)
        if self.uncounted is not None:
            await self.keeper.recount(self.uncounted, self.request_id)
        return await self.inner.finish(candidate, answer, top_id)


class CountedResource:
    """The row of a resource itself; see ``gateway.hooks.ByIdHook``."""

    def __init__(self, inner: ByIdHook, quotas: Quotas) -> None:
        self._inner, self._quotas = inner, quotas

    async def before(self, call: Call) -> Call | Answer:
        """Return what the rule itself makes of the call."""
        return await self._inner.before(call)

    async def after(self, call: Call, answer: Answer) -> Answer:
        """Return the answer; the owner is told that a resource is gone when its quota is free.

        For who does not wait, a job or a count does it.
        """
        if answer.status == 404 and call.is_own:
            await self._quotas.free(TopId(call.top_id), call.place.project_id)
        return await self._inner.after(call, answer)

    async def failed(self, call: Call, error: PodError) -> Answer:
        """Return what the rule itself answers."""
        return await self._inner.failed(call, error)
