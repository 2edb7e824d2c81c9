"""Quota sets and classes: what a request sets, and within which bounds.

After ``QuotaSetsController`` in nova/api/openstack/compute/quota_sets.py and
``get_settable_quotas`` in nova/quota.py (Nova 34 and 31). Pods check all that is wrong
with a request but the bounds of what only the top counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from tricircle.core.bodies import read_value, remove_value, set_value
from tricircle.core.errors import BadInput, MalformedBody
from tricircle.core.quotas import UNLIMITED, Amounts

_NUMBER = re.compile(r"-?[0-9]+")
_LARGEST = 0x7FFFFFFF
_TRUE = frozenset({"true", "1", "on", "yes"})


@dataclass(frozen=True, slots=True)
class Setting:
    """What a body sets. ``is_sound`` tells whether a pod will find all of its values good."""

    amounts: Amounts
    forces: bool
    is_sound: bool


def read_setting(body: bytes, place: str) -> Setting:
    """Return what the object at ``place`` sets; values that no pod takes are left out."""
    try:
        given = read_value(body, place)
    except MalformedBody:
        given = None
    if not isinstance(given, dict):
        return Setting({}, False, False)
    numbers = {name: _read(value) for name, value in given.items() if name != "force"}
    amounts = {name: value for name, value in numbers.items() if value is not None}
    forces = str(given.get("force", "")).lower() in _TRUE
    return Setting(amounts, forces, len(amounts) == len(numbers))


def _read(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    if not _NUMBER.fullmatch(text):
        return None
    return int(text) if UNLIMITED <= int(text) <= _LARGEST else None


def lift(body: bytes, place: str, names: Collection[str]) -> bytes:
    """Return the body with those limits unlimited, as a pod gets them."""
    for name in names:
        body = set_value(body, f"{place}.{name}", UNLIMITED)
    return body


def leave_out(body: bytes, place: str, names: Collection[str]) -> bytes:
    """Return the body without those limits."""
    for name in names:
        body = remove_value(body, f"{place}.{name}")
    return body


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known where a limit is to be set.

    ``limits`` are the project's, ``shared`` the sums of its users' own limits, ``own``
    the user's own before, ``used`` what the project, or the user, uses.
    """

    limits: Amounts
    shared: Amounts
    own: Amounts
    used: Amounts


def require_within(amounts: Amounts, bounds: Bounds, is_user: bool) -> None:
    """Return when all limits may be set. Raises BadInput in Nova's words."""
    for name, limit in amounts.items():
        remains = bounds.limits[name] - bounds.shared.get(name, 0)
        used = bounds.used.get(name, 0)
        if is_user:
            least, most = used, _sum(remains, bounds.own.get(name, 0))
        else:
            least, most = max(_difference(bounds.limits[name], remains), used), UNLIMITED
        if _size(limit) < _size(least):
            raise BadInput(
                f"Quota limit {limit} for {name} must be greater than or equal to already used "
                f"and reserved {least}."
            )
        if _size(limit) > _size(most):
            raise BadInput(f"Quota limit {limit} for {name} must be less than or equal to {most}.")


def _size(limit: int) -> float:
    return float("inf") if limit == UNLIMITED else limit


def _sum(one: int, other: int) -> int:
    return UNLIMITED if min(one, other) <= UNLIMITED else one + other


def _difference(one: int, other: int) -> int:
    return UNLIMITED if min(one, other) <= UNLIMITED else one - other


def show(body: bytes, place: str, values: Mapping[str, int], key: Callable[[str], str]) -> bytes:
    """Return a pod's answer with the top's values where the pod shows its own.

    ``key`` makes of a resource's name where its value is below ``place``.
    """
    for name, value in values.items():
        where = f"{place}.{key(name)}"
        if read_value(body, where) is not None:
            body = set_value(body, where, value)
    return body
