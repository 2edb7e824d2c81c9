"""What the database must promise of quotas; the same rules as in ``interfaces.store``.

Everything is by service, project and, where a user has limits of its own, user. Text
is as in ``interfaces.store``; a user's id has at most ``core.quotas.MAX_USER`` characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tricircle.core.model import Pod, ProjectId, Service, TopId
from tricircle.core.quotas import Amounts, Claim, Demand, Holder, Mark, Standing


class QuotaLimits(Protocol):
    """The limits that administrators have set."""

    async def find_limits(self, holder: Holder) -> Amounts:
        """Return the limits set for a project, or for one user in it."""
        ...

    async def sum_user_limits(self, service: Service, project_id: ProjectId) -> Amounts:
        """Return the sums of the limits of all users of a project that have their own."""
        ...

    async def put_limits(self, holder: Holder, amounts: Amounts) -> None:
        """Set some limits; the others stay. Raises BadInput for text that cannot be kept."""
        ...

    async def forget_limits(self, holder: Holder) -> None:
        """Forget all limits of a user; of a project those of all its users too."""
        ...

    async def find_class(self, service: Service, name: str) -> Amounts:
        """Return the limits set for a class."""
        ...

    async def put_class(self, service: Service, name: str, amounts: Amounts) -> None:
        """Set some limits of a class; the others stay. Raises BadInput."""
        ...


class LimitLists(Protocol):
    """Whose limits are set, a page at a time."""

    async def list_holders(self, after: Holder | None, limit: int) -> Sequence[Holder]:
        """Return projects and users that have limits, by service, project and user."""
        ...

    async def list_classes(
        self, after: tuple[Service, str] | None, limit: int
    ) -> Sequence[tuple[Service, str]]:
        """Return classes that have limits, by service and name."""
        ...


class QuotaLedger(Protocol):
    """What projects use, and what is on its way to them."""

    async def find_standing(self, holder: Holder, fresh_s: float) -> Standing:
        """Return limits and usage of a project and a user; fresh if counted since ``fresh_s``."""
        ...

    async def reserve(
        self, claims: Sequence[Claim], demands: Sequence[Demand], ttl_s: float
    ) -> bool:
        """Let all numbers grow as demanded and keep the claims, or do nothing at all.

        The claims are of one holder, the demands cover all of them. False when one
        number would pass its limit or is not kept. After ``ttl_s`` no request can be
        behind the claims any more. Whoever else does so at once, on whatever
        database: no number passes its limit.
        """
        ...

    async def commit(self, claim: Claim, resource_id: TopId | None) -> bool:
        """Keep a claim with the resource that it became; without an id it cannot be freed.

        False when it had expired and was settled by a count. May be repeated.
        """
        ...

    async def release(self, claim: Claim) -> None:
        """Take a claim back: nothing came of it. May be repeated."""
        ...

    async def free(
        self, service: Service, resource_id: TopId, project_id: ProjectId | None = None
    ) -> bool:
        """Give back what a resource took, once; False when nothing is known of it.

        With ``project_id`` only what it took of that project: it may be another's now.
        """
        ...

    async def detach(self, service: Service, resource_id: TopId) -> None:
        """Forget what a resource took, without giving it back: a count sets it right."""
        ...

    async def list_claims(self, service: Service, resource_id: TopId) -> Sequence[Claim]:
        """Return what a resource has taken, oldest first; nothing when nothing is known of it."""
        ...


class QuotaCounts(Protocol):
    """Setting usage right by what the pods have."""

    async def begin_count(self, holder: Holder) -> Mark:
        """Return what is under way in a project. Before any pod is asked."""
        ...

    async def finish_count(
        self, mark: Mark, counted: Mapping[str, Amounts], is_whole: bool
    ) -> bool:
        """Set usage by what pods have shown, by user; return whether it is exact now.

        Numbers that are not kept yet are kept from now on. A count that is not whole,
        as a pod did not answer, lowers no number and settles no claim. Claims that had
        expired are settled.
        """
        ...

    async def list_due(self, older_than_s: float, limit: int) -> Sequence[Holder]:
        """Return projects with expired claims, or not counted for so long; those first."""
        ...


class PodUsage(Protocol):
    """Asks a pod what is used there."""

    async def count(self, pod: Pod, holder: Holder, request_id: str) -> Amounts:
        """Return what a project, or one user in it, uses in a pod. Raises PodError."""
        ...
