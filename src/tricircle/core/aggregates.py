"""Host aggregates of the top: those of the same name and zone in all pods are one.

Nova's aggregates are an operator's sets of hosts. A pod can only hold its own hosts, so one
with hosts of several pods is one in each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tricircle.core.bodies import read_value, replace, set_value
from tricircle.core.model import PodId

ZONE = "availability_zone"


@dataclass(frozen=True, slots=True)
class PodAggregate:
    """What a pod shows of an aggregate, with the top's zone and id; ``number`` is the pod's id."""

    pod_id: PodId
    number: int
    item: bytes

    @property
    def name(self) -> str:
        """Return its name."""
        return str(read_value(self.item, "name"))

    @property
    def zone(self) -> str | None:
        """Return its zone at the top, if it has one."""
        value = read_value(self.item, ZONE)
        return value if isinstance(value, str) else None

    @property
    def hosts(self) -> list[str]:
        """Return its hosts."""
        found = read_value(self.item, "hosts")
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []

    @property
    def metadata(self) -> Mapping[str, str]:
        """Return its metadata, the zone among it."""
        found = read_value(self.item, "metadata")
        pairs = found.items() if isinstance(found, dict) else ()
        return {key: value for key, value in pairs if isinstance(value, str)}

    def is_one_with(self, other: PodAggregate) -> bool:
        """Tell whether both are the same aggregate of the top."""
        return (self.name, self.zone) == (other.name, other.zone)


def group_aggregates(found: Iterable[PodAggregate]) -> list[list[PodAggregate]]:
    """Return the aggregates of the top, each as what its pods show of it, in order."""
    groups: dict[tuple[str, str | None], list[PodAggregate]] = {}
    for one in found:
        groups.setdefault((one.name, one.zone), []).append(one)
    return list(groups.values())


def show_aggregate(parts: Sequence[PodAggregate]) -> bytes:
    """Return an aggregate as the first pod shows it, with hosts and metadata of all."""
    first, *others = parts
    item = first.item
    hosts = [host for one in others for host in one.hosts]
    if hosts:
        item = set_value(item, "hosts", [*first.hosts, *hosts])
    metadata = dict(first.metadata)
    for one in others:
        metadata = {**one.metadata, **metadata}
    if metadata != first.metadata:
        item = set_value(item, "metadata", metadata)
    return item


def with_zone(body: bytes, place: str, zone: str | None) -> bytes:
    """Return a body with the text at ``place`` replaced, if there is one."""
    return replace(body, place, lambda value: zone if isinstance(value, str) else value)


def with_number(message: bytes, number: int, top_id: str) -> bytes:
    """Return a pod's refusal with the id that the caller knows the aggregate by."""
    pattern = rf"([Aa]ggregate ){number}\b".encode()
    return re.sub(pattern, lambda found: found[1] + top_id.encode(), message)
