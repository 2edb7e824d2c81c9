"""Where each pod stands between two pages of a merged list.

A page ends at one row for the client, but somewhere else in each pod. The
``next`` link carries all of it; so do the positions kept for clients that build
``marker=<last id>`` by themselves.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from tricircle.core.errors import BadInput
from tricircle.core.model import PodId
from tricircle.core.sorting import Values

CURSOR_PARAMETER = "tricircle_cursor"
MAX_CURSOR_CHARS = 65_536
MAX_LINK_CURSOR_CHARS = 4_000
"""A longer cursor stays out of the link: proxies refuse request lines over 8 KiB."""

_MAX_PODS = 10_000
_MAX_ID_CHARS = 255
_MAX_VALUES = 64


@dataclass(frozen=True, slots=True)
class Position:
    """Where one pod stands: after its row ``last_id``.

    ``values`` are the sort values to look for should that row be gone, None for
    those of the page's last row; ``last_id`` is None when they are all that is
    known. ``safe`` tells that the pod's own paging goes on rightly from this row
    (``SortPlan.is_safe_marker``).
    """

    last_id: str | None
    values: Values | None = None
    safe: bool = True


@dataclass(frozen=True, slots=True)
class Cursor:
    """The end of a page: its last row, and every pod's position.

    A pod without a position has not given a row yet. ``list_hash`` says which list,
    filters and order it belongs to. ``values`` is None when the order has a key
    that items do not show.
    """

    list_hash: str
    last_id: str
    values: Values | None
    positions: Mapping[PodId, Position]


class _Place(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    last_id: str | None
    safe: bool
    values: list[str | int | float | bool | None] | None = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    h: str
    m: str
    s: list[str | int | float | bool | None] | None
    p: dict[str, str | _Place]


_decode_document = msgspec.json.Decoder(_Document).decode
_encode_document = msgspec.json.Encoder().encode


def encode_cursor(cursor: Cursor) -> bytes:
    """Return a cursor as compact JSON, as positions are kept."""
    places = {str(pod_id): _pack(position) for pod_id, position in sorted(cursor.positions.items())}
    values = None if cursor.values is None else list(cursor.values)
    return _encode_document(
        _Document(v=1, h=cursor.list_hash, m=cursor.last_id, s=values, p=places)
    )


def decode_cursor(data: bytes) -> Cursor:
    """Return the cursor that ``encode_cursor`` made. Raises BadInput for anything else."""
    try:
        document = _decode_document(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _bad_cursor() from None
    if document.v != 1 or len(document.p) > _MAX_PODS or not 0 < len(document.h) <= 64:
        raise _bad_cursor()
    return Cursor(
        list_hash=document.h,
        last_id=_checked_id(document.m),
        values=_checked_values(document.s),
        positions={PodId(_checked_id(pod)): _unpack(place) for pod, place in document.p.items()},
    )


def cursor_to_text(data: bytes) -> str:
    """Return an encoded cursor as it stands in a link: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def cursor_from_text(text: str) -> Cursor:
    """Return the cursor of a link. Raises BadInput."""
    if not 0 < len(text) <= MAX_CURSOR_CHARS or not text.isascii():
        raise _bad_cursor()
    try:
        standard = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
        data = base64.b64decode(standard, validate=True)
    except ValueError:
        raise _bad_cursor() from None
    return decode_cursor(data)


def position_key(list_hash: str, last_id: str) -> str:
    """Return the key under which the positions at the end of a page are kept."""
    return hashlib.sha256(f"{list_hash}\n{last_id}".encode()).hexdigest()


def _pack(position: Position) -> str | _Place:
    if position.last_id is not None and position.safe and position.values is None:
        return position.last_id
    values = None if position.values is None else list(position.values)
    return _Place(position.last_id, position.safe, values)


def _unpack(place: str | _Place) -> Position:
    if isinstance(place, str):
        return Position(_checked_id(place))
    last_id = None if place.last_id is None else _checked_id(place.last_id)
    return Position(last_id, _checked_values(place.values), place.safe)


def _checked_id(text: str) -> str:
    if not 0 < len(text) <= _MAX_ID_CHARS or not text.isprintable():
        raise _bad_cursor()
    return text


def _checked_values(values: list[str | int | float | bool | None] | None) -> Values | None:
    if values is None:
        return None
    if len(values) > _MAX_VALUES:
        raise _bad_cursor()
    return tuple(values)


def _bad_cursor() -> BadInput:
    return BadInput(
        f"{CURSOR_PARAMETER} is not one that this service gave; follow the 'next' link of a "
        "list unchanged, or leave it out and list from the start"
    )
