"""Finding the spare ports of boots that were cut short, and those nobody needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from tricircle.core.jobs import RepairSparePort
from tricircle.core.model import BottomId, Pod, PodId
from tricircle.core.network.objects import Network, Port
from tricircle.core.network.spares import SparePort
from tricircle.interfaces.store import SparePortStore
from tricircle.usecases.networking.neutron import Neutrons
from tricircle.usecases.spare_repair import Ages, is_of_boot

_BATCH = 200


class SpareFinder:
    """Finds the spares that are to be looked at. Changes nothing."""

    def __init__(
        self,
        neutrons: Neutrons,
        spares: SparePortStore,
        find_pod: Callable[[PodId], Pod | None],
        ages: Ages,
    ) -> None:
        self._neutrons, self._spares = neutrons, spares
        self._find_pod, self._ages = find_pod, ages

    async def find(
        self, older_than_s: float, request_id: str
    ) -> AsyncIterator[tuple[RepairSparePort, ...]]:
        """Yield what is taken and has not changed for ``older_than_s``, or ready and of no use.

        Raises PodError when the top does not answer.
        """
        after: tuple[PodId, BottomId] | None = None
        while True:
            rows = await self._spares.list_old(older_than_s, limit=_BATCH, after=after)
            if rows:
                yield await self._judge(rows, request_id)
            if len(rows) < _BATCH:
                return
            after = (rows[-1].pod_id, rows[-1].port_id)

    async def is_of_boot(self, port: Port) -> bool:
        """Tell whether a port of the top is of a boot that has taken a spare for it."""
        return await is_of_boot(self._spares, port)

    async def _judge(
        self, rows: Sequence[SparePort], request_id: str
    ) -> tuple[RepairSparePort, ...]:
        ids = sorted({row.network_id for row in rows if row.boot_id is None})
        top = self._neutrons.top(request_id)
        present = {one.id for one in (await top.list_all(Network, id=ids) if ids else ())}
        return tuple(
            RepairSparePort(row.pod_id, row.port_id, row.project_id)
            for row in rows
            if row.boot_id is not None or self._is_useless(row, row.network_id in present)
        )

    def _is_useless(self, row: SparePort, is_wanted: bool) -> bool:
        pod = self._find_pod(row.pod_id)
        if pod is not None and not pod.enabled:
            return True
        return not is_wanted or self._ages.has_expired(row)
