"""``POST /servers``: the quota is reserved before anything is made for the servers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tricircle.core.bodies import read_value, set_value
from tricircle.core.copies import split_copies
from tricircle.core.errors import Forbidden, TricircleError
from tricircle.core.quotas import Claim, Holder, Standing
from tricircle.core.server_quotas import SERVERS, TooMany, Wanted, fit
from tricircle.gateway.counted import ClaimKeeper, CountedCreation, find_holder
from tricircle.gateway.hooks import Batch, CreateHook, Demand
from tricircle.gateway.request import Inbound
from tricircle.usecases.quotas import Refused
from tricircle.usecases.server_usage import FlavorSizes

_MAX_COUNT = "server.max_count"
_MIN_COUNT = "server.min_count"
_LAST_STEP = re.compile(r"[^/?#]+(?=/?(?:[?#].*)?$)")


class CountedBoot:
    """Boots whose quota is reserved first; see ``gateway.hooks.CreateHook``."""

    def __init__(self, inner: CreateHook, keeper: ClaimKeeper, flavors: FlavorSizes) -> None:
        self._inner, self._keeper, self._flavors = inner, keeper, flavors
        self._quotas = keeper.quotas

    async def demand(self, inbound: Inbound) -> Demand:
        """Return what the boot itself demands."""
        return await self._inner.demand(inbound)

    async def begin(self, inbound: Inbound, demand: Demand) -> Batch:
        """Return the boots that the quota leaves room for. Raises Forbidden in Nova's words."""
        holder = find_holder(inbound.caller, self._quotas.service)
        if holder is None:
            return await self._inner.begin(inbound, demand)
        standing = await self._quotas.find_standing(holder)
        if not SERVERS.applies(standing, self._quotas.limits_of(standing)):
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
            CountedCreation(self._keeper, inbound.request_id, inner, claim, keeps_id)
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


def flavor_id_of(reference: object) -> str | None:
    """Return the id that a flavorRef names, which may be a URL; None when it is none."""
    if isinstance(reference, bool) or not isinstance(reference, str | int):
        return None
    step = _LAST_STEP.search(str(reference))
    return step[0] if step else None


def _with_count(body: bytes, wanted: Wanted, count: int) -> bytes:
    """Return a body that asks for so many servers."""
    if count == wanted.most:
        return body
    return set_value(set_value(body, _MIN_COUNT, wanted.least), _MAX_COUNT, count)
