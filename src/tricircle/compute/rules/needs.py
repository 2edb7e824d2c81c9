"""What the servers of a request, or the volume of Nova's old proxy, ask of their pod."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tricircle.compute.rules.counted_boot import flavor_id_of
from tricircle.core.bodies import read_value
from tricircle.core.weighing import Needs
from tricircle.core.wishes import Replica
from tricircle.gateway.request import Inbound
from tricircle.gateway.volume_needs import ReplicaNames, VolumeNeeds
from tricircle.usecases.demands import Demands

_DEVICES = "server.block_device_mapping_v2"
_OLD_DEVICES = "server.block_device_mapping"


class ServerNeeds:
    """Knows it of ``POST /servers`` and ``POST /os-volumes``."""

    def __init__(self, demands: Demands) -> None:
        self._demands = demands
        self._volumes = VolumeNeeds(demands, _no_default)

    async def of(self, inbound: Inbound) -> Needs:
        """Return what is asked for at least."""
        if read_value(inbound.body, "volume") is not None:
            return await self._volumes.of(inbound)
        flavor_id = flavor_id_of(read_value(inbound.body, "server.flavorRef"))
        found = None
        if flavor_id is not None:
            found = await self._demands.find_flavor(flavor_id, inbound.request_id)
        needs = (found or Needs()).times(_count(inbound.body))
        devices = read_value(inbound.body, _DEVICES)
        if devices or read_value(inbound.body, _OLD_DEVICES):
            needs = replace(needs, disk_gib=0)  # its disk is a volume
        for label in _volume_types(devices):
            made = await self._demands.find_volume_type(label, inbound.request_id)
            needs = replace(needs, tags=needs.tags | (made or Needs()).tags)
        return needs

    async def names(self, inbound: Inbound) -> ReplicaNames:
        """Return the volume types that a server or a volume of Nova's proxy is made of."""
        if read_value(inbound.body, "volume") is not None:
            return await self._volumes.names(inbound)
        devices = read_value(inbound.body, _DEVICES)
        return {Replica.VOLUME_TYPE: list(_volume_types(devices))}


async def _no_default(_inbound: Inbound) -> str:
    """Return no type: Nova does not tell which one Cinder would take."""
    return ""


def _volume_types(devices: object) -> Iterator[str]:
    """Return the types of the volumes that are made with a server."""
    for device in devices if isinstance(devices, list) else ():
        label = device.get("volume_type") if isinstance(device, dict) else None
        if isinstance(label, str) and label:
            yield label


def _count(body: bytes) -> int:
    """Return how many servers there must be at least; what is no count the pod will refuse."""
    value = read_value(body, "server.min_count")
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return max(int(text), 1) if text.isascii() and text.isdecimal() and len(text) < 6 else 1
