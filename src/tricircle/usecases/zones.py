"""The zone map: which pods serve an availability zone of the top."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from tricircle.core.errors import NotFound
from tricircle.core.model import Pod, ZoneName, ZonePod
from tricircle.interfaces.store import PodStore, ZoneStore
from tricircle.usecases.pods import get_named_pod, get_pod

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ZoneMap:
    """The two tables a zone is read from."""

    pods: PodStore
    zones: ZoneStore


@dataclass(frozen=True, slots=True)
class ZoneMember:
    """A pod that serves a zone, and the zone it is sent there."""

    pod: Pod
    pod_az: str


@dataclass(frozen=True, slots=True)
class Zone:
    """An availability zone of the top with its pods, ordered by name.

    A zone exists as long as a pod serves it.
    """

    name: ZoneName
    members: Sequence[ZoneMember]


async def list_zones(tables: ZoneMap) -> Sequence[Zone]:
    """Return all zones ordered by name."""
    entries = await tables.zones.list_zone_pods()
    pods = {pod.id: pod for pod in await tables.pods.list_pods()}
    # An entry whose pod is missing here was deleted between the two reads.
    known = [entry for entry in entries if entry.pod_id in pods]
    return [
        Zone(
            name,
            sorted(
                (ZoneMember(pods[entry.pod_id], entry.pod_az) for entry in group),
                key=lambda member: member.pod.name,
            ),
        )
        for name, group in groupby(sorted(known, key=_zone_of), key=_zone_of)
    ]


def _zone_of(entry: ZonePod) -> ZoneName:
    return entry.zone


async def get_zone(tables: ZoneMap, name: str) -> Zone:
    """Return one zone. Raises NotFound."""
    found = next((zone for zone in await list_zones(tables) if zone.name == name), None)
    if found is None:
        raise NotFound(f"zone '{name}' could not be found; see GET /v1/zones")
    return found


async def get_member(tables: ZoneMap, name: str, pod_key: str) -> ZoneMember:
    """Return one pod of a zone, by its id or name. Raises NotFound."""
    pod = await get_pod(tables.pods, pod_key)
    zone = await get_zone(tables, name)
    found = next((member for member in zone.members if member.pod.id == pod.id), None)
    if found is None:
        raise NotFound(f"pod '{pod.name}' does not serve zone '{name}'")
    return found


async def add_member(tables: ZoneMap, name: str, pod_key: str, pod_az: str) -> Zone:
    """Return the zone with the pod in it. Raises BadInput for an unknown pod, Duplicate."""
    pod = await get_named_pod(tables.pods, pod_key)
    await tables.zones.add_zone_pod(ZonePod(ZoneName(name), pod.id, pod_az))
    log.info("pod serves zone", extra={"pod": pod.name, "zone": name, "pod_az": pod_az})
    return await get_zone(tables, name)


async def update_member(tables: ZoneMap, name: str, pod_key: str, pod_az: str) -> ZoneMember:
    """Return the pod of a zone with ``pod_az`` changed. Raises NotFound, Duplicate."""
    member = await get_member(tables, name, pod_key)
    await tables.zones.update_zone_pod(ZonePod(ZoneName(name), member.pod.id, pod_az))
    log.info("zone changed", extra={"pod": member.pod.name, "zone": name, "pod_az": pod_az})
    return ZoneMember(member.pod, pod_az)


async def remove_member(tables: ZoneMap, name: str, pod_key: str) -> None:
    """Take a pod out of a zone; what it holds stays where it is. Raises NotFound."""
    member = await get_member(tables, name, pod_key)
    await tables.zones.delete_zone_pod(ZoneName(name), member.pod.id)
    log.info("pod left zone", extra={"pod": member.pod.name, "zone": name})
