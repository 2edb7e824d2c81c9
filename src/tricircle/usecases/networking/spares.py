"""Boots on ports that are ready in a pod: the top's port is made while Nova is asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from tricircle.core.errors import Conflict, PodError, TricircleError
from tricircle.core.jobs import KeepSparePorts, RepairSparePort
from tricircle.core.model import (
    Kind,
    Origin,
    Pod,
    ProjectId,
    TopId,
)
from tricircle.core.network.asking import NetworkWish, Wish
from tricircle.core.network.objects import Port, Subnet
from tricircle.core.network.refusals import Form
from tricircle.core.network.spares import (
    SparePort,
    is_complete,
    is_unchanged,
    routing_of,
    top_port_values,
)
from tricircle.core.network.twins import follows_mac
from tricircle.interfaces.store import RoutingStore, SparePortStore
from tricircle.usecases.leftovers import Leftovers
from tricircle.usecases.networking.ports import TopPort
from tricircle.usecases.networking.server_ports import ServerPorts, WantedPorts
from tricircle.usecases.networking.together import both
from tricircle.usecases.networking.wishes import (
    Errand,
    Granted,
    Understood,
    give_up,
    read_default_group,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hope:
    """What a boot asks for whose port is not made yet, since there are spares for it."""

    errand: Errand
    understood: Understood
    ready: tuple[SparePort, ...]


@dataclass(slots=True)
class Making:
    """The making of the top's port for a spare that a boot has taken.

    ``granted`` has the port once everything of it is there; None when it came to nothing.
    """

    spare: SparePort
    granted: Granted | None = None
    task: asyncio.Task[None] | None = None

    async def wait(self) -> Granted | None:
        """Return what was made at the top once that is decided, even if the caller is cancelled."""
        if self.task is not None:
            await asyncio.shield(self.task)
        return self.granted


class SpareBoots:
    """Finds and takes spares, and makes what the top must have of them."""

    def __init__(
        self,
        spares: SparePortStore,
        routings: RoutingStore,
        ports: ServerPorts,
        leftovers: Leftovers,
    ) -> None:
        self._spares, self._routings = spares, routings
        self._ports, self._leftovers = ports, leftovers

    async def find(self, wishes: Sequence[Wish], project_id: ProjectId) -> tuple[SparePort, ...]:
        """Return the spares that would do for a server with one port on a network."""
        match wishes:
            case [NetworkWish(network_id, None)]:
                return tuple(await self._spares.list_ready(network_id, project_id))
            case _:
                return ()

    async def take(self, hope: Hope, pod: Pod, request_id: str) -> Making | None:
        """Return the making of the top's port for a spare of a pod, None when there is none."""
        boot_id, groups = hope.errand.boot_id, hope.understood.groups
        group_ids = tuple(group.id for group in groups)
        for spare in hope.ready:
            if spare.pod_id != pod.id:
                continue
            if await self._spares.take_spare(spare, boot_id, group_ids):
                making = Making(replace(spare, boot_id=boot_id, group_ids=group_ids))
                making.task = asyncio.create_task(self._make(making, hope, pod, request_id))
                return making
        return None

    async def leave(self, making: Making, request_id: str) -> None:
        """Have a spare looked at that was of no use. Never raises."""
        spare = making.spare
        job = RepairSparePort(spare.pod_id, spare.port_id, spare.project_id)
        await self._leftovers.hand_over_later([job], request_id)

    async def restock(self, port: Port, pod: Pod, request_id: str) -> None:
        """Have a port ready for the next server of a project on its own network. Never raises."""
        network_id, project_id = TopId(port.network_id), ProjectId(port.project_id)
        try:
            rows = await self._routings.find_routings(Kind.NETWORK, network_id)
        except TricircleError as error:
            log.info("no spare port asked for", extra={"reason": str(error)})
            return
        if any(row.pod_id == pod.id and row.project_id == project_id for row in rows):
            job = KeepSparePorts(pod.id, network_id, project_id)
            await self._leftovers.hand_over([job], request_id)

    async def _make(self, making: Making, hope: Hope, pod: Pod, request_id: str) -> None:
        """Make the port at the top, whole or not at all. Never raises.

        Until it is written down, what was taken stands for it: see ``usecases.spare_repair``.
        """
        spare = making.spare
        try:
            granted, subnets = await both(
                partial(_make_top, spare, hope), partial(_read_subnets, spare, hope)
            )
        except TricircleError as error:
            _log_useless(spare, error)
            return
        port = granted.ports[0].port
        wanted = WantedPorts(Form.SERVER, request_id, granted.ports, granted.groups)
        try:
            if not is_unchanged(spare, port) or not is_complete(spare, subnets):
                raise Conflict(f"port {port.id} would have other addresses without the spare")
            is_default = not hope.understood.groups
            await self._ports.put_groups(wanted, pod, spare.port_id, is_default=is_default)
            await self._routings.keep_routings([routing_of(spare, TopId(port.id))])
        except TricircleError as error:
            _log_useless(spare, error)
            await give_up(hope.errand, [port])
            return
        making.granted = granted
        try:
            await self._spares.forget_spare(spare.pod_id, spare.port_id)
        except TricircleError as error:
            log.info("spare port left to the sweep", extra={"reason": str(error)})


async def _make_top(spare: SparePort, hope: Hope) -> Granted:
    """Return a new port of the top, made of a spare's MAC and addresses. Raises PodError."""
    errand, groups = hope.errand, hope.understood.groups
    auto = [one.subnet_id for one in spare.addresses if follows_mac(one, spare.mac_address)]
    create = partial(errand.as_caller.create, Port, top_port_values(spare, auto))
    if groups:
        port = await create()
    else:
        # The port will have the project's default group: read its rules meanwhile.
        port, groups = await both(create, partial(read_default_group, errand))
    return Granted((TopPort(port, Origin.GATEWAY),), {group.id: group for group in groups})


async def _read_subnets(spare: SparePort, hope: Hope) -> tuple[Subnet, ...]:
    """Return the subnets of a spare's network as they are now; none where that is unknown."""
    try:
        return await hope.errand.as_service.list_all(Subnet, network_id=spare.network_id)
    except PodError:
        return ()


def _log_useless(spare: SparePort, error: TricircleError) -> None:
    log.info(
        "spare port of no use",
        extra={"pod": spare.pod_id, "port": spare.port_id, "reason": str(error)},
    )
