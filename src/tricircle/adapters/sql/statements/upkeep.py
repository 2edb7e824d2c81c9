"""Statements of the slower side of the routing table."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, Update, and_, or_, select, tuple_, update

from tricircle.adapters.sql.columns import from_now, now
from tricircle.adapters.sql.statements.routings import COLUMNS, KINDS, is_routing
from tricircle.adapters.sql.tables import routing
from tricircle.core.model import Kind, Origin, PodId, ProjectId, RoutingState, TopId

RoutingKey = tuple[Kind, TopId, PodId]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which routings are asked for; None leaves a condition out. Age is since the last change."""

    kind: Kind | None = None
    pod_id: PodId | None = None
    project_id: ProjectId | None = None
    top_id: TopId | None = None
    state: RoutingState | None = None
    origin: Origin | None = None
    older_than_s: float | None = None
    limit: int = 1000
    after: RoutingKey | None = None


def list_routings(backend: str, wanted: Wanted) -> Select[*tuple[object, ...]]:
    """Return a read of routings in primary-key order."""
    conditions = [_is_wanted_kind(wanted)]
    equal = {
        routing.c.pod_id: wanted.pod_id,
        routing.c.project_id: wanted.project_id,
        routing.c.top_id: wanted.top_id,
        routing.c.state: wanted.state and wanted.state.value,
        routing.c.origin: wanted.origin and wanted.origin.value,
    }
    conditions += [column == value for column, value in equal.items() if value is not None]
    if wanted.older_than_s is not None:
        conditions.append(routing.c.updated_at <= from_now(-wanted.older_than_s))
    if wanted.after is not None:
        conditions.append(_is_after(backend, wanted.after))
    key = (routing.c.kind, routing.c.top_id, routing.c.pod_id)
    return select(*COLUMNS).where(*conditions).order_by(*key).limit(wanted.limit)


def mark_routing(key: RoutingKey, state: RoutingState, owner_id: TopId | None) -> Update:
    """Return the update of state and owner."""
    changes = {"state": state.value, "owner_id": owner_id, "updated_at": now()}
    return update(routing).where(is_routing(*key)).values(changes)


def _is_wanted_kind(wanted: Wanted) -> ColumnElement[bool]:
    if wanted.kind is not None:
        return routing.c.kind == wanted.kind.value
    # kinds of a newer release stay out
    if wanted.top_id is not None:
        # each kind is then one read of the primary key
        return routing.c.kind.in_(KINDS)
    # as an expression, so that PostgreSQL reads on from ``after`` in one go and does
    # not read the whole of every kind (measured: 1.6 s and 1 ms of a million rows)
    return routing.c.kind.concat("").in_(KINDS)


def _is_after(backend: str, after: RoutingKey) -> ColumnElement[bool]:
    kind, top_id, pod_id = after
    if backend != "mysql":
        key = tuple_(routing.c.kind, routing.c.top_id, routing.c.pod_id)
        return key > tuple_(kind.value, top_id, pod_id)
    # MySQL and MariaDB read the whole table for a comparison of tuples
    return or_(
        routing.c.kind > kind.value,
        and_(
            routing.c.kind == kind.value,
            or_(
                routing.c.top_id > top_id,
                and_(routing.c.top_id == top_id, routing.c.pod_id > pod_id),
            ),
        ),
    )
