"""The pod that an exported backup is imported into: the one that can read it."""

from __future__ import annotations

from dataclasses import dataclass

from tricircle.core.backup_records import BackupRecord, read_backup_record
from tricircle.core.bodies import read_value
from tricircle.core.errors import NotFound
from tricircle.core.model import Kind, PodId
from tricircle.core.table import Finder
from tricircle.gateway.asking import Finders
from tricircle.gateway.creation import PlainCreation
from tricircle.gateway.hooks import Batch, Demand
from tricircle.gateway.request import Inbound
from tricircle.usecases.locate import Locator, is_id

_SERVICES = Finder("/os-services", "services[].host", "", filter="host")


@dataclass(frozen=True, slots=True)
class BackupRecords:
    """Chooses pods for records: ``gateway.hooks.CreateHook``."""

    locator: Locator
    finders: Finders

    async def demand(self, inbound: Inbound) -> Demand:
        """Return the pod that a record is for, if it says so.

        A backup keeps its id, so one that exists already is its pod's to refuse: no two pods
        may have it. Else it is the pod of the host that made it, when only one has such a host.
        """
        record = read_backup_record(read_value(inbound.body, "backup-record.backup_url"))
        if record is None:
            return Demand()
        return Demand(
            must=await self._find_existing(inbound, record)
            or await self._find_maker(inbound, record)
        )

    async def begin(self, inbound: Inbound, demand: Demand) -> Batch:
        """Return the one import that a request stands for."""
        return Batch([PlainCreation(inbound.body)])

    async def _find_existing(self, inbound: Inbound, record: BackupRecord) -> PodId | None:
        if not is_id(record.backup_id):
            return None
        try:
            place = await self.locator.locate(Kind.BACKUP, record.backup_id, inbound.caller)
        except NotFound:
            return None
        return place.pod_id

    async def _find_maker(self, inbound: Inbound, record: BackupRecord) -> PodId | None:
        if not record.host:
            return None
        pods = await self.finders.find_all(inbound, _SERVICES, record.host)
        return pods[0].id if len(pods) == 1 else None
