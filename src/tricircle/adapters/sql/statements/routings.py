"""Statements of the routing table.

A claim is taken by an insert or by an update whose WHERE says under which
conditions: whether it matched a row is the decision, made by the database under
that row's lock, whatever the isolation level.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    Delete,
    Insert,
    Select,
    Update,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)

from tricircle.adapters.sql.columns import from_now, now
from tricircle.adapters.sql.statements.inserts import insert_missing
from tricircle.adapters.sql.tables import routing
from tricircle.core.model import BottomId, Kind, PodId, Routing, RoutingState, TopId

KINDS = [kind.value for kind in Kind]
"""Kinds this release knows; a newer one may have written others."""

COLUMNS = (
    routing.c.kind,
    routing.c.top_id,
    routing.c.pod_id,
    routing.c.bottom_id,
    routing.c.project_id,
    routing.c.state,
    routing.c.origin,
    routing.c.owner_id,
    routing.c.created_at,
    routing.c.updated_at,
)

FIND_ROUTINGS: Select[*tuple[object, ...]] = (
    select(*COLUMNS)
    .where(routing.c.kind == bindparam("kind"), routing.c.top_id == bindparam("top_id"))
    .order_by(routing.c.pod_id)
)
"""The hot lookup: a read of the beginning of the primary key."""


def find_routing(wanted: Routing) -> Select[*tuple[object, ...]]:
    """Return a read of one routing, its lease owner last."""
    return select(*COLUMNS, routing.c.lease_owner).where(
        is_routing(wanted.kind, wanted.top_id, wanted.pod_id)
    )


def find_by_bottom(
    kind: Kind, pod_id: PodId, bottom_ids: Sequence[BottomId]
) -> Select[*tuple[object, ...]]:
    """Return a read of the routings of these bottom ids in one pod, ordered by bottom id."""
    return (
        select(*COLUMNS)
        .where(
            routing.c.pod_id == pod_id,
            routing.c.kind == kind.value,
            routing.c.bottom_id.in_(bottom_ids),
        )
        .order_by(routing.c.bottom_id)
    )


def list_owned(owner_id: TopId) -> Select[*tuple[object, ...]]:
    """Return a read of what was made for an owner, ordered by primary key."""
    return (
        select(*COLUMNS)
        .where(routing.c.owner_id == owner_id, routing.c.kind.in_(KINDS))
        .order_by(routing.c.kind, routing.c.top_id, routing.c.pod_id)
    )


def keep_routing(backend: str) -> Insert:
    """Return an insert, for many ``routing_values``, that leaves what is there as it is."""
    return insert_missing(backend, routing)


def add_claim(wanted: Routing, lease_owner: str, lease_s: float) -> Insert:
    """Return the insert that fails when the routing is there already."""
    return insert(routing).values(_claim_values(wanted, lease_owner, lease_s))


def add_claim_if_missing(backend: str, wanted: Routing, lease_owner: str, lease_s: float) -> Insert:
    """Return the insert that changes no row when the routing is there already."""
    return insert_missing(backend, routing).values(_claim_values(wanted, lease_owner, lease_s))


def take_over_claim(wanted: Routing, lease_owner: str, lease_s: float) -> Update:
    """Return an update that takes a claim whose lease has expired, or renews our own."""
    free = or_(
        routing.c.lease_owner == lease_owner,
        routing.c.lease_until.is_(None),
        routing.c.lease_until <= now(),
    )
    return (
        update(routing)
        .where(
            is_routing(wanted.kind, wanted.top_id, wanted.pod_id),
            routing.c.state == RoutingState.CREATING.value,
            free,
        )
        .values(
            lease_owner=lease_owner,
            lease_until=from_now(lease_s),
            origin=wanted.origin.value,
            owner_id=wanted.owner_id,
            updated_at=now(),
        )
    )


def settle_claim(wanted: Routing, lease_owner: str, bottom_id: BottomId) -> Update:
    """Return an update that ends a claim that is still ours with its result."""
    return (
        update(routing)
        .where(
            is_routing(wanted.kind, wanted.top_id, wanted.pod_id),
            routing.c.state == RoutingState.CREATING.value,
            routing.c.lease_owner == lease_owner,
        )
        .values(
            bottom_id=bottom_id,
            state=RoutingState.ACTIVE.value,
            lease_owner=None,
            lease_until=None,
            updated_at=now(),
        )
    )


def forget_routing(kind: Kind, top_id: TopId, pod_id: PodId) -> Delete:
    """Return the delete of a routing."""
    return delete(routing).where(is_routing(kind, top_id, pod_id))


def is_routing(kind: Kind, top_id: TopId, pod_id: PodId) -> ColumnElement[bool]:
    """Return the condition that a row is this routing."""
    return and_(
        routing.c.kind == kind.value, routing.c.top_id == top_id, routing.c.pod_id == pod_id
    )


def routing_values(kept: Routing) -> dict[str, object]:
    """Return the values of a new row; its times are the database's default: now."""
    return {
        "kind": kept.kind.value,
        "top_id": kept.top_id,
        "pod_id": kept.pod_id,
        "bottom_id": kept.bottom_id,
        "project_id": kept.project_id,
        "state": kept.state.value,
        "origin": kept.origin.value,
        "owner_id": kept.owner_id,
    }


def _claim_values(wanted: Routing, lease_owner: str, lease_s: float) -> dict[str, object]:
    claim = {
        "bottom_id": None,
        "state": RoutingState.CREATING.value,
        "lease_owner": lease_owner,
        "lease_until": from_now(lease_s),
    }
    return {**routing_values(wanted), **claim}
