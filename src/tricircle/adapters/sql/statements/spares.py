"""Statements about ports that are ready in pods.

A spare is taken by an update whose WHERE asks that nobody has it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
from sqlalchemy import (
    ColumnElement,
    Delete,
    Insert,
    Select,
    Update,
    and_,
    delete,
    select,
    tuple_,
    update,
)

from tricircle.adapters.sql.columns import from_now, now
from tricircle.adapters.sql.statements.inserts import insert_missing
from tricircle.adapters.sql.tables import spare_port
from tricircle.core.model import BottomId, PodId, ProjectId, TopId
from tricircle.core.network.spares import SparePort

SpareKey = tuple[PodId, BottomId]
Rows = Select[*tuple[object, ...]]

_KEY = (spare_port.c.pod_id, spare_port.c.port_id)


def keep_spare(backend: str, spare: SparePort) -> Insert:
    """Return an insert of a ready spare that leaves what is there as it is.

    Its times are the database's default: now.
    """
    return insert_missing(backend, spare_port).values(
        pod_id=spare.pod_id,
        port_id=spare.port_id,
        network_id=spare.network_id,
        project_id=spare.project_id,
        mac_address=spare.mac_address,
        addresses=json.dumps(msgspec.to_builtins(spare.addresses)),
        boot_id=None,
        group_ids=json.dumps(()),
    )


def list_ready(network_id: TopId, project_id: ProjectId, limit: int) -> Rows:
    """Return a read of the spares that nobody has taken, oldest first."""
    return (
        select(spare_port)
        .where(
            spare_port.c.network_id == network_id,
            spare_port.c.project_id == project_id,
            spare_port.c.boot_id.is_(None),
        )
        .order_by(spare_port.c.created_at, *_KEY)
        .limit(limit)
    )


def take_spare(key: SpareKey, boot_id: str, group_ids: Sequence[str]) -> Update:
    """Return the update that gives a spare to a boot while nobody has it."""
    return (
        update(spare_port)
        .where(_is(key), spare_port.c.boot_id.is_(None))
        .values(boot_id=boot_id, group_ids=json.dumps(list(group_ids)), updated_at=now())
    )


def find_spare(key: SpareKey) -> Rows:
    """Return a read of one spare."""
    return select(spare_port).where(_is(key))


def find_taken(network_id: TopId, project_id: ProjectId, mac_address: str) -> Rows:
    """Return a read of what a boot has taken, by MAC: the first one by key."""
    return (
        select(spare_port)
        .where(
            spare_port.c.network_id == network_id,
            spare_port.c.project_id == project_id,
            spare_port.c.mac_address == mac_address,
            spare_port.c.boot_id.is_not(None),
        )
        .order_by(*_KEY)
        .limit(1)
    )


def list_old(older_than_s: float, limit: int, after: SpareKey | None) -> Rows:
    """Return a read of what has not changed for a while, in primary-key order."""
    rows = select(spare_port).where(spare_port.c.updated_at <= from_now(-older_than_s))
    if after is not None:
        rows = rows.where(tuple_(*_KEY) > after)
    return rows.order_by(*_KEY).limit(limit)


def forget_spare(key: SpareKey) -> Delete:
    """Return the delete of a spare."""
    return delete(spare_port).where(_is(key))


def _is(key: SpareKey) -> ColumnElement[bool]:
    pod_id, port_id = key
    return and_(spare_port.c.pod_id == pod_id, spare_port.c.port_id == port_id)
