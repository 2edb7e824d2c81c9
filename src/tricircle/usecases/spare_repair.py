"""Making an end of spare ports: those nobody needs, and those of boots that were cut short.

A boot that has taken a spare writes down what becomes of its port before the row goes.
So a row that is there and old is of a gateway that died, or of a boot that failed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tricircle.core.errors import NeutronRefused
from tricircle.core.jobs import RepairSparePort
from tricircle.core.model import (
    Kind,
    Origin,
    Pod,
    ProjectId,
    Routing,
    TopId,
)
from tricircle.core.network.marks import BOOT_OWNER, Mark, spare_mark
from tricircle.core.network.objects import Network, Port, Subnet
from tricircle.core.network.refusals import Form
from tricircle.core.network.spares import (
    GOING,
    SparePort,
    auto_subnets,
    is_complete,
    is_unchanged,
    routing_of,
    texts_of,
    top_port_values,
)
from tricircle.core.runs import Postponed
from tricircle.interfaces.store import SparePortStore
from tricircle.usecases.mended import Effect, Mended
from tricircle.usecases.networking.networks import Site
from tricircle.usecases.networking.neutron import Neutron
from tricircle.usecases.networking.ports import TopPort
from tricircle.usecases.networking.server_ports import ServerPorts, TwinStores, WantedPorts
from tricircle.usecases.release import unknown_pod
from tricircle.usecases.spare_ports import list_used

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 60.0
_ASK_AGAIN_S = 600.0


@dataclass(frozen=True, slots=True)
class Ages:
    """Seconds without a change after which a boot is over, and a spare is not kept any more."""

    older_than_s: float
    kept_for_s: float
    now: Callable[[], datetime]

    def is_over(self, taken: SparePort) -> bool:
        """Tell whether the boot that has taken a spare is over."""
        return self._is_older(taken, self.older_than_s)

    def has_expired(self, ready: SparePort) -> bool:
        """Tell whether a spare has waited for a server for too long."""
        return self._is_older(ready, self.kept_for_s)

    def _is_older(self, spare: SparePort, seconds: float) -> bool:
        if spare.updated_at is None:
            return False
        changed = spare.updated_at.replace(tzinfo=spare.updated_at.tzinfo or UTC)
        return changed <= self.now() - timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Written:
    """The port of a boot that was cut short is written down; its server is to get it."""

    row: Routing
    pod: Pod


class SpareRepair:
    """Removes spares, and completes the ports of boots that had taken one."""

    def __init__(
        self,
        stores: TwinStores,
        spares: SparePortStore,
        ports: ServerPorts,
        ages: Ages,
    ) -> None:
        self._stores, self._spares = stores, spares
        self._ports, self._ages = ports, ages

    async def mend(self, job: RepairSparePort, request_id: str) -> Mended | Postponed | Written:
        """Do what a job says, unless a boot may be at work on the port. Raises PodError."""
        pod = self._stores.find_pod(job.pod_id)
        if pod is None:
            return unknown_pod(job.pod_id)
        spare = await self._spares.find_spare(job.pod_id, job.bottom_id)
        if spare is None:
            return Mended()
        site = self._ports.site(pod, request_id)
        if spare.boot_id is None:
            return await self._mend_ready(spare, pod, site)
        if spare.boot_id == GOING:
            return await self._remove(spare, site)
        if not self._ages.is_over(spare):
            return Postponed("the port may be of a boot under way", _LOOK_AGAIN_S)
        return await self._mend_taken(spare, pod, request_id)

    async def is_of_boot(self, port: Port) -> bool:
        """Tell whether a port of the top is of a boot that has taken a spare for it."""
        return await is_of_boot(self._spares, port)

    async def clear_network(self, bottom: Neutron, row: Routing) -> None:
        """Delete the spares on the twin of a network that is gone; rows of them go later."""
        mark = spare_mark(row.top_id, row.project_id)
        ports = await bottom.list_all(Port, description=mark, project_id=row.project_id)
        for port in ports:
            if port.network_id == row.bottom_id and not port.device_id:
                await bottom.delete(Port, port.id)

    # Ready ones.

    async def _mend_ready(self, spare: SparePort, pod: Pod, site: Site) -> Mended:
        keeps = pod.enabled and not self._ages.has_expired(spare)
        if keeps and await _is_of_use(spare, site):
            return Mended()
        # Whoever takes it first has it: a boot, or we.
        if not await self._spares.take_spare(spare, GOING, ()):
            return Mended()
        return await self._remove(spare, site)

    async def _remove(self, spare: SparePort, site: Site) -> Mended:
        """Delete the port, unless a server has it that nobody knows of, then the row."""
        port = await site.bottom.find(Port, spare.port_id)
        if port is not None and not port.device_id:
            await site.bottom.delete(Port, spare.port_id)
        await self._forget(spare)
        return Mended((Effect.CLEARED,))

    # Taken ones.

    async def _mend_taken(
        self, spare: SparePort, pod: Pod, request_id: str
    ) -> Mended | Postponed | Written:
        site = self._ports.site(pod, request_id)
        row = await self._find_row(spare)
        port = await site.bottom.find(Port, spare.port_id)
        if row is not None:
            await self._close(spare, row, port, site)
            return Mended((Effect.CLEARED,))
        if port is None or not port.device_id:
            return await self._release(spare, site)
        try:
            top = await _find_top(spare, site) or await _make_top(spare, site)
        except NeutronRefused as refusal:
            if not 400 <= refusal.status < 500:
                raise
            return _refused(spare, port, refusal)
        wanted = WantedPorts(Form.SERVER, request_id, (TopPort(top, Origin.GATEWAY),))
        is_default = not spare.group_ids
        await self._ports.put_groups(wanted, pod, spare.port_id, is_default=is_default)
        row = routing_of(spare, TopId(top.id))
        await self._stores.routings.keep_routings([row])
        await self._close(spare, row, port, site)
        return Written(row, pod)

    async def _find_row(self, spare: SparePort) -> Routing | None:
        rows = await self._stores.routings.find_by_bottom(Kind.PORT, spare.pod_id, [spare.port_id])
        return next(iter(rows), None)

    async def _release(self, spare: SparePort, site: Site) -> Mended:
        """Remove the port of a boot that never came to be: first in the pod, the row last."""
        await site.bottom.delete(Port, spare.port_id)
        top = await _find_top(spare, site)
        if top is not None:
            await site.top.delete(Port, top.id)
        await self._forget(spare)
        return Mended((Effect.RELEASED,))

    async def _close(self, spare: SparePort, row: Routing, port: Port | None, site: Site) -> None:
        """Give the pod's port the mark of a twin, and forget that it was a spare."""
        if port is not None and port.description == spare_mark(spare.network_id, spare.project_id):
            mark = Mark(Kind.PORT, row.top_id, row.project_id)
            await site.bottom.update(Port, port.id, {"description": str(mark)})
        await self._forget(spare)

    async def _forget(self, spare: SparePort) -> None:
        await self._spares.forget_spare(spare.pod_id, spare.port_id)


async def is_of_boot(spares: SparePortStore, port: Port) -> bool:
    """Tell whether a spare that is taken stands for a port of the top.

    If not, look for the port's routing afterwards: it is written down before the row goes.
    """
    taken = await spares.find_taken(
        TopId(port.network_id), ProjectId(port.project_id), port.mac_address
    )
    return taken is not None and taken.boot_id == port.device_id


async def _is_of_use(spare: SparePort, site: Site) -> bool:
    """Tell whether a boot could have a spare: all it stands on is there, its addresses are free."""
    if await site.top.find(Network, spare.network_id) is None:
        return False
    subnets = await site.top.list_all(Subnet, network_id=spare.network_id)
    if not is_complete(spare, subnets):
        return False
    if await list_used(site.top, spare.network_id, texts_of(spare.addresses)):
        return False
    port = await site.bottom.find(Port, spare.port_id)
    return port is not None and not port.device_id and is_unchanged(spare, port)


async def _find_top(spare: SparePort, site: Site) -> Port | None:
    """Return the port of the top that the boot made before it was cut short."""
    found = await site.top.list_all(
        Port,
        network_id=spare.network_id,
        mac_address=spare.mac_address,
        device_owner=BOOT_OWNER,
        device_id=str(spare.boot_id),
    )
    return min(found, key=lambda port: port.id, default=None)


async def _make_top(spare: SparePort, site: Site) -> Port:
    """Return the port of the top that the boot did not come to make."""
    ids = sorted({fixed.subnet_id for fixed in spare.addresses})
    subnets = await site.top.list_all(Subnet, id=ids)
    return await site.top.create(Port, top_port_values(spare, auto_subnets(subnets)))


def _refused(spare: SparePort, port: Port, refusal: NeutronRefused) -> Postponed:
    """Say that a server has an address that the top does not let it have."""
    log.warning(
        "the top refuses the port of a server",
        extra={
            "pod": spare.pod_id,
            "port": spare.port_id,
            "server": port.device_id,
            "reason": str(refusal),
        },
    )
    return Postponed(f"server {port.device_id} has port {spare.port_id}: {refusal}", _ASK_AGAIN_S)
