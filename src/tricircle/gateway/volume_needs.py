"""What the volume of a request asks of its pod, be it Cinder's or Nova's old proxy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from tricircle.core.bodies import read_value
from tricircle.core.weighing import Needs
from tricircle.core.wishes import Replica
from tricircle.gateway.request import Inbound
from tricircle.usecases.demands import Demands

_SOURCES = ("volume.snapshot_id", "volume.source_volid", "volume.backup_id")

ReplicaNames = Mapping[Replica, Sequence[str]]
"""What a request is made of that all pods have alike, by names or ids at the top."""
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
        for label in await self._types(inbound):
            found = await self._demands.find_volume_type(label, inbound.request_id)
            needs = replace(needs, tags=needs.tags | (found or Needs()).tags)
        return needs

    async def names(self, inbound: Inbound) -> ReplicaNames:
        """Return the types that a new volume or group is made of, and whose default type counts."""
        names = {Replica.VOLUME_TYPE: await self._types(inbound)}
        group_type = read_value(inbound.body, "group.group_type")
        if isinstance(group_type, str) and group_type:
            names[Replica.GROUP_TYPE] = [group_type]
        if _takes_default(inbound.body) and inbound.caller.project_id:
            names[Replica.DEFAULT_TYPE] = [inbound.caller.project_id]
        return names

    async def _types(self, inbound: Inbound) -> list[str]:
        labels = [await self._type_of(inbound), *_types_of_group(inbound.body)]
        return [label for label in labels if label]

    async def _type_of(self, inbound: Inbound) -> str:
        """Return name or id of the new volume's type, '' when its source has one."""
        if _takes_default(inbound.body):
            return await self._default_of(inbound)
        named = read_value(inbound.body, "volume.volume_type")
        return named if isinstance(named, str) else ""


def _takes_default(body: bytes) -> bool:
    """Tell whether a new volume gets the type that its project's volumes have by default."""
    if read_value(body, "volume") is None:
        return False
    deciding = ("volume.volume_type", *_SOURCES)
    return all(read_value(body, place) is None for place in deciding)


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
