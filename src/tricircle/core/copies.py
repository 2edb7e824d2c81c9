"""One request for several servers as several requests for one.

Each server on a network of the top gets ports of its own before it is made, and
Nova refuses ports when it is to make more than one server, so the gateway counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from tricircle.core.bodies import read_value, remove_value, set_value
from tricircle.core.errors import BadInput

_MIN, _MAX, _NAME, _HOSTNAME = (
    f"server.{key}" for key in ("min_count", "max_count", "name", "hostname")
)


@dataclass(frozen=True, slots=True)
class Copies:
    """The bodies for one server each; fewer than ``needed`` of them are none at all."""

    bodies: tuple[bytes, ...]
    needed: int


def split_copies(body: bytes) -> Copies:
    """Return a ``POST /servers`` body as one body for each server it asks for.

    Several servers are named ``<name>-1``, ``<name>-2`` … as Nova names them. What is
    not a count is left for the pod to refuse. Raises BadInput in Nova's words when
    min_count is larger than max_count.
    """
    low, high = _count(body, _MIN), _count(body, _MAX)
    if low is None and high is None:
        return Copies((body,), 1)
    needed = low if low is not None else 1
    wanted = high if high is not None else needed
    if needed > wanted:
        raise BadInput("min_count must be <= max_count")
    if wanted < 2:
        return Copies((body,), 1)
    single = remove_value(remove_value(body, _MIN), _MAX)
    return Copies(tuple(_numbered(single, number) for number in range(1, wanted + 1)), needed)


def _numbered(body: bytes, number: int) -> bytes:
    for place in (_NAME, _HOSTNAME):
        text = read_value(body, place)
        if isinstance(text, str):
            body = set_value(body, place, f"{text}-{number}")
    return body


def _count(body: bytes, place: str) -> int | None:
    value = read_value(body, place)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    return int(text) if text.isdecimal() and 0 < int(text) <= 1000 else None
