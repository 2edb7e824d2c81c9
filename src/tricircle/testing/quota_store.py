"""Quotas in memory; see ``testing.store``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tricircle.core.conflicts import require_storable_holder
from tricircle.core.model import ProjectId, Service, TopId
from tricircle.core.quotas import (
    DEFAULT_CLASS,
    WHOLE,
    Amounts,
    Claim,
    ClaimId,
    Demand,
    Holder,
    Mark,
    Standing,
    Tally,
    add_up,
    settle_count,
)
from tricircle.core.texts import require_storable
from tricircle.testing.routing_store import Now


@dataclass(frozen=True, slots=True)
class _Kept:
    """A claim as it is kept."""

    claim: Claim
    expires_at: datetime | None
    resource_id: TopId | None = None


@dataclass(slots=True)
class QuotaTables:
    """Limits by holder and by class, numbers by holder and resource, claims by id."""

    limits: dict[Holder, dict[str, int]] = field(default_factory=dict)
    classes: dict[tuple[Service, str], dict[str, int]] = field(default_factory=dict)
    numbers: dict[tuple[Holder, str], Tally] = field(default_factory=dict)
    counted_at: dict[tuple[Holder, str], datetime] = field(default_factory=dict)
    claims: dict[ClaimId, _Kept] = field(default_factory=dict)

    def open_claims(self, holder: Holder) -> list[_Kept]:
        """Return a project's claims whose outcome is open."""
        return [
            kept
            for kept in self.claims.values()
            if kept.expires_at is not None and _whole(kept.claim.holder) == _whole(holder)
        ]

    def tallies(self, holder: Holder) -> Mapping[tuple[str, str], Tally]:
        """Return a project's numbers by user and resource."""
        return {
            (key.user_id, resource): tally
            for (key, resource), tally in self.numbers.items()
            if _whole(key) == _whole(holder)
        }

    def give_back(self, claim: Claim, was_made: bool) -> None:
        """Lower whatever numbers are kept."""
        for user_id in {WHOLE, claim.holder.user_id}:
            for resource, amount in claim.amounts.items():
                key = (replace(claim.holder, user_id=user_id), resource)
                old = self.numbers.get(key)
                if old is not None:
                    given = old.given + (amount if was_made else 0)
                    self.numbers[key] = Tally(max(0, old.used - amount), old.taken, given)


class MemoryQuotaLimits:
    """``interfaces.quotas.QuotaLimits`` and ``LimitLists`` in memory."""

    def __init__(self, tables: QuotaTables) -> None:
        self._tables = tables

    async def find_limits(self, holder: Holder) -> Amounts:
        """Return the limits set for a project, or for one user in it."""
        return dict(self._tables.limits.get(holder, {}))

    async def sum_user_limits(self, service: Service, project_id: ProjectId) -> Amounts:
        """Return the sums of the limits of all users of a project that have their own."""
        project = Holder(service, project_id)
        limits = self._tables.limits.items()
        return add_up(one for key, one in limits if key != project and _whole(key) == project)

    async def put_limits(self, holder: Holder, amounts: Amounts) -> None:
        """Set some limits; the others stay."""
        require_storable_holder(holder)
        self._tables.limits.setdefault(holder, {}).update(amounts)

    async def forget_limits(self, holder: Holder) -> None:
        """Forget all limits of a user; of a project those of all its users too."""
        for key in list(self._tables.limits):
            if key == holder or _whole(key) == holder:
                del self._tables.limits[key]

    async def find_class(self, service: Service, name: str) -> Amounts:
        """Return the limits set for a class."""
        return dict(self._tables.classes.get((service, name), {}))

    async def put_class(self, service: Service, name: str, amounts: Amounts) -> None:
        """Set some limits of a class; the others stay."""
        require_storable("the name of the class", name)
        self._tables.classes.setdefault((service, name), {}).update(amounts)

    async def list_holders(self, after: Holder | None, limit: int) -> Sequence[Holder]:
        """Return projects and users that have limits, by service, project and user."""
        held = (holder for holder, limits in self._tables.limits.items() if limits)
        found = sorted(held, key=_rank)
        return [one for one in found if after is None or _rank(one) > _rank(after)][:limit]

    async def list_classes(
        self, after: tuple[Service, str] | None, limit: int
    ) -> Sequence[tuple[Service, str]]:
        """Return classes that have limits, by service and name."""
        found = sorted(key for key, limits in self._tables.classes.items() if limits)
        return [one for one in found if after is None or one > after][:limit]


def _rank(holder: Holder) -> tuple[str, str, str]:
    return (holder.service.value, holder.project_id, holder.user_id)


class MemoryQuotaLedger:
    """``interfaces.quotas.QuotaLedger`` in memory."""

    def __init__(self, tables: QuotaTables, now: Now) -> None:
        self._tables, self._now = tables, now

    async def find_standing(self, holder: Holder, fresh_s: float) -> Standing:
        """Return limits and usage of a project and a user; fresh if counted since ``fresh_s``."""
        tables, project = self._tables, _whole(holder)
        used: dict[str, dict[str, int]] = {}
        for (user_id, resource), tally in tables.tallies(holder).items():
            if user_id in (WHOLE, holder.user_id):
                used.setdefault(user_id, {})[resource] = tally.used
        oldest = self._now() - timedelta(seconds=fresh_s)
        times = [
            tables.counted_at[replace(holder, user_id=user_id), resource]
            for user_id, amounts in used.items()
            for resource in amounts
        ]
        return Standing(
            dict(tables.limits.get(project, {})),
            dict(tables.limits.get(holder, {})) if holder.user_id else {},
            dict(tables.classes.get((holder.service, DEFAULT_CLASS), {})),
            used,
            bool(times) and all(time > oldest for time in times),
        )

    async def reserve(
        self, claims: Sequence[Claim], demands: Sequence[Demand], ttl_s: float
    ) -> bool:
        """Let all numbers grow as demanded and keep the claims, or do nothing at all."""
        holder, numbers = claims[0].holder, self._tables.numbers
        require_storable_holder(holder)
        for demand in demands:
            old = numbers.get((replace(holder, user_id=demand.user_id), demand.resource))
            if old is None:
                return False
            if demand.limit is not None and old.used + demand.amount > demand.limit:
                return False
        for demand in demands:
            key = (replace(holder, user_id=demand.user_id), demand.resource)
            old = numbers[key]
            numbers[key] = Tally(old.used + demand.amount, old.taken + demand.amount, old.given)
        until = self._now() + timedelta(seconds=ttl_s)
        self._tables.claims.update({claim.id: _Kept(claim, until) for claim in claims})
        return True

    async def commit(self, claim: Claim, resource_id: TopId | None) -> bool:
        """Keep a claim with the resource that it became; without an id it cannot be freed."""
        kept = self._tables.claims.get(claim.id)
        if kept is None:
            return False
        if resource_id is None:
            del self._tables.claims[claim.id]
            return True
        self._tables.claims[claim.id] = _Kept(claim, None, resource_id)
        return True

    async def release(self, claim: Claim) -> None:
        """Take a claim back: nothing came of it."""
        kept = self._tables.claims.get(claim.id)
        if kept is not None and kept.expires_at is not None:
            del self._tables.claims[claim.id]
            self._tables.give_back(claim, was_made=False)

    async def free(
        self, service: Service, resource_id: TopId, project_id: ProjectId | None = None
    ) -> bool:
        """Give back what a resource took, of one project alone; False when it took nothing."""
        held = self._of(service, resource_id)
        found = [one for one in held if project_id in (None, one.holder.project_id)]
        for claim in found:
            del self._tables.claims[claim.id]
            self._tables.give_back(claim, was_made=True)
        return bool(found)

    async def detach(self, service: Service, resource_id: TopId) -> None:
        """Forget what a resource took, without giving it back: a count sets it right."""
        for claim in self._of(service, resource_id):
            del self._tables.claims[claim.id]

    async def list_claims(self, service: Service, resource_id: TopId) -> Sequence[Claim]:
        """Return what a resource has taken, oldest first; nothing when nothing is known of it."""
        return self._of(service, resource_id)

    def _of(self, service: Service, resource_id: TopId) -> list[Claim]:
        return [
            kept.claim
            for kept in self._tables.claims.values()
            if kept.resource_id == resource_id and kept.claim.holder.service is service
        ]


class MemoryQuotaCounts:
    """``interfaces.quotas.QuotaCounts`` in memory."""

    def __init__(self, tables: QuotaTables, now: Now) -> None:
        self._tables, self._now = tables, now

    async def begin_count(self, holder: Holder) -> Mark:
        """Return what is under way in a project. Before any pod is asked."""
        now, opened = self._now(), self._tables.open_claims(holder)
        expired = [one for one in opened if one.expires_at is not None and one.expires_at <= now]
        return Mark(
            _whole(holder),
            self._tables.tallies(holder),
            [one.claim for one in opened if one not in expired],
            [one.claim for one in expired],
        )

    async def finish_count(
        self, mark: Mark, counted: Mapping[str, Amounts], is_whole: bool
    ) -> bool:
        """Set usage by what pods have shown, by user; return whether it is exact now."""
        require_storable_holder(mark.holder)
        tables, holder = self._tables, mark.holder
        tallies = tables.tallies(holder)
        opened = [kept.claim for kept in tables.open_claims(holder)]
        settlement = settle_count(mark, counted, tallies, opened, is_whole)
        for claim in settlement.settled:
            del tables.claims[claim.id]
        for (user_id, resource), used in settlement.numbers.items():
            old = tallies.get((user_id, resource), Tally(0, 0, 0))
            key = (replace(holder, user_id=user_id), resource)
            tables.numbers[key] = replace(old, used=used)
        for user_id, resource in tables.tallies(holder):
            tables.counted_at[replace(holder, user_id=user_id), resource] = self._now()
        return settlement.is_exact

    async def list_due(self, older_than_s: float, limit: int) -> Sequence[Holder]:
        """Return projects with expired claims, or not counted for so long; those first."""
        now = self._now()
        due = [
            _whole(kept.claim.holder)
            for kept in self._tables.claims.values()
            if kept.expires_at is not None and kept.expires_at <= now
        ]
        oldest = now - timedelta(seconds=older_than_s)
        times = sorted(self._tables.counted_at.items(), key=lambda item: item[1])
        due += [_whole(holder) for (holder, _), time in times if time <= oldest]
        return list(dict.fromkeys(due))[:limit]


def _whole(holder: Holder) -> Holder:
    return replace(holder, user_id=WHOLE)
