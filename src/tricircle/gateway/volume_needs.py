"""What the volume of a request asks of its pod, be it Cinder's or Nova's old proxy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from tricircle.core.bodies import read_value
from tricircle.core.weighing import Needs
from tricircle.gateway.request import Inbound
from tricircle.usecases.demands import Demands

_SOURCES = ("volume.snapshot_id", "volume.source_volid", "volume.backup_id")

DefaultOf = Callable[[Inbound], Awaitable[str]]
"""Returns the name of the type that a caller gets without naming one, '' when nobody tells."""


class VolumeNeeds:
    """Knows it of ``POST /volumes`` and of groups, which have types of their volumes to come."""

    def __init__(self, demands: Demands, default_of: DefaultOf) -> None:
        self._demands, self._default_of = demands, default_of

    async def of(self, inbound: Inbound) -> Needs:
        """Return the size that is named, if any, and the tags that volume types demand.

        A volume that is to be managed is somewhere already.
        """
        if read_value(inbound.body, "volume.ref") is not None:
            return Needs()
        needs = Needs(volume_gib=_size(inbound.body))
        for label in [await self._type_of(inbound), *_types_of_group(inbound.body)]:
            found = None
            if label:
                found = await self._demands.find_volume_type(label, inbound.request_id)
            needs = replace(needs, tags=needs.tags | (found or Needs()).tags)
        return needs

    async def _type_of(self, inbound: Inbound) -> str:
        """Return name or id of the new volume's type, '' when its source has one."""
        named = read_value(inbound.body, "volume.volume_type")
        if named is not None:
            return named if isinstance(named, str) else ""
        if read_value(inbound.body, "volume") is None:
            return ""
        if any(read_value(inbound.body, source) is not None for source in _SOURCES):
            return ""
        return await self._default_of(inbound)


def _types_of_group(body: bytes) -> list[str]:
    """Return the volume types of a group; those of a consistency group are one text."""
    types = read_value(body, "group.volume_types")
    if isinstance(types, list):
        return [label for label in types if isinstance(label, str)]
    types = read_value(body, "consistencygroup.volume_types")
    return types.split(",") if isinstance(types, str) else []


def _size(body: bytes) -> int:
    """Return the GiB that are named; 0 when the source of the volume decides."""
    size = read_value(body, "volume.size")
    text = str(size) if isinstance(size, str | int) and not isinstance(size, bool) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
