"""Bindings in the database."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tricircle.adapters.sql.database import Database
from tricircle.adapters.sql.statements import bindings as statements
from tricircle.core.conflicts import unknown_pod
from tricircle.core.errors import Conflict
from tricircle.core.model import PodId, ProjectId, ZoneName
from tricircle.core.texts import is_storable, require_storable

BIND_ATTEMPTS = 5


class SqlBindings:
    """``interfaces.store.BindingStore`` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_binding(self, project_id: ProjectId, zone: ZoneName) -> PodId | None:
        """Return the pod a project is bound to in a zone ('' = no zone asked for), if any."""
        if not is_storable(project_id) or not is_storable(zone):
            return None
        rows = await self._database.read(statements.find_binding(project_id, zone))
        return PodId(str(rows[0][0])) if rows else None

    async def list_bindings(self, project_id: ProjectId) -> Mapping[ZoneName, PodId]:
        """Return all pods a project is bound to."""
        if not is_storable(project_id):
            return {}
        rows = await self._database.read(statements.list_bindings(project_id))
        return {ZoneName(row.zone): PodId(row.pod_id) for row in rows}

    async def list_past_pods(self, project_id: ProjectId) -> frozenset[PodId]:
        """Return the pods that a binding of a project was moved from."""
        if not is_storable(project_id):
            return frozenset()
        rows = await self._database.read(statements.list_past(project_id))
        return frozenset(PodId(str(row[0])) for row in rows)

    async def bind(self, project_id: ProjectId, zone: ZoneName, pod_id: PodId) -> PodId:
        """Return the pod the project is bound to now: ``pod_id``, or who came first.

        Raises NotFound when the pod is not there.
        """
        require_storable("the id of the project", project_id)
        require_storable("the zone", zone)
        binding = statements.bind(self._database.backend, project_id, zone, pod_id)
        for _ in range(BIND_ATTEMPTS):
            try:
                await self._database.write(binding)
            except IntegrityError:
                raise unknown_pod(pod_id) from None
            bound = await self.find_binding(project_id, zone)
            if bound is not None:
                return bound
        raise Conflict(f"the binding of project {project_id} keeps changing; please retry")

    async def rebind(self, project_id: ProjectId, zone: ZoneName, old: PodId, new: PodId) -> PodId:
        """Move a binding from ``old`` to ``new`` if it still is ``old``; return what it is now.

        A binding that is gone is made anew. Raises NotFound when the pod is not there.
        """

        async def work(connection: AsyncConnection) -> None:
            moving = statements.rebind(project_id, zone, old, new)
            if (await connection.execute(moving)).rowcount and old != new:
                past = statements.keep_past(self._database.backend, project_id, old)
                await connection.execute(past)

        try:
            await self._database.transact(work)
        except IntegrityError:
            raise unknown_pod(new) from None
        return await self.find_binding(project_id, zone) or await self.bind(project_id, zone, new)

    async def unbind(self, project_id: ProjectId, zone: ZoneName) -> None:
        """Forget a binding; nothing happens when there is none."""
        if is_storable(project_id) and is_storable(zone):
            await self._database.write(statements.unbind(project_id, zone))
