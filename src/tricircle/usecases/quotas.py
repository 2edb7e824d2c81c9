"""Reserving what a request takes before it leaves, and giving it back.

    reserve   every number grows, or the request is refused
    commit    the resource is there: it holds what was reserved
    release   nothing came of it
    (nothing) the outcome is unknown: the claim stays until it expires and pods are counted

Usage that nobody has counted yet is counted first. Nobody is refused by a number that
may be out of date: pods are counted once more before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tricircle.core.errors import ServiceUnavailable, TricircleError
from tricircle.core.jobs import CountUsage
from tricircle.core.model import ProjectId, Service, TopId
from tricircle.core.quotas import (
    WHOLE,
    Amounts,
    Claim,
    ClaimId,
    Excess,
    Holder,
    Limits,
    Standing,
    add_up,
    demands_of,
    find_excess,
    limits_of,
)
from tricircle.interfaces.quotas import QuotaLedger
from tricircle.usecases.counting import UsageCount
from tricircle.usecases.leftovers import Leftovers

log = logging.getLogger(__name__)

FRESH_S = 5.0
"""Seconds for which a count is good enough to refuse somebody."""

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Refused:
    """That not all of it fits, and why."""

    standing: Standing
    limits: Limits
    excess: Excess


@dataclass(frozen=True, slots=True)
class QuotaOptions:
    """``configured`` holds where nobody set a limit; after ``ttl_s`` no request is under way."""

    service: Service
    configured: Amounts
    ttl_s: float


class Quotas:
    """The quotas of one service. One for each process."""

    def __init__(
        self,
        options: QuotaOptions,
        ledger: QuotaLedger,
        counting: UsageCount,
        leftovers: Leftovers,
        new_id: Callable[[], str],
    ) -> None:
        self._options, self._ledger = options, ledger
        self._counting, self._leftovers, self._new_id = counting, leftovers, new_id

    @property
    def service(self) -> Service:
        """Return whose quotas these are."""
        return self._options.service

    async def find_standing(self, holder: Holder) -> Standing:
        """Return what is kept of a project and a user. Raises ServiceUnavailable."""
        return await self._ledger.find_standing(holder, FRESH_S)

    def limits_of(self, standing: Standing) -> Limits:
        """Return the limits that hold."""
        return limits_of(standing, self._options.configured)

    async def reserve(
        self, holder: Holder, shares: Sequence[Amounts], standing: Standing, request_id: str
    ) -> Sequence[Claim] | Refused:
        """Return one claim for each share, or none at all where nothing is counted.

        ``standing`` is what ``find_standing`` has just returned. Raises ServiceUnavailable.
        """
        total = add_up(shares)
        for _ in range(_ATTEMPTS):
            limits = self.limits_of(standing)
            counted = holder if standing.limits_user(total) else replace(holder, user_id=WHOLE)
            demands = demands_of(total, standing, limits, holder.user_id)
            excess = find_excess(total, standing, limits, holder.user_id)
            if demands is None:
                await self._count_first(counted, request_id)
            elif not demands:
                return ()
            elif excess is None:
                claims = [Claim(ClaimId(self._new_id()), holder, share) for share in shares]
                if await self._ledger.reserve(claims, demands, self._options.ttl_s):
                    return claims
            elif standing.is_fresh:
                return Refused(standing, limits, excess)
            else:
                await self._counting.count(counted, request_id)
            standing = await self.find_standing(holder)
        raise ServiceUnavailable("too many requests change this project's usage; please retry")

    async def commit(self, claim: Claim, resource_id: TopId | None, request_id: str) -> None:
        """Let a resource hold what was reserved for it. Never raises: a count sets it right."""
        try:
            if await self._ledger.commit(claim, resource_id):
                return
        except TricircleError as error:
            log.warning("claim not yet committed", extra={"id": claim.id, "reason": str(error)})
            return
        await self._leftovers.hand_over([_job(claim.holder)], request_id)

    async def release(self, claim: Claim) -> None:
        """Give back what was reserved. Never raises: else it expires."""
        try:
            await self._ledger.release(claim)
        except TricircleError as error:
            log.warning("claim not yet released", extra={"id": claim.id, "reason": str(error)})

    async def free(self, resource_id: TopId, project_id: ProjectId) -> None:
        """Give back what a resource held that a project has no more.

        What it takes of another project by now stays. Never raises: a count sets it right.
        """
        try:
            await self._ledger.free(self._options.service, resource_id, project_id)
        except TricircleError as error:
            log.warning("quota not yet freed", extra={"id": resource_id, "reason": str(error)})

    async def detach(self, resource_id: TopId) -> None:
        """Forget what a resource took: it is not that any more. Never raises."""
        try:
            await self._ledger.detach(self._options.service, resource_id)
        except TricircleError as error:
            log.warning("quota not yet right", extra={"id": resource_id, "reason": str(error)})

    async def has_numbers(self, holder: Holder) -> bool:
        """Tell whether a project is counted. Never raises: False when that cannot be known."""
        try:
            return bool((await self.find_standing(holder)).used)
        except ServiceUnavailable as error:
            facts = {"project": holder.project_id, "reason": str(error)}
            log.warning("quota not yet right", extra=facts)
            return False

    async def count_soon(self, holder: Holder, request_id: str) -> None:
        """Have a project counted by a job: something changed that was not reserved."""
        await self._leftovers.hand_over([_job(holder)], request_id)

    async def count_later(self, holder: Holder, request_id: str) -> None:
        """Have it counted when nothing of this request can be under way any more."""
        await self._leftovers.hand_over_later([_job(holder)], request_id)

    async def _count_first(self, holder: Holder, request_id: str) -> None:
        """Count a project that has no numbers yet.

        What is under way meanwhile, and was not reserved as there were no limits, is seen
        by the job that counts again when it must be done.
        """
        is_whole = await self._counting.count(holder, request_id)
        await self._leftovers.hand_over_later([_job(holder)], request_id)
        if not is_whole:
            await self._leftovers.hand_over([_job(holder)], request_id)


def _job(holder: Holder) -> CountUsage:
    whole = replace(holder, user_id=WHOLE)
    return CountUsage(whole.service.value, whole.project_id)
