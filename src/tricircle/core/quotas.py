"""What a project may have, what it has, and what is on its way to it.

Nothing here knows which resources there are: each service names its own. What a
project uses is kept as a number for each resource, and every number changes in one
conditional step before a request leaves. Pods are counted now and then; ``settle``
says what follows from such a count while requests are under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NewType

from tricircle.core.model import ProjectId, Service

Amounts = Mapping[str, int]
"""A number for each of some resources."""

ClaimId = NewType("ClaimId", str)

UNLIMITED = -1
DEFAULT_CLASS = "default"
WHOLE = ""
"""Stands for the id of a user where all users of a project are meant."""

MAX_USER = 64
"""Characters of a user's id, as in Keystone."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose limits or usage: a project's, or one user's in it; of one service."""

    service: Service
    project_id: ProjectId
    user_id: str = WHOLE


@dataclass(frozen=True, slots=True)
class Standing:
    """What is kept of a project and of one of its users.

    ``project`` and ``user`` are the limits that were set, ``defaults`` those of the
    default class. ``used`` is by user (``WHOLE`` for the project), and holds only what
    is counted for it. ``is_fresh`` tells whether the pods were asked a moment ago.
    """

    project: Amounts = field(default_factory=dict)
    user: Amounts = field(default_factory=dict)
    defaults: Amounts = field(default_factory=dict)
    used: Mapping[str, Amounts] = field(default_factory=dict)
    is_fresh: bool = False

    def limits_user(self, resources: Iterable[str]) -> bool:
        """Tell whether the user has a limit of its own for one of these."""
        return any(resource in self.user for resource in resources)


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for a project and for one of its users; -1 is unlimited."""

    project: Amounts
    user: Amounts


@dataclass(frozen=True, slots=True)
class Counting:
    """What of a service is counted at the top; all else is checked by each pod.

    ``names`` are, and of what begins with one of ``families`` (a number for each volume
    type) what somebody limits.
    """

    service: Service
    names: tuple[str, ...]
    families: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        """Tell whether a limit of this name is held at the top."""
        return name in self.names or self.is_in_family(name)

    def is_in_family(self, name: str) -> bool:
        """Tell whether a limit is one of a family."""
        return name.startswith(self.families)

    def of(self, amounts: Amounts) -> dict[str, int]:
        """Return those of some limits that are held at the top."""
        return {name: amount for name, amount in amounts.items() if self.has(name)}

    def applies(self, standing: Standing, limits: Limits) -> bool:
        """Tell whether anybody limits what a project or its user may have, or once did."""
        limited = (*limits.project.items(), *limits.user.items())
        return bool(standing.used) or any(limit >= 0 and self.has(name) for name, limit in limited)

    def families_of(self, standing: Standing, limits: Limits) -> frozenset[str]:
        """Return what of the families is limited for a project, or once was."""
        limited = (name for name, limit in limits.project.items() if limit >= 0)
        kept = {*standing.used.get(WHOLE, ()), *limited}
        return frozenset(name for name in kept if self.is_in_family(name))


def limits_of(standing: Standing, configured: Amounts) -> Limits:
    """Return the limits that hold: those set, else the default class's, else the configured."""
    project = {**configured, **standing.defaults, **standing.project}
    return Limits(project, {**project, **standing.user})


@dataclass(frozen=True, slots=True)
class Claim:
    """What one creation takes, until it is known whether it came to be.

    ``id`` is the gateway's own. Kept with the resource's id afterwards, so that the
    resource gives back what it took.
    """

    id: ClaimId
    holder: Holder
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Demand:
    """That a number grow by ``amount`` without passing ``limit``, None for no limit."""

    user_id: str
    resource: str
    amount: int
    limit: int | None


def demands_of(
    amounts: Amounts, standing: Standing, limits: Limits, user_id: str
) -> Sequence[Demand] | None:
    """Return by how much which numbers are to grow; None when some must be counted first.

    A user's own numbers count only where limits of the user's own were set. Numbers
    that are kept grow also while they have no limit, so that they stay right. Nothing
    is counted for who has no limit and never had one.
    """
    scopes = {WHOLE: limits.project}
    if user_id and standing.limits_user(amounts):
        scopes[user_id] = limits.user
    elif user_id and user_id in standing.used:
        scopes[user_id] = dict.fromkeys(amounts, UNLIMITED)
    demands = []
    for scope, allowed in scopes.items():
        kept = standing.used.get(scope, {})
        limited = any(allowed.get(resource, UNLIMITED) >= 0 for resource in amounts)
        for resource, amount in amounts.items():
            if resource in kept:
                limit = allowed.get(resource, UNLIMITED)
                demands.append(Demand(scope, resource, amount, limit if limit >= 0 else None))
            elif limited:
                return None
    return demands


@dataclass(frozen=True, slots=True)
class Excess:
    """Which resources are too many, with the limits and the usage that it is measured by."""

    resources: Sequence[str]
    limits: Amounts
    used: Amounts


def find_excess(
    amounts: Amounts, standing: Standing, limits: Limits, user_id: str
) -> Excess | None:
    """Return what would be too many, None when all of it fits.

    As ``limit_check_project_and_user`` in nova/quota.py: where a user has numbers of
    its own they are the ones that are told.
    """
    project_used = standing.used.get(WHOLE, {})
    is_by_user = bool(user_id) and standing.limits_user(amounts)
    user_used = standing.used.get(user_id, {}) if is_by_user else {}
    overs, over_user = [], False
    for resource, amount in amounts.items():
        if _exceeds(project_used.get(resource, 0) + amount, limits.project.get(resource)):
            overs.append(resource)
        elif is_by_user and _exceeds(
            user_used.get(resource, 0) + amount, limits.user.get(resource)
        ):
            overs.append(resource)
            over_user = True
    if not overs:
        return None
    told = limits.user if over_user else limits.project
    return Excess(sorted(overs), told, user_used if is_by_user else project_used)


def _exceeds(value: int, limit: int | None) -> bool:
    return limit is not None and 0 <= limit < value


def add_up(many: Iterable[Amounts]) -> dict[str, int]:
    """Return the sums by resource."""
    total: dict[str, int] = {}
    for amounts in many:
        for resource, amount in amounts.items():
            total[resource] = total.get(resource, 0) + amount
    return total


# Counting what the pods have.


@dataclass(frozen=True, slots=True)
class Tally:
    """A number that is kept, with all that was ever taken from and given back to it."""

    used: int
    taken: int
    given: int


_NEW = Tally(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Mark:
    """What was under way just before the pods were asked.

    ``tallies`` are by user and resource, ``live`` the claims whose outcome is open,
    ``expired`` those that no request can be behind any more.
    """

    holder: Holder
    tallies: Mapping[tuple[str, str], Tally]
    live: Sequence[Claim]
    expired: Sequence[Claim]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What follows from a count.

    ``numbers`` are by user and resource, those that change or are new; ``settled`` the
    claims that are done with. ``is_exact`` tells whether nothing was under way.
    """

    numbers: Mapping[tuple[str, str], int]
    settled: Sequence[Claim]
    is_exact: bool


def settle_count(
    mark: Mark,
    counted: Mapping[str, Amounts],
    tallies: Mapping[tuple[str, str], Tally],
    opened: Sequence[Claim],
    is_whole: bool,
) -> Settlement:
    """Return what follows from what the pods have shown, by user.

    ``tallies`` and ``opened`` are the numbers, and the claims whose outcome is open, as
    they are after the pods were asked. A number that was not kept before was put there by
    another count meanwhile: all that it ever took was taken meanwhile too. A count that
    is not whole lowers nothing and settles nothing.
    """
    still_open = {claim.id for claim in opened}
    settled = [claim for claim in mark.expired if claim.id in still_open] if is_whole else []
    numbers: dict[tuple[str, str], int] = {}
    exact = is_whole
    for user_id, amounts in counted.items():
        for resource, count in amounts.items():
            key = (user_id, resource)
            expired = sum_claims(settled, *key)
            now = tallies.get(key)
            if now is None:
                under_way = sum_claims(opened, *key) - expired
                numbers[key] = count + under_way
                exact = exact and under_way == 0
                continue
            before = mark.tallies.get(key, _NEW)
            live = sum_claims(mark.live, *key)
            used = settle(count, before, now, live, expired)
            used = used if is_whole else max(used, now.used)
            if used != now.used:
                numbers[key] = used
            exact = exact and is_exact(before, now, live)
    return Settlement(numbers, settled, exact)


def sum_claims(claims: Iterable[Claim], user_id: str, resource: str) -> int:
    """Return what claims take of a resource, for a user or for the whole project."""
    return sum(
        claim.amounts.get(resource, 0)
        for claim in claims
        if user_id in (WHOLE, claim.holder.user_id)
    )


def settle(counted: int, before: Tally, now: Tally, live: int, expired: int) -> int:
    """Return what a number is to be, the pods having shown ``counted`` in the meantime.

    ``live`` and ``expired`` are the sums of claims at the beginning. What was taken or
    given back while the pods were asked they may have shown or not. So the truth lies
    between two bounds, and the number is moved into them; while nothing is under
    way, both are what the pods have shown. What has expired is in the pods or nowhere.
    """
    lowest = counted - (now.given - before.given)
    highest = counted + live + (now.taken - before.taken)
    return max(lowest, min(highest, now.used - expired), 0)


def is_exact(before: Tally, now: Tally, live: int) -> bool:
    """Tell whether nothing was under way while the pods were asked."""
    return live == 0 and (now.taken, now.given) == (before.taken, before.given)
