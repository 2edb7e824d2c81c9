"""Giving back the ports of servers that are gone, and of interfaces that were detached.

A port that the gateway made goes, first in the pod, then at the top; a port of the
user stays and is free again, without a twin. Nothing goes while a server may still
use it: an address must not be given to someone else before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tricircle.core.errors import NeutronRefused
from tricircle.core.jobs import ReleasePort, ReleaseServer
from tricircle.core.model import (
    Kind,
    Origin,
    Pod,
    PodId,
    Routing,
    RoutingState,
    Service,
    TopId,
)
from tricircle.core.network.objects import Port
from tricircle.core.runs import Errand, NotYet, Outcome, Postponed, Succeeded
from tricircle.interfaces.quotas import QuotaLedger
from tricircle.usecases.networking.networks import Site
from tricircle.usecases.networking.neutron import Neutron, Neutrons
from tricircle.usecases.networking.ports import find_routed
from tricircle.usecases.networking.server_ports import TwinStores
from tricircle.usecases.networking.together import all_of

_PRECONDITION_FAILED = 412
_ATTEMPTS = 3

PATIENT_ATTEMPTS = 8
"""Looks at a server that is not gone yet before it is left to the sweep.

With pauses that double from a second these are one to two minutes.
"""

_UNKNOWN_POD_S = 60.0


class Release:
    """Releases ports. Every method may be repeated, by any number of processes at once."""

    def __init__(self, neutrons: Neutrons, stores: TwinStores) -> None:
        self._neutrons, self._stores = neutrons, stores

    async def release_server(self, server_id: TopId, pod: Pod, request_id: str) -> bool:
        """Release the ports of a server that is gone from its pod.

        False while the pod still has the server: ask again later, the sweep does so too.
        Raises PodError.
        """
        owned = await self._stores.routings.list_owned(server_id)
        ports = [one for one in owned if one.kind is Kind.PORT and one.pod_id == pod.id]
        if not ports:
            return True
        if await self._neutrons.has_server(pod, server_id, request_id):
            return False
        await self.release_ports(ports, pod, request_id)
        return True

    async def has_server(self, pod: Pod, server_id: TopId, request_id: str) -> bool:
        """Tell whether a pod still has a server. Raises PodError."""
        return await self._neutrons.has_server(pod, server_id, request_id)

    async def release_let_go(self, server_id: TopId, pod: Pod, request_id: str) -> None:
        """Release those ports of a server that it has let go, although the pod still shows it.

        For a server that is deleted but not gone yet. Raises PodError.
        """
        for routing in await self._stores.routings.list_owned(server_id):
            if routing.kind is not Kind.PORT or routing.pod_id != pod.id:
                continue
            if not await self._is_bound(routing, pod, request_id):
                await self.release_ports([routing], pod, request_id)

    async def release_port(
        self, port_id: TopId, server_id: TopId, pod: Pod, request_id: str
    ) -> bool:
        """Release one port that was detached; False while the server still has it.

        What is known of the port says from now on that it is to go. Raises PodError.
        """
        routing = await self._mark(port_id, server_id, pod, RoutingState.DELETING)
        if routing is None:
            return True
        if await self._is_bound(routing, pod, request_id):
            return False
        await self.release_ports([routing], pod, request_id)
        return True

    async def mark_detaching(self, port_id: TopId, server_id: TopId, pod: Pod) -> None:
        """Write down that a server's port is to go as soon as the server has let it go."""
        await self._mark(port_id, server_id, pod, RoutingState.DELETING)

    async def mark_attached(self, port_id: TopId, server_id: TopId, pod: Pod) -> None:
        """Take ``mark_detaching`` back."""
        await self._mark(port_id, server_id, pod, RoutingState.ACTIVE)

    async def _mark(
        self, port_id: TopId, server_id: TopId, pod: Pod, state: RoutingState
    ) -> Routing | None:
        """Set the state of what is known of a server's port in a pod; return what it was."""
        for routing in await self._stores.routings.find_routings(Kind.PORT, port_id):
            if routing.pod_id == pod.id and routing.owner_id == server_id:
                mark = self._stores.upkeep.mark_routing
                await mark(Kind.PORT, port_id, pod.id, state, server_id)
                return routing
        return None

    async def _is_bound(self, routing: Routing, pod: Pod, request_id: str) -> bool:
        """Tell whether a server of the pod has the port now."""
        bottom = self._neutrons.pod(pod, request_id)
        bottom_id = routing.bottom_id or await find_routed(bottom, routing)
        port = None if bottom_id is None else await bottom.find(Port, bottom_id)
        return port is not None and bool(port.device_id)

    async def release_ports(self, routings: Sequence[Routing], pod: Pod, request_id: str) -> None:
        """Release ports that no server has. In this order a crash leaves what is found again."""
        site = Site(self._neutrons.top(request_id), self._neutrons.pod(pod, request_id))
        await all_of(partial(self._release, site, routing) for routing in routings)

    async def _release(self, site: Site, routing: Routing) -> None:
        bottom_id = routing.bottom_id or await find_routed(site.bottom, routing)
        if bottom_id is not None:
            await site.bottom.delete(Port, bottom_id)
        if not await self._is_elsewhere(routing):
            if routing.origin is Origin.GATEWAY:
                await site.top.delete(Port, routing.top_id)
            else:
                await _set_free(site.top, routing)
        await self._stores.routings.forget_routing(Kind.PORT, routing.top_id, routing.pod_id)

    async def _is_elsewhere(self, routing: Routing) -> bool:
        """Tell whether the port has a twin in another pod as well: then it is in use there."""
        rows = await self._stores.routings.find_routings(Kind.PORT, routing.top_id)
        return any(row.pod_id != routing.pod_id for row in rows)


class ReleaseJobs:
    """Carries out jobs that release ports; see ``core.jobs``."""

    def __init__(
        self,
        release: Release,
        find_pod: Callable[[PodId], Pod | None],
        ledger: QuotaLedger,
    ) -> None:
        self._release, self._find_pod, self._ledger = release, find_pod, ledger

    async def release_server(self, job: ReleaseServer, errand: Errand) -> Outcome:
        """Release the ports and the quota of a server once it is gone. Raises PodError."""
        pod = self._find_pod(job.pod_id)
        if pod is None:
            return unknown_pod(job.pod_id)
        is_released = await self._release.release_server(job.server_id, pod, errand.request_id)
        if is_released and await self._free(job.server_id, pod, errand.request_id):
            return Succeeded()
        return _wait_or_leave("the pod still has the server", errand)

    async def _free(self, server_id: TopId, pod: Pod, request_id: str) -> bool:
        """Give back what a server took of its project's quota; False while the pod has it."""
        if not await self._ledger.list_claims(Service.COMPUTE, server_id):
            return True
        if await self._release.has_server(pod, server_id, request_id):
            return False
        await self._ledger.free(Service.COMPUTE, server_id)
        return True

    async def release_port(self, job: ReleasePort, errand: Errand) -> Outcome:
        """Release a port once its server has let it go. Raises PodError."""
        pod = self._find_pod(job.pod_id)
        if pod is None:
            return unknown_pod(job.pod_id)
        if await self._release.release_port(job.port_id, job.server_id, pod, errand.request_id):
            return Succeeded()
        return _wait_or_leave("the server still has the port", errand)


def _wait_or_leave(reason: str, errand: Errand) -> Outcome:
    """Return the outcome while Nova is not done: it may never be, and that is no failure."""
    if errand.attempt < PATIENT_ATTEMPTS:
        return NotYet(reason)
    return Succeeded(f"{reason}; the sweep releases what it leaves when it goes")


def unknown_pod(pod_id: PodId) -> Postponed:
    """Return the outcome for a pod that was just added; the jobs of a deleted one go with it."""
    return Postponed(f"pod {pod_id} is not known here yet", _UNKNOWN_POD_S)


async def _set_free(top: Neutron, routing: Routing) -> None:
    """Take a port of the user from its server, unless another one has it by now."""
    for attempt in range(_ATTEMPTS):
        port = await top.find(Port, routing.top_id)
        if port is None or not port.device_id or port.device_id != routing.owner_id:
            return
        try:
            values = {"device_id": "", "device_owner": ""}
            await top.update(Port, port.id, values, port.revision_number)
        except NeutronRefused as refusal:
            # Someone has changed the port since it was read: read it again.
            if refusal.status != _PRECONDITION_FAILED or attempt == _ATTEMPTS - 1:
                raise
        else:
            return
