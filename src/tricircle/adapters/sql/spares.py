"""Ports that are ready in pods, in the database."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
from sqlalchemy.exc import IntegrityError

from tricircle.adapters.sql.database import AnyRow, Database
from tricircle.adapters.sql.statements import spares as statements
from tricircle.adapters.sql.statements.spares import SpareKey
from tricircle.core.conflicts import require_storable_spare, unknown_pod
from tricircle.core.model import BottomId, PodId, ProjectId, TopId
from tricircle.core.network.objects import FixedIp
from tricircle.core.network.spares import SparePort
from tricircle.core.texts import is_storable, require_storable
from tricircle.interfaces.store import MAX_READY


class SqlSpares:
    """``interfaces.store.SparePortStore`` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep_spare(self, spare: SparePort) -> None:
        """Keep a spare that is ready; one that is known already is left as it is.

        Raises NotFound when the pod is not there.
        """
        require_storable_spare(spare)
        try:
            await self._database.write(statements.keep_spare(self._database.backend, spare))
        except IntegrityError:
            raise unknown_pod(spare.pod_id) from None

    async def list_ready(self, network_id: TopId, project_id: ProjectId) -> Sequence[SparePort]:
        """Return the spares that nobody has taken, of all pods, oldest first."""
        if not is_storable(network_id) or not is_storable(project_id):
            return ()
        reading = statements.list_ready(network_id, project_id, MAX_READY)
        return [_read_spare(row) for row in await self._database.read(reading)]

    async def take_spare(self, spare: SparePort, boot_id: str, group_ids: Sequence[str]) -> bool:
        """Give a ready spare to one boot; False when somebody has it, or it is gone.

        A boot that asks again is told False too: two servers of one request may ask for
        the same spare. So is one whose first answer was lost; that spare is then swept.
        """
        require_storable("the id of the boot", boot_id)
        key = (spare.pod_id, spare.port_id)
        if not _is_storable(key):
            return False
        taking = statements.take_spare(key, boot_id, group_ids)
        return bool(await self._database.write(taking))

    async def find_spare(self, pod_id: PodId, port_id: BottomId) -> SparePort | None:
        """Return a spare, taken or ready."""
        key = (pod_id, port_id)
        if not _is_storable(key):
            return None
        rows = await self._database.read(statements.find_spare(key))
        return _read_spare(rows[0]) if rows else None

    async def find_taken(
        self, network_id: TopId, project_id: ProjectId, mac_address: str
    ) -> SparePort | None:
        """Return the spare with this MAC on a network, in any pod, if it is taken."""
        if not all(is_storable(one) for one in (network_id, project_id, mac_address)):
            return None
        reading = statements.find_taken(network_id, project_id, mac_address)
        rows = await self._database.read(reading)
        return _read_spare(rows[0]) if rows else None

    async def list_old(
        self, older_than_s: float, *, limit: int = 1000, after: SpareKey | None = None
    ) -> Sequence[SparePort]:
        """Return spares that have not changed for a while, in primary-key order."""
        reading = statements.list_old(older_than_s, limit, after)
        return [_read_spare(row) for row in await self._database.read(reading)]

    async def forget_spare(self, pod_id: PodId, port_id: BottomId) -> None:
        """Delete our record (not the port); nothing happens when there is none."""
        key = (pod_id, port_id)
        if _is_storable(key):
            await self._database.write(statements.forget_spare(key))


def _is_storable(key: SpareKey) -> bool:
    return all(is_storable(part) for part in key)


def _read_spare(row: AnyRow) -> SparePort:
    return SparePort(
        pod_id=PodId(row.pod_id),
        port_id=BottomId(row.port_id),
        network_id=TopId(row.network_id),
        project_id=ProjectId(row.project_id),
        mac_address=row.mac_address,
        addresses=msgspec.convert(json.loads(row.addresses), tuple[FixedIp, ...]),
        boot_id=row.boot_id,
        group_ids=tuple(json.loads(row.group_ids)),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
