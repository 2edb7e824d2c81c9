"""Pods in the database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tricircle.adapters.sql.database import AnyRow, Database
from tricircle.adapters.sql.statements import pods as statements
from tricircle.core.conflicts import (
    Holdings,
    PodName,
    find_pod_conflict,
    pod_in_use,
    taken_pod_id,
    unknown_pod,
)
from tricircle.core.errors import Conflict
from tricircle.core.model import Endpoint, Pod, PodId, Service, VersionRange, ZoneName
from tricircle.core.texts import is_storable, require_storable
from tricircle.core.versions import parse_version
from tricircle.interfaces.store import PodChange


class SqlPods:
    """``interfaces.store.PodStore`` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_pods(self) -> Sequence[Pod]:
        """Return all pods with their endpoints, ordered by name."""
        return _read_pods(await self._database.read(statements.list_pods()))

    async def get_pod(self, pod_id: PodId) -> Pod:
        """Return one pod. Raises NotFound."""
        if not is_storable(pod_id):
            raise unknown_pod(pod_id)
        found = _read_pods(await self._database.read(statements.list_pods(pod_id)))
        if not found:
            raise unknown_pod(pod_id)
        return found[0]

    async def add_pod(self, pod: Pod) -> Pod:
        """Return the pod as kept, times filled in. Raises Duplicate naming name or region."""
        _require_storable_pod(pod)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(statements.add_pod(pod))
            await _add_endpoints(connection, pod)

        try:
            await self._database.transact(work)
        except IntegrityError:
            others = await self._read_rivals(pod)
            raise find_pod_conflict(pod, others) or taken_pod_id(pod.id) from None
        return await self.get_pod(pod.id)

    async def update_pod(self, pod_id: PodId, change: PodChange) -> Pod:
        """Return the pod as kept after ``change``. Raises NotFound, Duplicate."""
        if not is_storable(pod_id):
            raise unknown_pod(pod_id)

        async def work(connection: AsyncConnection) -> None:
            # the pod's row is locked, so that two changes take turns
            await connection.execute(statements.lock_pod(pod_id))
            found = _read_pods(await connection.execute(statements.list_pods(pod_id)))
            if not found:
                raise unknown_pod(pod_id)
            changed = replace(change(found[0]), id=pod_id, region=found[0].region)
            _require_storable_pod(changed)
            await _write_change(connection, found[0], changed)

        try:
            await self._database.transact(work)
        except IntegrityError:
            raise await self._conflict_of(pod_id, change) from None
        return await self.get_pod(pod_id)

    async def delete_pod(self, pod_id: PodId) -> None:
        """Delete a pod that holds nothing but replicas. Raises NotFound, PodInUse."""
        if not is_storable(pod_id):
            raise unknown_pod(pod_id)

        async def work(connection: AsyncConnection) -> int:
            await connection.execute(statements.forget_replicas_of(pod_id))
            return (await connection.execute(statements.delete_pod(pod_id))).rowcount

        try:
            deleted = await self._database.transact(work)
        except IntegrityError:
            pod = await self.get_pod(pod_id)
            name = PodName(pod.id, pod.name, pod.region)
            raise pod_in_use(name, await self._read_holdings(pod_id)) from None
        if not deleted:
            raise unknown_pod(pod_id)

    async def _conflict_of(self, pod_id: PodId, change: PodChange) -> Conflict:
        pod = change(await self.get_pod(pod_id))
        conflict = find_pod_conflict(pod, await self._read_rivals(pod))
        return conflict or Conflict(f"pod {pod_id} changed at the same time; please retry")

    async def _read_rivals(self, pod: Pod) -> Sequence[PodName]:
        rows = await self._database.read(statements.find_rivals(pod))
        return [PodName(PodId(row.id), row.name, row.region) for row in rows]

    async def _read_holdings(self, pod_id: PodId) -> Holdings:
        zones = await self._database.read(statements.list_zones_of(pod_id))
        routings = await self._database.read(statements.count_routings_of(pod_id))
        return Holdings(
            zones=[ZoneName(row.zone) for row in zones],
            routings={row.kind: row.routings for row in routings},
        )


async def _write_change(connection: AsyncConnection, old: Pod, new: Pod) -> None:
    await connection.execute(statements.update_pod(new))
    if new.endpoints != old.endpoints:
        await connection.execute(statements.delete_endpoints(new.id))
        await _add_endpoints(connection, new)


async def _add_endpoints(connection: AsyncConnection, pod: Pod) -> None:
    if pod.endpoints:
        endpoints = list(pod.endpoints.values())
        await connection.execute(statements.add_endpoints(pod.id, endpoints))


def _require_storable_pod(pod: Pod) -> None:
    require_storable("the id of the pod", pod.id)
    require_storable("the name of the pod", pod.name)
    require_storable("the region of the pod", pod.region)


def _read_pods(rows: Iterable[AnyRow]) -> Sequence[Pod]:
    grouped = groupby(rows, key=lambda row: row.id)
    return [_read_pod(list(own_rows)) for _, own_rows in grouped]


def _read_pod(rows: Sequence[AnyRow]) -> Pod:
    first = rows[0]
    endpoints = [_read_endpoint(row) for row in rows if row.service is not None]
    return Pod(
        id=PodId(first.id),
        name=first.name,
        region=first.region,
        enabled=first.enabled,
        description=first.description,
        endpoints={endpoint.service: endpoint for endpoint in endpoints},
        tags=json.loads(first.tags) if first.tags else {},
        created_at=first.created_at,
        updated_at=first.updated_at,
    )


def _read_endpoint(row: AnyRow) -> Endpoint:
    versions = None
    if row.minimum_version is not None and row.maximum_version is not None:
        versions = VersionRange(
            parse_version(row.minimum_version), parse_version(row.maximum_version)
        )
    return Endpoint(service=Service(row.service), url=row.url, versions=versions)
