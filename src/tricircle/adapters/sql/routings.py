"""The routing table in the database: lookups, and claims that act as locks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tricircle.adapters.sql.columns import as_utc
from tricircle.adapters.sql.database import Database
from tricircle.adapters.sql.lookup import Lookup, RawRow
from tricircle.adapters.sql.statements import routings as statements
from tricircle.adapters.sql.statements.pods import find_pods
from tricircle.core.conflicts import taken_bottom, unknown_pod
from tricircle.core.errors import Conflict, NotFound, TwinBusy
from tricircle.core.model import (
    BottomId,
    Kind,
    Origin,
    PodId,
    ProjectId,
    Routing,
    RoutingState,
    TopId,
)
from tricircle.core.texts import is_storable, require_storable
from tricircle.interfaces.store import Claim

BATCH = 500
CLAIM_ATTEMPTS = 5


class SqlRoutings:
    """``interfaces.store.RoutingStore`` in a database.

    A ``lease_owner`` stands for one attempt to make one resource: who claims again
    under the same name renews the lease and is told it is theirs.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lookup = Lookup(database, statements.FIND_ROUTINGS)

    async def find_routings(self, kind: Kind, top_id: TopId) -> Sequence[Routing]:
        """Return all routings of a resource (one read by primary key), ordered by pod id."""
        if not is_storable(top_id):
            return ()
        rows = await self._lookup.read(kind=kind.value, top_id=top_id)
        return [read_routing(row) for row in rows]

    async def find_by_bottom(
        self, kind: Kind, pod_id: PodId, bottom_ids: Sequence[BottomId]
    ) -> Sequence[Routing]:
        """Return the routings of these bottom ids in one pod, ordered by bottom id."""
        storable = [bottom_id for bottom_id in bottom_ids if is_storable(bottom_id)]
        if not storable or not is_storable(pod_id):
            return ()
        rows = await self._database.read(statements.find_by_bottom(kind, pod_id, storable))
        return [read_routing(row) for row in rows]

    async def list_owned(self, owner_id: TopId) -> Sequence[Routing]:
        """Return what was made for ``owner_id``, ordered by kind, top id and pod id."""
        if not is_storable(owner_id):
            return ()
        rows = await self._database.read(statements.list_owned(owner_id))
        return [read_routing(row) for row in rows]

    async def keep_routings(self, routings: Sequence[Routing]) -> None:
        """Insert routings whose ids are known; those already there are left as they are.

        In primary-key order, so that two that keep the same ones do not deadlock.
        Raises NotFound when a pod is not there.
        """
        for routing in routings:
            _require_storable_routing(routing)
        ordered = sorted(routings, key=lambda each: (each.kind, each.top_id, each.pod_id))
        rows = [statements.routing_values(each) for each in ordered]
        inserting = statements.keep_routing(self._database.backend)

        async def work(connection: AsyncConnection) -> None:
            for start in range(0, len(rows), BATCH):
                await connection.execute(inserting, rows[start : start + BATCH])

        if not rows:
            return
        # one row is a transaction by itself
        run = self._database.transact if len(rows) > 1 else self._database.run
        try:
            await run(work)
        except IntegrityError:
            raise await self._missing_pod({each.pod_id for each in ordered}) from None

    async def claim_routing(self, routing: Routing, lease_owner: str, lease_s: float) -> Claim:
        """Take the right to make a resource in a pod.

        Each step is a transaction of its own: no step relies on what an earlier one
        has read, so none needs a lock to outlive it. Raises NotFound when the pod is
        not there, TwinBusy when the row comes and goes all the time.
        """
        _require_storable_routing(routing)
        require_storable("the owner of the lease", lease_owner)
        for _ in range(CLAIM_ATTEMPTS):
            fresh = await self._add_claim(routing, lease_owner, lease_s)
            taken = fresh or await self._database.write(
                statements.take_over_claim(routing, lease_owner, lease_s)
            )
            row = await self._find(routing)
            if row is not None:
                # whoever takes over between our two statements has the right
                mine = bool(taken) and row[-1] == lease_owner
                return Claim(read_routing(row), mine=mine, fresh=bool(fresh) and mine)
        raise TwinBusy(routing.kind, routing.top_id)

    async def settle_routing(self, routing: Routing, lease_owner: str, bottom_id: BottomId) -> bool:
        """Fill in ``bottom_id`` and make it ACTIVE; False when the lease is no longer ours.

        A lease that ran out is still ours until somebody takes it over. A settle
        whose answer was lost may be repeated. Raises Duplicate when the bottom
        resource is kept under another top id.
        """
        require_storable("the id of the resource in the pod", bottom_id)
        try:
            settled = await self._database.write(
                statements.settle_claim(routing, lease_owner, bottom_id)
            )
        except IntegrityError:
            raise taken_bottom(routing, bottom_id) from None
        if settled:
            return True
        row = await self._find(routing)
        if row is None:
            return False
        kept = read_routing(row)
        return kept.state is RoutingState.ACTIVE and kept.bottom_id == bottom_id

    async def forget_routing(self, kind: Kind, top_id: TopId, pod_id: PodId) -> None:
        """Delete our record (not the resource); nothing happens when there is none."""
        if is_storable(top_id) and is_storable(pod_id):
            await self._database.write(statements.forget_routing(kind, top_id, pod_id))

    async def _add_claim(self, routing: Routing, lease_owner: str, lease_s: float) -> int:
        if self._database.backend != "mysql":
            adding = statements.add_claim_if_missing(
                self._database.backend, routing, lease_owner, lease_s
            )
        else:
            # MySQL counts a row that an upsert left alone like one it inserted
            adding = statements.add_claim(routing, lease_owner, lease_s)
        try:
            return await self._database.write(adding)
        except IntegrityError:
            if await self._find(routing) is None:
                await self._require_pod(routing.pod_id)
            return 0

    async def _find(self, routing: Routing) -> RawRow | None:
        rows = await self._database.read(statements.find_routing(routing))
        return tuple(rows[0]) if rows else None

    async def _require_pod(self, pod_id: PodId) -> None:
        if not await self._database.read(find_pods([pod_id])):
            raise unknown_pod(pod_id)

    async def _missing_pod(self, pod_ids: set[PodId]) -> NotFound | Conflict:
        known = {row[0] for row in await self._database.read(find_pods(sorted(pod_ids)))}
        missing = sorted(pod_ids - known)
        return unknown_pod(missing[0]) if missing else Conflict("the pods changed; please retry")


def read_routing(row: RawRow) -> Routing:
    """Return the routing of a row that begins with ``statements.routings.COLUMNS``."""
    kind, top_id, pod_id, bottom_id, project_id, state, origin, owner_id = cast(
        tuple[str, str, str, str | None, str, str, str, str | None], tuple(row[:8])
    )
    created_at, updated_at = cast(tuple[datetime | str, datetime | str], tuple(row[8:10]))
    return Routing(
        kind=Kind(kind),
        top_id=TopId(top_id),
        pod_id=PodId(pod_id),
        bottom_id=None if bottom_id is None else BottomId(bottom_id),
        project_id=ProjectId(project_id),
        state=RoutingState(state),
        origin=Origin(origin),
        owner_id=None if owner_id is None else TopId(owner_id),
        created_at=as_utc(created_at),
        updated_at=as_utc(updated_at),
    )


def _require_storable_routing(routing: Routing) -> None:
    require_storable(f"the id of the {routing.kind}", routing.top_id)
    require_storable("the id of the pod", routing.pod_id)
    require_storable("the id of the project", routing.project_id)
    require_storable("the id of the resource in the pod", routing.bottom_id or "")
    require_storable("the id of the owner", routing.owner_id or "")
