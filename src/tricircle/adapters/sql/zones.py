"""The zone map in the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy.exc import IntegrityError

from tricircle.adapters.sql.database import AnyRow, Database
from tricircle.adapters.sql.statements import zones as statements
from tricircle.adapters.sql.statements.pods import find_pods
from tricircle.core.conflicts import (
    find_zone_conflict,
    taken_zone,
    unknown_pod,
    unknown_zone_pod,
)
from tricircle.core.errors import Conflict, TricircleError
from tricircle.core.model import PodId, ZoneName, ZonePod
from tricircle.core.texts import is_storable, require_storable


class SqlZones:
    """``interfaces.store.ZoneStore`` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_zone_pods(self) -> Sequence[ZonePod]:
        """Return the whole map, ordered by zone and pod id."""
        return _read_entries(await self._database.read(statements.list_zone_pods()))

    async def add_zone_pod(self, entry: ZonePod) -> ZonePod:
        """Keep an entry. Raises Duplicate, NotFound for an unknown pod."""
        _require_storable_entry(entry)
        try:
            await self._database.write(statements.add_zone_pod(entry))
        except IntegrityError:
            raise await self._refusal_of(entry) from None
        return entry

    async def update_zone_pod(self, entry: ZonePod) -> ZonePod:
        """Change ``pod_az`` of an entry. Raises NotFound, Duplicate."""
        _require_storable_entry(entry)
        try:
            changed = await self._database.write(statements.update_zone_pod(entry))
        except IntegrityError:
            conflict = find_zone_conflict(entry, await self._read_rivals(entry))
            raise conflict or _changed_meanwhile(entry) from None
        if not changed:
            raise unknown_zone_pod(entry.zone, entry.pod_id)
        return entry

    async def delete_zone_pod(self, zone: ZoneName, pod_id: PodId) -> None:
        """Delete an entry. Raises NotFound."""
        known = is_storable(zone) and is_storable(pod_id)
        if not known or not await self._database.write(statements.delete_zone_pod(zone, pod_id)):
            raise unknown_zone_pod(zone, pod_id)

    async def _refusal_of(self, entry: ZonePod) -> TricircleError:
        rivals = await self._read_rivals(entry)
        if any(rival.zone == entry.zone for rival in rivals):
            return taken_zone(entry)
        if not await self._database.read(find_pods([entry.pod_id])):
            return unknown_pod(entry.pod_id)
        return find_zone_conflict(entry, rivals) or _changed_meanwhile(entry)

    async def _read_rivals(self, entry: ZonePod) -> Sequence[ZonePod]:
        return _read_entries(await self._database.read(statements.find_rivals(entry)))


def _read_entries(rows: Iterable[AnyRow]) -> Sequence[ZonePod]:
    return [ZonePod(ZoneName(row.zone), PodId(row.pod_id), row.pod_az or "") for row in rows]


def _require_storable_entry(entry: ZonePod) -> None:
    require_storable("the zone", entry.zone)
    require_storable("the id of the pod", entry.pod_id)
    require_storable("the zone of the pod", entry.pod_az)


def _changed_meanwhile(entry: ZonePod) -> Conflict:
    return Conflict(
        f"the zone map of pod {entry.pod_id} changed at the same time; please try again"
    )
