"""The slower side of the routing table in the database."""

from __future__ import annotations

from collections.abc import Sequence

from tricircle.adapters.sql.database import Database
from tricircle.adapters.sql.routings import read_routing
from tricircle.adapters.sql.statements import upkeep as statements
from tricircle.adapters.sql.statements.upkeep import RoutingKey, Wanted
from tricircle.core.model import (
    Kind,
    Origin,
    PodId,
    ProjectId,
    Routing,
    RoutingState,
    TopId,
)
from tricircle.core.texts import is_storable


class SqlUpkeep:
    """``interfaces.store.RoutingUpkeep`` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_routings(
        self,
        *,
        kind: Kind | None = None,
        pod_id: PodId | None = None,
        project_id: ProjectId | None = None,
        top_id: TopId | None = None,
        state: RoutingState | None = None,
        origin: Origin | None = None,
        older_than_s: float | None = None,
        limit: int = 1000,
        after: RoutingKey | None = None,
    ) -> Sequence[Routing]:
        """Return routings in primary-key order; age is since the last change."""
        if not all(is_storable(text or "") for text in (pod_id, project_id, top_id)):
            return ()
        wanted = Wanted(
            kind=kind,
            pod_id=pod_id,
            project_id=project_id,
            top_id=top_id,
            state=state,
            origin=origin,
            older_than_s=older_than_s,
            limit=limit,
            after=after,
        )
        statement = statements.list_routings(self._database.backend, wanted)
        return [read_routing(row) for row in await self._database.read(statement)]

    async def mark_routing(
        self, kind: Kind, top_id: TopId, pod_id: PodId, state: RoutingState, owner_id: TopId | None
    ) -> bool:
        """Set state and owner of a routing; False when it is gone."""
        marking = statements.mark_routing((kind, top_id, pod_id), state, owner_id)
        return bool(await self._database.write(marking))
