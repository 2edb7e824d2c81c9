"""Nodes in the database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError

from tricircle.adapters.sql.database import Database
from tricircle.adapters.sql.statements import nodes as statements
from tricircle.core.conflicts import unknown_pod
from tricircle.core.model import Node
from tricircle.core.texts import require_storable


class SqlNodes:
    """``interfaces.store.NodeStore`` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_nodes(self) -> Sequence[Node]:
        """Return all nodes ordered by name."""
        rows = await self._database.read(statements.list_nodes())
        return [Node(**row._mapping) for row in rows]

    async def put_node(self, node: Node) -> None:
        """Insert or replace the node of a pod. Raises NotFound when the pod is not there."""
        require_storable("the name of the node", node.name)
        try:
            await self._database.write(statements.put_node(self._database.backend, node))
        except IntegrityError:
            raise unknown_pod(node.pod_id) from None
