"""Servers that grow take more of the quota."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tricircle.compute.rules.counted_boot import flavor_id_of
from tricircle.core.bodies import check_object, read_value
from tricircle.core.errors import Forbidden, MalformedBody, PodDead, PodError
from tricircle.core.model import TopId
from tricircle.core.quotas import Amounts, Claim, Holder
from tricircle.core.server_quotas import SERVERS, exceeded
from tricircle.gateway.answers import Answer
from tricircle.gateway.hooks import ByIdHook, Call
from tricircle.usecases.quotas import Quotas, Refused
from tricircle.usecases.server_usage import FlavorSizes, ServerSizes


@dataclass(frozen=True, slots=True)
class _Growth:
    """What a resize has reserved, and for whom."""

    holder: Holder
    claims: Sequence[Claim]


class CountedActions:
    """Actions on a server; see ``gateway.hooks.ByIdHook``.

    A server grows in its pod some time after the answer. So what a resize reserved stays
    until it expires, and a count finds what the server has become. What it had is not known
    from then on, and is given back by a count too.
    """

    def __init__(
        self, inner: ByIdHook, quotas: Quotas, flavors: FlavorSizes, servers: ServerSizes
    ) -> None:
        self._inner, self._quotas = inner, quotas
        self._flavors, self._servers = flavors, servers

    async def before(self, call: Call) -> Call | Answer:
        """Return the call with what a resize takes reserved. Raises Forbidden in Nova's words."""
        prepared = await self._inner.before(call)
        if isinstance(prepared, Answer) or not call.is_callers:
            return prepared
        if _action_of(call) != "resize":
            return prepared
        growth = await self._reserve(call)
        return prepared if growth is None else replace(prepared, plan=growth)

    async def after(self, call: Call, answer: Answer) -> Answer:
        """Return the answer; what the quota says is set right by a count where it must be."""
        action, growth = _action_of(call), call.plan
        if isinstance(growth, _Growth):
            if answer.status >= 300:
                await self._release(growth)
            else:
                await self._quotas.detach(TopId(call.top_id))
        if action in _COUNTED_AFTER and answer.status < 300:
            await self._count(call, is_done=action == "confirmResize")
        return await self._inner.after(call, answer)

    async def failed(self, call: Call, error: PodError) -> Answer:
        """Return what the rule itself answers; a pod that may have acted keeps its claim."""
        if isinstance(call.plan, _Growth) and isinstance(error, PodDead):
            await self._release(call.plan)
        return await self._inner.failed(call, error)

    async def _reserve(self, call: Call) -> _Growth | None:
        inbound = call.inbound
        project = Holder(self._quotas.service, call.place.project_id)
        standing = await self._quotas.find_standing(project)
        if not SERVERS.applies(standing, self._quotas.limits_of(standing)):
            return None
        flavor_id = flavor_id_of(read_value(inbound.body, "resize.flavorRef"))
        new = await self._flavors.find(flavor_id, inbound.request_id) if flavor_id else None
        server = await self._servers.find(call.pod, TopId(call.top_id), inbound.request_id)
        if new is None or server is None:
            return None
        growth = _grown(server.size, new)
        claims = await self._take(server.holder, growth, inbound.request_id) if growth else ()
        return _Growth(server.holder, claims)

    async def _take(self, holder: Holder, growth: Amounts, request_id: str) -> Sequence[Claim]:
        standing = await self._quotas.find_standing(holder)
        result = await self._quotas.reserve(holder, [growth], standing, request_id)
        if isinstance(result, Refused):
            raise Forbidden(exceeded(result.excess, growth))
        return result

    async def _release(self, growth: _Growth) -> None:
        for claim in growth.claims:
            await self._quotas.release(claim)

    async def _count(self, call: Call, *, is_done: bool) -> None:
        """Have a counted project counted, at once when the pod is done with the server."""
        project = Holder(self._quotas.service, call.place.project_id)
        if not await self._quotas.has_numbers(project):
            return
        count = self._quotas.count_soon if is_done else self._quotas.count_later
        await count(project, call.inbound.request_id)


_COUNTED_AFTER = frozenset({"resize", "confirmResize", "revertResize"})


def _action_of(call: Call) -> str:
    try:
        return next(iter(check_object(call.inbound.body)), "")
    except MalformedBody:
        return ""


def _grown(old: Amounts, new: Amounts) -> Amounts:
    """Return what a server takes more, as ``upsize_quota_delta`` in nova/compute/utils.py."""
    return {name: new[name] - old[name] for name in old if new[name] > old[name]}
