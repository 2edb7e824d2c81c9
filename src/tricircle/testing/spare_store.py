"""The ports that are ready in pods, in memory; see ``testing.store``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from tricircle.core.conflicts import require_storable_spare
from tricircle.core.model import BottomId, PodId, ProjectId, TopId
from tricircle.core.network.spares import SparePort
from tricircle.core.texts import require_storable
from tricircle.interfaces.store import MAX_READY
from tricircle.testing.routing_store import Now, RequirePod

SpareKey = tuple[PodId, BottomId]


@dataclass(slots=True)
class SpareTable:
    """Spares by primary key."""

    spares: dict[SpareKey, SparePort] = field(default_factory=dict)

    def list_all(self) -> Sequence[SparePort]:
        """Return all spares in primary-key order."""
        return [self.spares[key] for key in sorted(self.spares)]

    def forget_pod(self, pod_id: PodId) -> None:
        """Drop the spares of a pod that is deleted."""
        self.spares = {key: spare for key, spare in self.spares.items() if key[0] != pod_id}


class MemorySpares:
    """``interfaces.store.SparePortStore`` in memory."""

    def __init__(self, table: SpareTable, now: Now, require_pod: RequirePod) -> None:
        self._table = table
        self._now = now
        self._require_pod = require_pod

    async def keep_spare(self, spare: SparePort) -> None:
        """Keep a spare that is ready; one that is known already is left as it is."""
        require_storable_spare(spare)
        self._require_pod(spare.pod_id)
        now = self._now()
        ready = replace(spare, boot_id=None, group_ids=(), created_at=now, updated_at=now)
        self._table.spares.setdefault((spare.pod_id, spare.port_id), ready)

    async def list_ready(self, network_id: TopId, project_id: ProjectId) -> Sequence[SparePort]:
        """Return the spares that nobody has taken, of all pods, oldest first."""
        ready = [
            (spare.created_at, spare)
            for spare in self._table.list_all()
            if spare.boot_id is None
            and spare.created_at is not None
            and (spare.network_id, spare.project_id) == (network_id, project_id)
        ]
        return [spare for _, spare in sorted(ready, key=lambda each: each[0])][:MAX_READY]

    async def take_spare(self, spare: SparePort, boot_id: str, group_ids: Sequence[str]) -> bool:
        """Give a ready spare to one boot; False when somebody has it, or it is gone."""
        require_storable("the id of the boot", boot_id)
        key = (spare.pod_id, spare.port_id)
        kept = self._table.spares.get(key)
        if kept is None or kept.boot_id is not None:
            return False
        self._table.spares[key] = replace(
            kept, boot_id=boot_id, group_ids=tuple(group_ids), updated_at=self._now()
        )
        return True

    async def find_spare(self, pod_id: PodId, port_id: BottomId) -> SparePort | None:
        """Return a spare, taken or ready."""
        return self._table.spares.get((pod_id, port_id))

    async def find_taken(
        self, network_id: TopId, project_id: ProjectId, mac_address: str
    ) -> SparePort | None:
        """Return the spare with this MAC on a network, in any pod, if it is taken."""
        wanted = (network_id, project_id, mac_address)
        for spare in self._table.list_all():
            is_it = (spare.network_id, spare.project_id, spare.mac_address) == wanted
            if is_it and spare.boot_id is not None:
                return spare
        return None

    async def list_old(
        self, older_than_s: float, *, limit: int = 1000, after: SpareKey | None = None
    ) -> Sequence[SparePort]:
        """Return spares that have not changed for a while, in primary-key order."""
        latest = self._now() - timedelta(seconds=older_than_s)
        found = [
            spare
            for spare in self._table.list_all()
            if spare.updated_at is not None
            and spare.updated_at <= latest
            and (after is None or (spare.pod_id, spare.port_id) > after)
        ]
        return found[:limit]

    async def forget_spare(self, pod_id: PodId, port_id: BottomId) -> None:
        """Delete our record (not the port); nothing happens when there is none."""
        self._table.spares.pop((pod_id, port_id), None)
