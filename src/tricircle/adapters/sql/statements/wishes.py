"""Statements about wishes.

A wish is changed by an update whose WHERE names the generation it follows.
"""

from __future__ import annotations

import json

from sqlalchemy import (
    ColumnElement,
    Delete,
    Insert,
    Select,
    Update,
    and_,
    delete,
    exists,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from tricircle.adapters.sql.columns import now
from tricircle.adapters.sql.statements.inserts import insert_missing
from tricircle.adapters.sql.tables import pod, wish, wish_pod
from tricircle.core.model import PodId
from tricircle.core.wishes import Replica, WishId, WishKey, WishPod
from tricircle.interfaces.wishes import WishChange

COLUMNS = (
    wish.c.id,
    wish.c.resource,
    wish.c.owner,
    wish.c.name,
    wish.c.document,
    wish.c.wanted,
    wish.c.generation,
)

Rows = Select[*tuple[object, ...]]


def find_wish(key: WishKey) -> Rows:
    """Return a read of one wish."""
    return select(*COLUMNS).where(_is(key))


def list_wishes(resource: Replica, limit: int, after: WishKey | None) -> Rows:
    """Return a read of wishes, ordered by owner and name."""
    return _page(select(*COLUMNS), resource, limit, after)


def list_for_pod(pod_id: PodId, resource: Replica, limit: int, after: WishKey | None) -> Rows:
    """Return a read of wishes with ``known`` and ``bottom_id`` of a pod, null when unknown."""
    return _page(_with_pod(pod_id), resource, limit, after)


def list_lacking(pod_id: PodId, resource: Replica, limit: int, after: WishKey | None) -> Rows:
    """Return a read of the wishes that a pod is behind of."""
    behind = or_(wish_pod.c.generation.is_(None), wish_pod.c.generation < wish.c.generation)
    return _page(_with_pod(pod_id).where(behind), resource, limit, after)


def _with_pod(pod_id: PodId) -> Rows:
    known = and_(wish_pod.c.wish_id == wish.c.id, wish_pod.c.pod_id == pod_id)
    joined = wish.outerjoin(wish_pod, known)
    columns = (*COLUMNS, wish_pod.c.generation.label("known"), wish_pod.c.bottom_id)
    return select(*columns).select_from(joined)


def _page(rows: Rows, resource: Replica, limit: int, after: WishKey | None) -> Rows:
    rows = rows.where(wish.c.resource == resource.value)
    if after is not None:
        rows = rows.where(tuple_(wish.c.owner, wish.c.name) > (after.owner, after.name))
    return rows.order_by(wish.c.owner, wish.c.name).limit(limit)


def add_wish(change: WishChange, wish_id: WishId) -> Insert:
    """Return the insert of a wish, which fails when there is one."""
    return insert(wish).values(
        id=wish_id,
        resource=change.key.resource.value,
        owner=change.key.owner,
        name=change.key.name,
        document=json.dumps(change.document),
        wanted=change.wanted,
        generation=1,
    )


def change_wish(change: WishChange) -> Update:
    """Return the update of a wish that still is at the generation expected."""
    return (
        update(wish)
        .where(_is(change.key), wish.c.generation == change.expected)
        .values(
            document=json.dumps(change.document),
            wanted=change.wanted,
            generation=wish.c.generation + 1,
            updated_at=now(),
        )
    )


def list_pod_ids() -> Select[str]:
    """Return a read of the ids of all pods, ordered."""
    return select(pod.c.id).order_by(pod.c.id)


def list_pods_of(wish_id: WishId) -> Rows:
    """Return a read of what is known of each pod."""
    columns = (wish_pod.c.pod_id, wish_pod.c.generation, wish_pod.c.bottom_id)
    return select(*columns).where(wish_pod.c.wish_id == wish_id)


def renote_pod(wish_id: WishId, pod_id: PodId, known: WishPod) -> Update:
    """Return the update of what is known of a pod, unless it is newer."""
    return (
        update(wish_pod)
        .where(
            wish_pod.c.wish_id == wish_id,
            wish_pod.c.pod_id == pod_id,
            wish_pod.c.generation <= known.generation,
        )
        .values(generation=known.generation, bottom_id=known.bottom_id)
    )


def note_new_pod(backend: str, wish_id: WishId, pod_id: PodId, known: WishPod) -> Insert:
    """Return an insert of what is known of a pod that leaves what is there."""
    return insert_missing(backend, wish_pod).values(
        wish_id=wish_id,
        pod_id=pod_id,
        generation=known.generation,
        bottom_id=known.bottom_id,
    )


def forget_tombstones() -> Delete:
    """Return the delete of tombstones that every pod is at the generation of."""
    at_it = exists().where(
        wish_pod.c.wish_id == wish.c.id,
        wish_pod.c.pod_id == pod.c.id,
        wish_pod.c.generation >= wish.c.generation,
    )
    other = exists().where(pod.c.id.is_not(None), ~at_it.correlate(wish, pod)).correlate(wish)
    return delete(wish).where(wish.c.wanted.is_(False), ~other)


def _is(key: WishKey) -> ColumnElement[bool]:
    return and_(
        wish.c.resource == key.resource.value,
        wish.c.owner == key.owner,
        wish.c.name == key.name,
    )
