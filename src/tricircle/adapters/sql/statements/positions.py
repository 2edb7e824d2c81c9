"""Statements about the positions of recent list pages."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Delete, Insert, Select, delete, select

from tricircle.adapters.sql.columns import from_now, now
from tricircle.adapters.sql.statements.inserts import insert_or_replace
from tricircle.adapters.sql.tables import list_position

_key = list_position.c.position_key
_expires_at = list_position.c.expires_at


def keep_position(backend: str, key: str, position: bytes, ttl_s: float) -> Insert:
    """Return an insert that replaces an older position."""
    row = {"position_key": key, "position": position, "expires_at": from_now(ttl_s)}
    return insert_or_replace(backend, list_position, row)


def find_position(key: str) -> Select[bytes]:
    """Return a read of a position that has not expired."""
    return select(list_position.c.position).where(_key == key, _expires_at > now())


def list_expired(limit: int) -> Select[str]:
    """Return a read of the keys of at most ``limit`` expired positions."""
    return select(_key).where(_expires_at <= now()).order_by(_expires_at).limit(limit)


def delete_expired(keys: Sequence[str]) -> Delete:
    """Return the delete of these positions where they are still expired."""
    return delete(list_position).where(_key.in_(keys), _expires_at <= now())
