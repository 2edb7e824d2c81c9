"""Lists that are cut by ``limit`` and ``offset`` and have no order but the newest first.

Nova shows Cinder's volumes and snapshots so: all of them as Cinder lists them, then a
slice (``limited`` in nova/api/openstack/common.py).
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tricircle.core.query import list_values, with_parameter, without_parameters

LARGEST = 1000
"""Nova's own default of ``max_limit``."""

_NUMBER = re.compile(r"[0-9]{1,4000}")
_OUR_OWN = ("limit", "offset")


@dataclass(frozen=True, slots=True)
class Slice:
    """Which rows of a list are asked for."""

    offset: int
    limit: int

    @property
    def end(self) -> int:
        """Return how many rows of a list must be known to cut the slice out."""
        return self.offset + self.limit

    def cut(self, rows: Sequence[msgspec.Raw]) -> Sequence[msgspec.Raw]:
        """Return the rows of the slice."""
        return rows[self.offset : self.end]


def read_slice(query: str) -> Slice | None:
    """Return what a query asks for; None for a query that Nova refuses."""
    values = {name: list_values(query, name) for name in _OUR_OWN}
    if not all(_NUMBER.fullmatch(one) for found in values.values() for one in found):
        return None
    offset, limit = (int(values[name][-1]) if values[name] else 0 for name in ("offset", "limit"))
    return Slice(offset, min(limit or LARGEST, LARGEST))


def slice_query(query: str, offset: int, limit: int) -> str:
    """Return a client's query with a slice for one pod instead of its own."""
    query = without_parameters(query, _OUR_OWN)
    return with_parameter(with_parameter(query, "limit", str(limit)), "offset", str(offset))


class _Age(msgspec.Struct):
    created: str | None = msgspec.field(name="createdAt", default=None)
    id: str = ""


_read_age = msgspec.json.Decoder(_Age).decode
_read_list = msgspec.json.Decoder(dict[str, list[msgspec.Raw]]).decode


def read_rows(body: bytes, collection: str) -> list[msgspec.Raw]:
    """Return the rows of a pod's list. Raises ValueError when they cannot be put in order."""
    try:
        rows = _read_list(body)[collection]
    except KeyError:
        raise ValueError(f"the answer has no '{collection}'") from None
    for row in rows:
        _read_age(row)
    return rows


def merge_newest_first(runs: Sequence[Sequence[msgspec.Raw]]) -> list[msgspec.Raw]:
    """Return the rows of all pods, the newest first, each pod's in the order it gave them."""
    return list(heapq.merge(*runs, key=_age_of, reverse=True))


def _age_of(row: msgspec.Raw) -> tuple[str, str]:
    age = _read_age(row)
    return age.created or "", age.id
