"""``POST /servers``: the quota is reserved before anything is made for the servers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tricircle.core.bodies import read_value, set_value
from tricircle.core.copies import split_copies
from tricircle.core.errors import Forbidden, TricircleError
from tricircle.core.model import Caller, Service, TopId
from tricircle.core.placing import Candidate
from tricircle.core.quotas import MAX_USER, WHOLE, Claim, Holder, Limits, Standing
from tricircle.core.server_quotas import COUNTED, TooMany, Wanted, fit
from tricircle.gateway.answers import Answer
from tricircle.gateway.hooks import Batch, CreateHook, Creation, Demand
from tricircle.gateway.request import Inbound
from tricircle.usecases.background import Background
from tricircle.usecases.quotas import Quotas, Refused
from tricircle.usecases.server_usage import FlavorSizes

_MAX_COUNT = "server.max_count"
_MIN_COUNT = "server.min_count"
_LAST_STEP = re.compile(r"[^/?#]+(?=/?(?:[?#].*)?$)")


class CountedBoot:
    """Boots whose quota is reserved first; see ``gateway.hooks.CreateHook``."""

    def __init__(
        self, inner: CreateHook, quotas: Quotas, flavors: FlavorSizes, background: Background
    ) -> None:
        self._inner, self._quotas, self._flavors = inner, quotas, flavors
        self._background = background

    async def demand(self, inbound: Inbound) -> Demand:
        """Return what the boot itself demands."""
        return await self._inner.demand(inbound)

    async def begin(self, inbound: Inbound, demand: Demand) -> Batch:
        """Return the boots that the quota leaves room for. Raises Forbidden in Nova's words."""
        holder = find_holder(inbound.caller)
        if holder is None:
            return await self._inner.begin(inbound, demand)
        standing = await self._quotas.find_standing(holder)
        if not is_counted(standing, self._quotas.limits_of(standing)):
            return await self._inner.begin(inbound, demand)
        wanted = await self._read_wanted(inbound)
        if wanted is None:
            return await self._inner.begin(inbound, demand)
        is_split = read_value(inbound.body, "server.networks") != "none"
        count, claims = await self._reserve(inbound, holder, wanted, standing, is_split)
        body = _with_count(inbound.body, wanted, count)
        try:
            batch = await self._inner.begin(replace(inbound, body=body), demand)
        except TricircleError:
            for claim in claims:
                await self._quotas.release(claim)
            raise
        pairs = zip(batch.creations, claims, strict=True) if claims else ()
        keeps_id = is_split or count == 1
        counted = [
            CountedCreation(self, inbound.request_id, inner, claim, keeps_id)
            for inner, claim in pairs
        ]
        return replace(batch, creations=counted) if counted else batch

    async def _reserve(
        self,
        inbound: Inbound,
        holder: Holder,
        wanted: Wanted,
        standing: Standing,
        is_split: bool,
    ) -> tuple[int, Sequence[Claim]]:
        """Return for how many servers there is room, and their claims. Raises Forbidden."""
        while True:
            most = wanted.most
            shares = [wanted.share] * most if is_split else [wanted.times(most)]
            result = await self._quotas.reserve(holder, shares, standing, inbound.request_id)
            if not isinstance(result, Refused):
                return most, result
            fitting = fit(wanted, result.standing, result.limits, holder.user_id)
            if isinstance(fitting, TooMany):
                raise Forbidden(fitting.message)
            wanted, standing = replace(wanted, most=fitting), result.standing

    async def _read_wanted(self, inbound: Inbound) -> Wanted | None:
        """Return what a request asks for; None when the pod will say what is wrong with it."""
        flavor_id = flavor_id_of(read_value(inbound.body, "server.flavorRef"))
        size = await self._flavors.find(flavor_id, inbound.request_id) if flavor_id else None
        if size is None:
            return None
        copies = split_copies(inbound.body)
        return Wanted(copies.needed, len(copies.bodies), size)

    async def keep(self, claim: Claim, top_id: TopId | None, request_id: str) -> None:
        """Commit a claim after the answer was given: until then it counts as it is."""
        self._background.start(self._quotas.commit(claim, top_id, request_id))

    async def release(self, claim: Claim) -> None:
        """Give back what no server took."""
        await self._quotas.release(claim)


@dataclass(slots=True)
class CountedCreation:
    """A boot and what is reserved for it; see ``gateway.hooks.Creation``.

    ``keeps_id`` tells whether the claim is for one server, which gives it back when it goes.
    """

    boots: CountedBoot
    request_id: str
    inner: Creation
    claim: Claim
    keeps_id: bool

    @property
    def body(self) -> bytes:
        """Return the body to begin from."""
        return self.inner.body

    async def place(self, candidate: Candidate, body: bytes) -> bytes:
        """Return the body as this pod needs it."""
        return await self.inner.place(candidate, body)

    async def undo(self) -> None:
        """Take back what was made in a pod; what is reserved serves the next one."""
        await self.inner.undo()

    async def give_up(self) -> None:
        """Take back everything."""
        await self.inner.give_up()
        await self.boots.release(self.claim)

    async def abandon(self) -> None:
        """Leave the claim until it expires: the server may be there."""
        await self.inner.abandon()

    async def take_back(self, top_id: str) -> None:
        """Have everything taken back of a server that is deleted again, as of any other."""
        await self.inner.take_back(top_id)

    async def finish(self, candidate: Candidate, answer: Answer, top_id: str | None) -> Answer:
        """Let the new server hold what was reserved for it."""
        kept = TopId(top_id) if top_id is not None and self.keeps_id else None
        await self.boots.keep(self.claim, kept, self.request_id)
        return await self.inner.finish(candidate, answer, top_id)


def find_holder(caller: Caller) -> Holder | None:
    """Return whose quota a caller's requests fall under, None without a project."""
    if caller.project_id is None:
        return None
    user_id = str(caller.user_id) if len(caller.user_id) <= MAX_USER else WHOLE
    return Holder(Service.COMPUTE, caller.project_id, user_id)


def flavor_id_of(reference: object) -> str | None:
    """Return the id that a flavorRef names, which may be a URL; None when it is none."""
    if isinstance(reference, bool) or not isinstance(reference, str | int):
        return None
    step = _LAST_STEP.search(str(reference))
    return step[0] if step else None


def is_counted(standing: Standing, limits: Limits) -> bool:
    """Tell whether anybody limits what a project or its user may have, or once did."""
    limited = (*limits.project.items(), *limits.user.items())
    return bool(standing.used) or any(limit >= 0 for name, limit in limited if name in COUNTED)


def _with_count(body: bytes, wanted: Wanted, count: int) -> bytes:
    """Return a body that asks for so many servers."""
    if count == wanted.most:
        return body
    return set_value(set_value(body, _MIN_COUNT, wanted.least), _MAX_COUNT, count)
