"""The pods and the zone map as every request of this process sees them.

One snapshot for a short time, so that a request costs no query for them. What an
operator changes is seen by every process within the refresh interval.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from tricircle.core.errors import ServiceUnavailable
from tricircle.core.placing import Topology
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.store import PodStore, ZoneStore

log = logging.getLogger(__name__)


class Directory:
    """Keeps the newest snapshot and tells whoever must know when it has changed."""

    def __init__(
        self,
        pods: PodStore,
        zones: ZoneStore,
        clock: Clock,
        interval_s: float,
        changed: Callable[[Topology], None],
    ) -> None:
        self._pods, self._zones, self._clock = pods, zones, clock
        self._interval_s, self._changed = interval_s, changed
        self.topology = Topology()

    async def refresh(self) -> Topology:
        """Read pods and zone map now. Raises ServiceUnavailable, keeping the last snapshot."""
        pods = await self._pods.list_pods()
        zone_pods = await self._zones.list_zone_pods()
        newest = Topology(tuple(pods), tuple(zone_pods))
        if newest != self.topology:
            self.topology = newest
            self._changed(newest)
        return self.topology

    async def run(self) -> None:
        """Refresh for ever; while the database is away the last snapshot stays in force."""
        while True:
            try:
                await self.refresh()
            except ServiceUnavailable as error:
                log.warning("pods not refreshed", extra={"reason": str(error)})
            await self._clock.sleep(self._interval_s)
