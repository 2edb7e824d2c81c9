"""Quotas of servers as Nova checks them, in its own words.

After ``check_num_instances_quota`` and its neighbours in nova/compute/utils.py and
nova/compute/api.py (Nova 34 and 31).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tricircle.core.model import Service
from tricircle.core.quotas import Amounts, Counting, Excess, Limits, Standing, find_excess

COUNTED = ("instances", "cores", "ram")
"""What is held at the top. All else is of one server, user or group, and checked by pods."""

SERVERS = Counting(Service.COMPUTE, COUNTED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many servers are asked for, at least and at most, and what one of them takes."""

    least: int
    most: int
    one: Amounts

    @property
    def share(self) -> Amounts:
        """What one server takes."""
        return {"instances": 1, **self.one}

    def times(self, count: int) -> Amounts:
        """Return what so many servers take."""
        return {name: amount * count for name, amount in self.share.items()}


@dataclass(frozen=True, slots=True)
class TooMany:
    """That a request is refused, in Nova's words."""

    message: str


def fit(wanted: Wanted, standing: Standing, limits: Limits, user_id: str) -> int | TooMany:
    """Return how many servers may be made, at least ``wanted.least``, or why none.

    Nova makes fewer than were asked for when the quota leaves room for the least.
    """
    most = wanted.most
    while True:
        deltas = wanted.times(most)
        excess = find_excess(deltas, standing, limits, user_id)
        if excess is None:
            return most
        allowed = _allowed(wanted, most, excess)
        if not (allowed > 0 and wanted.least <= allowed < most):
            return TooMany(_message(wanted, most, excess))
        most = allowed


def _allowed(wanted: Wanted, most: int, excess: Excess) -> int:
    room = {name: excess.limits[name] - excess.used.get(name, 0) for name in wanted.share}
    allowed = room["instances"]
    for name, amount in wanted.one.items():
        if not amount:
            continue
        # what has no limit leaves room for as many as there may be instances
        left = room["instances"] * amount if excess.limits[name] == -1 else room[name]
        allowed = min(allowed, left // amount)
    return allowed


def _message(wanted: Wanted, most: int, excess: Excess) -> str:
    instances = str(wanted.least) if wanted.least == most else f"{wanted.least}-{most}"
    requested: dict[str, object] = {**wanted.times(most), "instances": instances}
    return exceeded(excess, requested)


def exceeded(excess: Excess, requested: Mapping[str, object]) -> str:
    """Return the message of Nova's TooManyInstances."""

    def told(values: Mapping[str, object]) -> str:
        return ", ".join(str(values.get(name, 0)) for name in excess.resources)

    names = ", ".join(excess.resources)
    return (
        f"Quota exceeded for {names}: Requested {told(requested)}, "
        f"but already used {told(excess.used)} of {told(excess.limits)} {names}"
    )
