"""Servers whose pod makes volumes for them: those are counted when they must be there.

Nova asks Cinder of its pod for them some time after its answer, where nothing is refused that
the top counts; so they cannot be reserved, and a count finds them.
"""

from __future__ import annotations

from dataclasses import replace

from tricircle.core.bodies import read_values
from tricircle.core.quotas import Holder
from tricircle.core.volume_quotas import VOLUMES
from tricircle.gateway.counted import CountedCreation, Uncounted
from tricircle.gateway.counted_volumes import VolumeClaims
from tricircle.gateway.hooks import Batch, CreateHook, Demand
from tricircle.gateway.request import Inbound

_SOURCES = ("blank", "image", "snapshot")


class BootedVolumes:
    """Boots whose new volumes are counted afterwards; see ``gateway.hooks.CreateHook``."""

    def __init__(self, inner: CreateHook, claims: VolumeClaims) -> None:
        self._inner, self._claims = inner, claims

    async def demand(self, inbound: Inbound) -> Demand:
        """Return what the boot itself demands."""
        return await self._inner.demand(inbound)

    async def begin(self, inbound: Inbound, demand: Demand) -> Batch:
        """Return the boots of a request; those with new volumes have their project counted."""
        batch = await self._inner.begin(inbound, demand)
        project_id = inbound.caller.project_id
        if project_id is None or not _makes_volumes(inbound.body):
            return batch
        if not await self._claims.are_counted(project_id):
            return batch
        uncounted = Uncounted(Holder(VOLUMES.service, project_id), is_late=True)
        keeper, request_id = self._claims.keeper, inbound.request_id
        creations = [
            CountedCreation(keeper, request_id, one, None, uncounted=uncounted)
            for one in batch.creations
        ]
        return replace(batch, creations=creations)


def _makes_volumes(body: bytes) -> bool:
    """Tell whether a server is to get volumes that are not there yet."""
    devices = [
        *read_values(body, "server.block_device_mapping_v2[]"),
        *read_values(body, "server.block_device_mapping[]"),
    ]
    return any(_is_new(device) for device in devices if isinstance(device, dict))


def _is_new(device: dict[str, object]) -> bool:
    """Tell whether a device is a new volume; the older form of devices names a snapshot then."""
    if "source_type" not in device:
        return bool(device.get("snapshot_id"))
    return device["source_type"] in _SOURCES and device.get("destination_type") == "volume"
