"""Servers that go give back what they took of the quota."""

from __future__ import annotations

from tricircle.core.errors import PodError
from tricircle.core.model import TopId
from tricircle.gateway.answers import Answer
from tricircle.gateway.hooks import ByIdHook, Call
from tricircle.usecases.quotas import Quotas


class CountedServer:
    """The row of a server itself; see ``gateway.hooks.ByIdHook``."""

    def __init__(self, inner: ByIdHook, quotas: Quotas) -> None:
        self._inner, self._quotas = inner, quotas

    async def before(self, call: Call) -> Call | Answer:
        """Return what the rule itself makes of the call."""
        return await self._inner.before(call)

    async def after(self, call: Call, answer: Answer) -> Answer:
        """Return the answer; the owner is told that a server is gone when its quota is free.

        For who does not wait, the job does it that releases the server's ports.
        """
        if answer.status == 404 and call.inbound.caller.project_id == call.place.project_id:
            await self._quotas.free(TopId(call.top_id))
        return await self._inner.after(call, answer)

    async def failed(self, call: Call, error: PodError) -> Answer:
        """Return what the rule itself answers."""
        return await self._inner.failed(call, error)
