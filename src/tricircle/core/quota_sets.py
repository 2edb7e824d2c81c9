"""Quota sets and classes: what a request sets, and within which bounds.

After ``QuotaSetsController`` in nova/api/openstack/compute/quota_sets.py and
``get_settable_quotas`` in nova/quota.py (Nova 34 and 31). Pods check all that is wrong
with a request but the bounds of what only the top counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import msgspec

from tricircle.core.bodies import RawObject, edit_fields, encode, read_value, set_value
from tricircle.core.errors import BadInput, MalformedBody
from tricircle.core.quotas import UNLIMITED, Amounts

_NO_LIMITS = frozenset({"force", "id", "tenant_id"})
"""What a body may hold beside limits, in Nova or in Cinder."""
_LARGEST = 0x7FFFFFFF
_TRUE = frozenset({"true", "1", "on", "yes"})


@dataclass(frozen=True, slots=True)
class Setting:
    """What a body sets. ``is_sound`` tells whether a pod will find all of its values good."""

    amounts: Amounts
    forces: bool
    is_sound: bool


def read_setting(body: bytes, place: str, *, texts: bool = True) -> Setting:
    """Return what the object at ``place`` sets; values that no pod takes are left out.

    ``texts`` tells whether a number may be a text.
    """
    try:
        given = read_value(body, place)
    except MalformedBody:
        given = None
    if not isinstance(given, dict):
        return Setting({}, False, False)
    numbers = {
        name: None if isinstance(value, str) and not texts else _read(value)
        for name, value in given.items()
        if name not in _NO_LIMITS
    }
    amounts = {name: value for name, value in numbers.items() if value is not None}
    forces = str(given.get("force", "")).lower() in _TRUE
    return Setting(amounts, forces, len(amounts) == len(numbers))


def _read(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if UNLIMITED <= number <= _LARGEST else None


def lift(body: bytes, place: str, names: Collection[str]) -> bytes:
    """Return the body with those limits unlimited, as a pod gets them."""
    return edit_fields(
        body,
        place,
        lambda fields: {
            name: _raw(UNLIMITED) if name in names else value for name, value in fields.items()
        },
    )


def leave_out(body: bytes, place: str, names: Collection[str]) -> bytes:
    """Return the body without those limits."""
    return edit_fields(
        body,
        place,
        lambda fields: {name: value for name, value in fields.items() if name not in names},
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known where a limit is to be set.

    ``limits`` are those that hold for the project, ``project`` those of them that were set
    for itself, ``shared`` the sums of its users' own limits, ``own`` the user's own before,
    ``used`` what the project, or the user, uses.
    """

    limits: Amounts
    project: Amounts
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


def show(body: bytes, place: str, value_of: Callable[[str], int | None], inner: str) -> bytes:
    """Return a pod's answer with the top's values where the pod shows its own.

    ``value_of`` gives the top's value for a key below ``place``, None for what is the pod's.
    Where the pod shows an object, its ``inner`` is replaced, and else the whole value.
    """

    def shown(raw: bytes, value: int) -> msgspec.Raw:
        is_object = raw.lstrip()[:1] == b"{"
        return msgspec.Raw(set_value(raw, inner, value)) if is_object else _raw(value)

    def change(fields: RawObject) -> RawObject:
        values = {name: value_of(name) for name in fields}
        return {
            name: raw if (value := values[name]) is None else shown(bytes(raw), value)
            for name, raw in fields.items()
        }

    return edit_fields(body, place, change)


def _raw(value: int) -> msgspec.Raw:
    return msgspec.Raw(encode(value))
