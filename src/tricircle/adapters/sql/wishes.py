"""Wishes in the database."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tricircle.adapters.sql.database import AnyRow, Database
from tricircle.adapters.sql.jobs import BATCH, SqlJobDesk
from tricircle.adapters.sql.statements import wishes as statements
from tricircle.core.conflicts import changed_wish, require_storable_wish
from tricircle.core.jobs import JobRequest, Replicate, job_key
from tricircle.core.model import BottomId, PodId
from tricircle.core.runs import JobId
from tricircle.core.texts import is_storable, require_storable
from tricircle.core.wishes import Replica, Wish, WishId, WishKey, WishPod
from tricircle.interfaces.wishes import JOB_WAIT_S, PutWish, WishChange


class SqlWishes:
    """``interfaces.wishes.Wishes`` in a database."""

    def __init__(self, database: Database, desk: SqlJobDesk) -> None:
        self._database, self._desk = database, desk

    async def find_wish(self, key: WishKey) -> Wish | None:
        """Return a wish, tombstones too."""
        if not (is_storable(key.owner) and is_storable(key.name)):
            return None
        rows = await self._database.read(statements.find_wish(key))
        return _read_wish(rows[0]) if rows else None

    async def list_wishes(
        self, resource: Replica, limit: int, after: WishKey | None = None
    ) -> Sequence[Wish]:
        """Return wishes, tombstones too, ordered by owner and name, after a key."""
        rows = await self._database.read(statements.list_wishes(resource, limit, after))
        return [_read_wish(row) for row in rows]

    async def put_wish(self, change: WishChange, request_id: str) -> PutWish:
        """Keep a wish and ask for a ``Replicate`` job of every other pod: both, or nothing."""
        require_storable_wish(change.key)
        require_storable("the id of the request", request_id)

        async def work(connection: AsyncConnection) -> PutWish:
            wish = await self._keep(connection, change)
            job_ids = await self._submit(connection, change, request_id)
            return PutWish(wish, job_ids)

        try:
            return await self._database.transact(work)
        except IntegrityError:
            # another one was first, or a pod has just been deleted
            raise changed_wish(change.key) from None

    async def _keep(self, connection: AsyncConnection, change: WishChange) -> Wish:
        if change.expected == 0:
            adding = statements.add_wish(change, WishId(str(uuid.uuid4())))
            await connection.execute(adding)
        elif (await connection.execute(statements.change_wish(change))).rowcount == 0:
            raise changed_wish(change.key)
        row = (await connection.execute(statements.find_wish(change.key))).one()
        wish = _read_wish(row)
        known = WishPod(wish.generation, change.bottom_id)
        await self._note(connection, wish.id, change.pod_id, known)
        return wish

    async def _submit(
        self, connection: AsyncConnection, change: WishChange, request_id: str
    ) -> Sequence[JobId]:
        """Ask for a job of every other pod there is now; one that comes later is swept."""
        key = change.key
        pods = (await connection.execute(statements.list_pod_ids())).scalars().all()
        requests = [
            JobRequest(
                Replicate(PodId(pod_id), key.resource.value, key.owner, key.name),
                request_id,
                JOB_WAIT_S,
            )
            for pod_id in pods
            if pod_id != change.pod_id
        ]
        # in one order, so that two that ask for the same jobs do not deadlock
        requests.sort(key=lambda request: job_key(request.job))
        found: dict[str, JobId] = {}
        for start in range(0, len(requests), BATCH):
            found.update(await self._desk.submit(connection, requests[start : start + BATCH]))
        return list(found.values())

    async def forget_tombstones(self) -> int:
        """Delete the tombstones of what every pod is known not to have; return how many."""
        return await self._database.write(statements.forget_tombstones())

    async def list_pods_of(self, wish_id: WishId) -> Mapping[PodId, WishPod]:
        """Return what is known of each pod; a pod that was never asked is not in there."""
        rows = await self._database.read(statements.list_pods_of(wish_id))
        return {PodId(row.pod_id): WishPod(row.generation, _bottom(row.bottom_id)) for row in rows}

    async def list_for_pod(
        self, pod_id: PodId, resource: Replica, limit: int, after: WishKey | None = None
    ) -> Sequence[tuple[Wish, WishPod | None]]:
        """Return wishes with what is known of one pod, ordered as in ``list_wishes``."""
        reading = statements.list_for_pod(pod_id, resource, limit, after)
        rows = await self._database.read(reading)
        return [(_read_wish(row), _read_pod(row)) for row in rows]

    async def list_lacking(
        self, pod_id: PodId, resource: Replica, limit: int, after: WishKey | None = None
    ) -> Sequence[Wish]:
        """Return the wishes that a pod is behind of, or knows nothing of; ordered likewise."""
        reading = statements.list_lacking(pod_id, resource, limit, after)
        return [_read_wish(row) for row in await self._database.read(reading)]

    async def note_pod(self, wish_id: WishId, pod_id: PodId, known: WishPod) -> None:
        """Keep what a pod has, unless a newer generation is known of it already."""

        async def work(connection: AsyncConnection) -> None:
            await self._note(connection, wish_id, pod_id, known)

        try:
            await self._database.transact(work)
        except IntegrityError:
            # wish or pod are gone, and what was known with them
            return

    async def _note(
        self, connection: AsyncConnection, wish_id: WishId, pod_id: PodId, known: WishPod
    ) -> None:
        changing = statements.renote_pod(wish_id, pod_id, known)
        if (await connection.execute(changing)).rowcount:
            return
        adding = statements.note_new_pod(self._database.backend, wish_id, pod_id, known)
        await connection.execute(adding)


def _read_wish(row: AnyRow) -> Wish:
    return Wish(
        id=WishId(row.id),
        resource=Replica(row.resource),
        owner=row.owner,
        name=row.name,
        document=json.loads(row.document),
        wanted=bool(row.wanted),
        generation=row.generation,
    )


def _read_pod(row: AnyRow) -> WishPod | None:
    return None if row.known is None else WishPod(row.known, _bottom(row.bottom_id))


def _bottom(value: str | None) -> BottomId | None:
    return None if value is None else BottomId(value)
