"""Limits, usage and claims in the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tricircle.adapters.sql.database import AnyRow, Database
from tricircle.adapters.sql.statements import quotas as statements
from tricircle.core.conflicts import require_storable_holder
from tricircle.core.model import ProjectId, Service, TopId
from tricircle.core.quotas import (
    WHOLE,
    Amounts,
    Claim,
    ClaimId,
    Demand,
    Holder,
    Mark,
    Standing,
    Tally,
    settle_count,
)
from tricircle.core.texts import is_storable, require_storable


class SqlQuotaLimits:
    """``interfaces.quotas.QuotaLimits`` and ``LimitLists`` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_limits(self, holder: Holder) -> Amounts:
        """Return the limits set for a project, or for one user in it."""
        if not is_storable(holder.project_id) or not is_storable(holder.user_id):
            return {}
        return _read_pairs(await self._database.read(statements.find_limits(holder)))

    async def sum_user_limits(self, service: Service, project_id: ProjectId) -> Amounts:
        """Return the sums of the limits of all users of a project that have their own."""
        if not is_storable(project_id):
            return {}
        summing = statements.sum_user_limits(service, project_id)
        return _read_pairs(await self._database.read(summing))

    async def put_limits(self, holder: Holder, amounts: Amounts) -> None:
        """Set some limits; the others stay."""
        require_storable_holder(holder)
        backend = self._database.backend

        async def work(connection: AsyncConnection) -> None:
            for resource in sorted(amounts):
                putting = statements.put_limit(backend, holder, resource, amounts[resource])
                await connection.execute(putting)

        if amounts:
            await self._database.transact(work)

    async def forget_limits(self, holder: Holder) -> None:
        """Forget all limits of a user; of a project those of all its users too."""
        if is_storable(holder.project_id) and is_storable(holder.user_id):
            await self._database.write(statements.forget_limits(holder))

    async def find_class(self, service: Service, name: str) -> Amounts:
        """Return the limits set for a class."""
        if not is_storable(name):
            return {}
        return _read_pairs(await self._database.read(statements.find_class(service, name)))

    async def put_class(self, service: Service, name: str, amounts: Amounts) -> None:
        """Set some limits of a class; the others stay."""
        require_storable("the name of the class", name)
        backend = self._database.backend

        async def work(connection: AsyncConnection) -> None:
            for resource in sorted(amounts):
                amount = amounts[resource]
                putting = statements.put_class(backend, service, name, resource, amount)
                await connection.execute(putting)

        if amounts:
            await self._database.transact(work)

    async def list_holders(self, after: Holder | None, limit: int) -> Sequence[Holder]:
        """Return projects and users that have limits, by service, project and user."""
        rows = await self._database.read(statements.list_holders(after, limit))
        return [Holder(Service(str(row[0])), ProjectId(str(row[1])), str(row[2])) for row in rows]

    async def list_classes(
        self, after: tuple[Service, str] | None, limit: int
    ) -> Sequence[tuple[Service, str]]:
        """Return classes that have limits, by service and name."""
        rows = await self._database.read(statements.list_classes(after, limit))
        return [(Service(str(row[0])), str(row[1])) for row in rows]


class _DoesNotFit(Exception):
    """A number would pass its limit: the transaction is taken back."""


class SqlQuotaLedger:
    """``interfaces.quotas.QuotaLedger`` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_standing(self, holder: Holder, fresh_s: float) -> Standing:
        """Return limits and usage of a project and a user; fresh if counted since ``fresh_s``."""
        if not is_storable(holder.project_id) or not is_storable(holder.user_id):
            return Standing()
        rows = await self._database.read(statements.find_standing(holder, fresh_s))
        return _read_standing(rows, holder)

    async def reserve(
        self, claims: Sequence[Claim], demands: Sequence[Demand], ttl_s: float
    ) -> bool:
        """Let all numbers grow as demanded and keep the claims, or do nothing at all."""
        holder = claims[0].holder
        require_storable_holder(holder)

        async def work(connection: AsyncConnection) -> None:
            taking = await connection.execute(statements.take(holder, demands))
            if taking.rowcount != len(demands):
                raise _DoesNotFit
            await connection.execute(statements.add_claims(claims, ttl_s))

        try:
            await self._database.transact(work)
        except _DoesNotFit:
            return False
        except IntegrityError:
            # the connection was lost after the commit, and this was the second try
            return True
        return True

    async def commit(self, claim: Claim, resource_id: TopId | None) -> bool:
        """Keep a claim with the resource that it became; without an id it cannot be freed."""
        if resource_id is None or not is_storable(resource_id):
            return bool(await self._database.write(statements.forget_claim(claim.id)))
        return bool(await self._database.write(statements.keep_claim(claim.id, resource_id)))

    async def release(self, claim: Claim) -> None:
        """Take a claim back: nothing came of it."""

        async def work(connection: AsyncConnection) -> None:
            forgetting = await connection.execute(statements.forget_claim(claim.id))
            if forgetting.rowcount:
                await connection.execute(statements.give_back(claim, was_made=False))

        await self._database.transact(work)

    async def free(
        self, service: Service, resource_id: TopId, project_id: ProjectId | None = None
    ) -> bool:
        """Give back what a resource took, of one project alone; False when it took nothing."""
        if not is_storable(resource_id):
            return False
        held = service, resource_id, project_id

        async def work(connection: AsyncConnection) -> bool:
            locking = await connection.execute(statements.lock_claims_of(*held))
            if not locking.rowcount:
                return False
            found = await connection.execute(statements.list_claims_of(*held))
            claims = [_read_claim(row) for row in found.all()]
            await connection.execute(statements.forget_claims_of(*held))
            for claim in claims:
                await connection.execute(statements.give_back(claim, was_made=True))
            return bool(claims)

        return await self._database.transact(work)

    async def detach(self, service: Service, resource_id: TopId) -> None:
        """Forget what a resource took, without giving it back: a count sets it right."""
        if is_storable(resource_id):
            await self._database.write(statements.forget_claims_of(service, resource_id))

    async def list_claims(self, service: Service, resource_id: TopId) -> Sequence[Claim]:
        """Return what a resource has taken, oldest first; nothing when nothing is known of it."""
        if not is_storable(resource_id):
            return ()
        rows = await self._database.read(statements.list_claims_of(service, resource_id))
        return [_read_claim(row) for row in rows]


class SqlQuotaCounts:
    """``interfaces.quotas.QuotaCounts`` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin_count(self, holder: Holder) -> Mark:
        """Return what is under way in a project. Before any pod is asked."""
        # in this order: a claim that is missed here is in the numbers, and in its pod
        tallies = _read_tallies(await self._database.read(statements.list_tallies(holder)))
        rows = await self._database.read(statements.list_open_claims(holder))
        live = [_read_claim(row) for row in rows if not row[-1]]
        expired = [_read_claim(row) for row in rows if row[-1]]
        return Mark(holder, tallies, live, expired)

    async def finish_count(
        self, mark: Mark, counted: Mapping[str, Amounts], is_whole: bool
    ) -> bool:
        """Set usage by what pods have shown, by user; return whether it is exact now."""
        require_storable_holder(mark.holder)

        async def work(connection: AsyncConnection) -> bool:
            return await self._settle(connection, mark, counted, is_whole)

        return await self._database.transact(work)

    async def list_due(self, older_than_s: float, limit: int) -> Sequence[Holder]:
        """Return projects with expired claims, or not counted for so long; those first."""
        rows = await self._database.read(statements.list_expired(limit))
        rows += await self._database.read(statements.list_long_uncounted(older_than_s, limit))
        found = dict.fromkeys((str(row[0]), str(row[1])) for row in rows)
        return [Holder(Service(service), ProjectId(project)) for service, project in found][:limit]

    async def _settle(
        self,
        connection: AsyncConnection,
        mark: Mark,
        counted: Mapping[str, Amounts],
        is_whole: bool,
    ) -> bool:
        holder, backend = mark.holder, self._database.backend
        await connection.execute(statements.mark_counted(holder))
        rows = await connection.execute(statements.lock_tallies(holder))
        tallies = _read_tallies(list(rows.all()))
        rows = await connection.execute(statements.list_open_claims(holder))
        opened = [_read_claim(row) for row in rows.all()]
        settlement = settle_count(mark, counted, tallies, opened, is_whole)
        for claim in settlement.settled:
            await connection.execute(statements.forget_claim(claim.id))
        for key, used in sorted(settlement.numbers.items()):
            setting = (
                statements.set_used(holder, *key, used)
                if key in tallies
                else statements.add_number(backend, holder, *key, used)
            )
            await connection.execute(setting)
        return settlement.is_exact


def _read_pairs(rows: Sequence[AnyRow]) -> Amounts:
    return {str(row[0]): int(str(row[1])) for row in rows}


def _read_standing(rows: Sequence[AnyRow], holder: Holder) -> Standing:
    limits: dict[str, dict[str, int]] = defaultdict(dict)
    used: dict[str, dict[str, int]] = defaultdict(dict)
    defaults: dict[str, int] = {}
    fresh: list[bool] = []
    for row in rows:
        table, user_id, resource, amount = str(row[0]), str(row[1]), str(row[2]), int(str(row[3]))
        if table == statements.LIMIT:
            limits[user_id][resource] = amount
        elif table == statements.CLASS:
            defaults[resource] = amount
        else:
            used[user_id][resource] = amount
            fresh.append(bool(row[4]))
    user = limits.get(holder.user_id, {}) if holder.user_id != WHOLE else {}
    return Standing(limits.get(WHOLE, {}), user, defaults, dict(used), bool(fresh) and all(fresh))


def _read_tallies(rows: Sequence[AnyRow]) -> Mapping[tuple[str, str], Tally]:
    return {
        (str(row[0]), str(row[1])): Tally(int(str(row[2])), int(str(row[3])), int(str(row[4])))
        for row in rows
    }


def _read_claim(row: AnyRow) -> Claim:
    holder = Holder(Service(str(row[1])), ProjectId(str(row[2])), str(row[3]))
    return Claim(ClaimId(str(row[0])), holder, statements.read_amounts(str(row[4])))
