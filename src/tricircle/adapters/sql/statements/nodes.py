"""Statements about pods shown as hosts."""

from __future__ import annotations

from dataclasses import fields

from sqlalchemy import Insert, Select, select

from tricircle.adapters.sql.columns import now
from tricircle.adapters.sql.statements.inserts import insert_or_replace
from tricircle.adapters.sql.tables import node
from tricircle.core.model import Node

COLUMNS = tuple(field.name for field in fields(Node))


def list_nodes() -> Select[*tuple[object, ...]]:
    """Return a read of all nodes, ordered by name."""
    return select(*(node.c[name] for name in COLUMNS)).order_by(node.c.name, node.c.pod_id)


def put_node(backend: str, measured: Node) -> Insert:
    """Return an insert that replaces the node of the pod, measured now."""
    row = {name: getattr(measured, name) for name in COLUMNS}
    return insert_or_replace(backend, node, {**row, "measured_at": now()})
