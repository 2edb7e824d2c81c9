"""Having ports ready in pods for the next servers of a project on a network.

Each spare is a port of the pod and a row, made in this order. A worker that dies in
between leaves a port with the mark of a spare and nothing else: the repeated job keeps
it, or deletes it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from tricircle.core.errors import NeutronRefused
from tricircle.core.jobs import KeepSparePorts
from tricircle.core.model import BottomId, Kind, Pod, PodId
from tricircle.core.network.marks import spare_mark
from tricircle.core.network.objects import Network, Port, Subnet
from tricircle.core.network.spares import (
    GOING,
    SparePort,
    auto_subnets,
    choose,
    draw_candidates,
    is_complete,
    read_addresses,
    spare_values,
    texts_of,
    why_no_spare,
)
from tricircle.core.runs import Errand, Outcome, Succeeded
from tricircle.interfaces.store import RoutingStore, SparePortStore
from tricircle.usecases.networking.networks import Site, find_active
from tricircle.usecases.networking.neutron import TOP, Neutron, Neutrons
from tricircle.usecases.networking.server_ports import TwinStores
from tricircle.usecases.networking.together import all_of, both

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpareOptions:
    """How many spares a pod has ready for each project and network, 0 for none, and for how long.

    One that no server has taken after ``kept_for_s`` is removed.
    """

    wanted: int = 2
    kept_for_s: float = 3600.0


class SpareKeeper:
    """Makes spare ports. May be repeated; two at once make a few more than are wanted."""

    def __init__(
        self,
        neutrons: Neutrons,
        stores: TwinStores,
        spares: SparePortStore,
        wanted: int,
        random: Random,
    ) -> None:
        self._neutrons, self._stores, self._spares = neutrons, stores, spares
        self._wanted, self._random = wanted, random

    async def run(self, job: KeepSparePorts, errand: Errand) -> Outcome:
        """Carry out a job; see ``core.jobs``. Raises PodError.

        A pod that refuses is not asked again: the next boot does without.
        """
        pod = self._stores.find_pod(job.pod_id)
        if self._wanted == 0 or pod is None or not pod.enabled:
            return Succeeded()
        try:
            note = await self._keep(self._site(pod, errand.request_id), job)
        except NeutronRefused as refusal:
            if refusal.pod_id == TOP or not 400 <= refusal.status < 500:
                raise
            note = str(refusal)
        if note:
            facts = {"pod": pod.name, "network": job.network_id, "reason": note}
            log.info("no spare port kept", extra=facts)
        return Succeeded(note)

    def _site(self, pod: Pod, request_id: str) -> Site:
        return Site(self._neutrons.top(request_id), self._neutrons.pod(pod, request_id))

    async def _keep(self, site: Site, job: KeepSparePorts) -> str:
        """Make what is missing; return why that is not all of it, '' if it is."""
        routings = self._stores.routings
        network = await find_active(routings, Kind.NETWORK, job.network_id, site.pod_id)
        if network is None or network.bottom_id is None:
            return "the network is not in the pod"
        top, subnets = await both(
            partial(site.top.find, Network, job.network_id),
            partial(site.top.list_all, Subnet, network_id=job.network_id),
        )
        twins = await _find_twins(routings, subnets, site.pod_id)
        await self._drop(site, job, subnets)
        left = await self._list_left(site, job)
        reason = why_no_spare(top, subnets, job.project_id)
        if reason is None and len(twins) < len(subnets):
            reason = "a subnet of the network is not in the pod"
        if reason is not None:
            await _delete_all(site.bottom, left)
            return reason
        work = _Work(site, job, subnets, {str(job.network_id): network.bottom_id, **twins})
        ready = await self._spares.list_ready(job.network_id, job.project_id)
        missing = self._wanted - sum(spare.pod_id == site.pod_id for spare in ready)
        missing -= await self._adopt(work, left, ready, missing)
        for _ in range(missing):
            if not await self._make(work):
                return "the addresses looked at are all in use"
        return ""

    async def _drop(self, site: Site, job: KeepSparePorts, subnets: Sequence[Subnet]) -> None:
        """Remove the spares that lack an address, since subnets came or went."""
        for spare in await self._spares.list_ready(job.network_id, job.project_id):
            if spare.pod_id != site.pod_id or is_complete(spare, subnets):
                continue
            # Whoever takes it first has it: a boot, or we.
            if await self._spares.take_spare(spare, GOING, ()):
                await site.bottom.delete(Port, spare.port_id)
                await self._spares.forget_spare(spare.pod_id, spare.port_id)

    async def _list_left(self, site: Site, job: KeepSparePorts) -> list[Port]:
        """Return the pod's ports that were made as spares and not written down.

        Whoever removes a spare deletes the port first, and a boot writes down what
        becomes of it before its row goes: so the row is looked for first, then what it
        may have become, and then whether the port is still there.
        """
        mark = spare_mark(job.network_id, job.project_id)
        marked = await site.bottom.list_all(Port, description=mark, project_id=job.project_id)
        left = []
        for port in marked:
            bottom_id = BottomId(port.id)
            if port.device_id or await self._spares.find_spare(site.pod_id, bottom_id):
                continue
            if await self._stores.routings.find_by_bottom(Kind.PORT, site.pod_id, [bottom_id]):
                continue
            found = await site.bottom.find(Port, port.id)
            if found is not None and found.description == mark and not found.device_id:
                left.append(found)
        return left

    async def _adopt(
        self, work: _Work, left: Sequence[Port], ready: Sequence[SparePort], missing: int
    ) -> int:
        """Write down ports that were left, as many as are missing; delete the rest of them."""
        if not left:
            return 0
        used = await list_used(work.site.top, work.job.network_id, _texts(left))
        used |= {text for spare in ready for text in texts_of(spare.addresses)}
        adopted = 0
        for port in left:
            spare = work.read(port)
            if spare is None or adopted >= missing or used & texts_of(spare.addresses):
                await work.site.bottom.delete(Port, port.id)
                continue
            await self._spares.keep_spare(spare)
            used |= texts_of(spare.addresses)
            adopted += 1
        return adopted

    async def _make(self, work: _Work) -> bool:
        """Make one spare; False when no free address was found for it."""
        job = work.job
        candidates = draw_candidates(work.subnets, self._random)
        texts = frozenset(fixed.ip_address for some in candidates for fixed in some)
        used = await list_used(work.site.top, job.network_id, texts)
        for spare in await self._spares.list_ready(job.network_id, job.project_id):
            used |= texts_of(spare.addresses)
        chosen = choose(candidates, used)
        if chosen is None:
            return False
        auto = auto_subnets(work.subnets)
        values = spare_values(job.network_id, job.project_id, chosen, auto, work.twins)
        port = await work.site.bottom.create(Port, values)
        made = work.read(port)
        if made is None:
            await work.site.bottom.delete(Port, port.id)
            return False
        await self._spares.keep_spare(made)
        return True


@dataclass(frozen=True, slots=True)
class _Work:
    """What spares are made of; ``twins`` has the pod's ids of the network and its subnets."""

    site: Site
    job: KeepSparePorts
    subnets: Sequence[Subnet]
    twins: Mapping[str, BottomId]

    def read(self, port: Port) -> SparePort | None:
        """Return a port of the pod as a spare, None when it has not the addresses for one."""
        addresses = read_addresses(port, self.twins)
        if addresses is None:
            return None
        spare = SparePort(
            self.site.pod_id,
            BottomId(port.id),
            self.job.network_id,
            self.job.project_id,
            port.mac_address,
            addresses,
        )
        return spare if is_complete(spare, self.subnets) else None


async def list_used(top: Neutron, network_id: str, addresses: Iterable[str]) -> frozenset[str]:
    """Return which of some addresses ports of the top have on a network."""
    asked = sorted(set(addresses))
    if not asked:
        return frozenset()
    filters = [f"ip_address={address}" for address in asked]
    ports = await top.list_all(Port, network_id=network_id, fixed_ips=filters)
    return _texts(ports) & frozenset(asked)


async def _find_twins(
    routings: RoutingStore, subnets: Sequence[Subnet], pod_id: PodId
) -> dict[str, BottomId]:
    """Return the pod's ids of those subnets of the top that are in the pod."""
    rows = await all_of(
        partial(find_active, routings, Kind.SUBNET, subnet.id, pod_id) for subnet in subnets
    )
    return {
        str(row.top_id): row.bottom_id
        for row in rows
        if row is not None and row.bottom_id is not None
    }


async def _delete_all(bottom: Neutron, ports: Iterable[Port]) -> None:
    for port in ports:
        await bottom.delete(Port, port.id)


def _texts(ports: Iterable[Port]) -> frozenset[str]:
    return frozenset(text for port in ports for text in texts_of(port.fixed_ips))
