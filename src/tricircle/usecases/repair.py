"""Repairing one port or twin that a boot, attachment or deletion left half done.

Whoever repairs reads what is really there and acts on that: it may be repeated, may
be done by several workers at once, and beside any number of gateways.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

from tricircle.core.errors import BadInput, NeutronRefused
from tricircle.core.jobs import DeleteStrayPort, RepairPort, RepairSparePort, RepairTwin
from tricircle.core.model import (
    BottomId,
    Kind,
    Origin,
    Pod,
    PodId,
    ProjectId,
    Routing,
    RoutingState,
    TopId,
)
from tricircle.core.network.marks import BOOT_OWNER, Mark, is_spare_mark
from tricircle.core.network.objects import KINDS, Port, SecurityGroup
from tricircle.core.runs import Errand, Outcome, Postponed, Succeeded
from tricircle.usecases.ensure import TwinMaker
from tricircle.usecases.leftovers import UNDER_WAY_S
from tricircle.usecases.mended import Effect, Mended
from tricircle.usecases.networking.found_ports import FoundPort, find_holder
from tricircle.usecases.networking.neutron import Neutron, Neutrons
from tricircle.usecases.networking.ports import find_routed
from tricircle.usecases.networking.server_ports import TwinStores
from tricircle.usecases.release import Release, unknown_pod
from tricircle.usecases.spare_repair import SpareRepair, Written

Repairable = RepairPort | RepairTwin | DeleteStrayPort | RepairSparePort

TWINS = (Kind.SECURITY_GROUP, Kind.SUBNET, Kind.NETWORK)
"""What ``RepairTwin`` is for. Networks last: a group or subnet in use keeps nothing else."""

_LOOK_AGAIN_S = 60.0
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class RepairOptions:
    """Where the top's zone names come from, and what is too young to be repaired.

    What nobody owns yet may be of a boot that is under way, until it has not changed
    for ``older_than_s``.
    """

    top_zone: Callable[[PodId, str], str]
    older_than_s: float = UNDER_WAY_S


class Repair:
    """Carries out repairs, each of one resource."""

    def __init__(
        self,
        neutrons: Neutrons,
        stores: TwinStores,
        release: Release,
        maker: TwinMaker,
        spares: SpareRepair,
        options: RepairOptions,
    ) -> None:
        self._neutrons, self._stores, self._release = neutrons, stores, release
        self._maker, self._spares, self._options = maker, spares, options

    async def run(self, job: Repairable, errand: Errand) -> Outcome:
        """Carry out a job; see ``core.jobs``. Raises PodError."""
        done = await self.mend(job, errand.request_id)
        return Succeeded(str(done)) if isinstance(done, Mended) else done

    async def mend(self, job: Repairable, request_id: str) -> Mended | Postponed:
        """Repair what a job names, unless someone may be at work on it. Raises PodError."""
        match job:
            case RepairPort():
                return await self._mend_port(job, request_id)
            case RepairTwin():
                return await self._mend_twin(job, request_id)
            case DeleteStrayPort():
                return await self._delete_stray(job.port_id, job.project_id, request_id)
            case RepairSparePort():
                return await self._mend_spare(job, request_id)
            case _:
                assert_never(job)

    # Ports.

    async def _mend_port(self, job: RepairPort, request_id: str) -> Mended | Postponed:
        pod = self._stores.find_pod(job.pod_id)
        if pod is None:
            return unknown_pod(job.pod_id)
        row = await self._find_row(Kind.PORT, job.port_id, job.pod_id)
        if row is None:
            return Mended()
        if await self._may_be_under_way(row):
            return Postponed("the port may be of a boot under way", _LOOK_AGAIN_S)
        if row.state is not RoutingState.CREATING:
            return Mended(await self._give_or_release(row, pod, request_id))
        settled = await self._settle(row, pod, request_id)
        if settled is None:
            return await self._forget_port(row, request_id)
        if settled.bottom_id is None:
            return _BEING_MADE
        effects = await self._give_or_release(settled, pod, request_id)
        return Mended((Effect.SETTLED, *effects))

    async def _may_be_under_way(self, row: Routing) -> bool:
        """Tell whether a boot may be at work on a port: nobody owns it, and it is young.

        A port that is marked as going is certainly of none.
        """
        if row.owner_id is not None or row.state is RoutingState.DELETING:
            return False
        old = await self._stores.upkeep.list_routings(
            kind=row.kind,
            pod_id=row.pod_id,
            top_id=row.top_id,
            older_than_s=self._options.older_than_s,
            limit=1,
        )
        return not old

    async def _forget_port(self, row: Routing, request_id: str) -> Mended:
        """Delete the top's port of a twin that was never made, if a gateway made it."""
        if row.origin is not Origin.GATEWAY:
            return Mended((Effect.FORGOTTEN,))
        stray = await self._delete_stray(row.top_id, row.project_id, request_id)
        return Mended((Effect.FORGOTTEN, *stray.effects))

    async def _give_or_release(self, row: Routing, pod: Pod, request_id: str) -> tuple[Effect, ...]:
        bottom = self._neutrons.pod(pod, request_id)
        bottom_id = row.bottom_id or await find_routed(bottom, row)
        found = FoundPort(
            row,
            pod,
            None if bottom_id is None else await bottom.find(Port, bottom_id),
            await self._neutrons.top(request_id).find(Port, row.top_id),
        )
        holder = await find_holder(self._neutrons, found, request_id)
        if holder is not None:
            return await self._give(found, holder, request_id)
        await self._release.release_ports([row], pod, request_id)
        return (Effect.RELEASED,)

    async def _give(
        self, found: FoundPort, server_id: TopId, request_id: str
    ) -> tuple[Effect, ...]:
        """Give a port to its server where a boot's answer, or its last steps, were lost."""
        row, changed = found.row, False
        if row.owner_id != server_id:
            server = replace(
                row, kind=Kind.SERVER, top_id=server_id, bottom_id=BottomId(server_id),
                state=RoutingState.ACTIVE, origin=Origin.USER, owner_id=None,
            )  # fmt: skip
            await self._stores.routings.keep_routings([server])
            changed = await self._stores.upkeep.mark_routing(
                Kind.PORT, row.top_id, row.pod_id, RoutingState.ACTIVE, server_id
            )
        if found.bottom is not None and is_spare_mark(found.bottom.description):
            mark = {"description": str(Mark(Kind.PORT, row.top_id, row.project_id))}
            await self._neutrons.pod(found.pod, request_id).update(Port, found.bottom.id, mark)
        if found.top is not None and found.top.device_id != server_id:
            zone = self._options.top_zone(row.pod_id, found.pod_zone)
            values = {"device_id": server_id, "device_owner": f"compute:{zone or 'nova'}"}
            await self._neutrons.top(request_id).update(Port, row.top_id, values)
            changed = True
        return (Effect.FINISHED,) if changed else ()

    async def _delete_stray(self, port_id: TopId, project_id: ProjectId, request_id: str) -> Mended:
        """Delete a port of the top that is a boot's still and that nothing is known of."""
        top = self._neutrons.top(request_id)
        port = await top.find(Port, port_id)
        if port is None or port.device_owner != BOOT_OWNER or port.project_id != project_id:
            return Mended()
        if await self._spares.is_of_boot(port):
            return Mended()
        if await self._stores.routings.find_routings(Kind.PORT, port_id):
            return Mended()
        await top.delete(Port, port_id)
        return Mended((Effect.DELETED,))

    async def _mend_spare(self, job: RepairSparePort, request_id: str) -> Mended | Postponed:
        done = await self._spares.mend(job, request_id)
        if not isinstance(done, Written):
            return done
        return Mended(await self._give_or_release(done.row, done.pod, request_id))

    # Twins of networks, subnets and groups.

    async def _mend_twin(self, job: RepairTwin, request_id: str) -> Mended | Postponed:
        pod = self._stores.find_pod(job.pod_id)
        if pod is None:
            return unknown_pod(job.pod_id)
        row = await self._find_row(_twin_kind(job.resource), job.top_id, job.pod_id)
        if row is None:
            return Mended()
        if row.state is not RoutingState.CREATING:
            return Mended(await self._remove_orphan(row, pod, request_id))
        settled = await self._settle(row, pod, request_id)
        if settled is None:
            return Mended((Effect.FORGOTTEN,))
        if settled.bottom_id is None:
            return _BEING_MADE
        effects = await self._remove_orphan(settled, pod, request_id)
        return Mended((Effect.SETTLED, *effects))

    async def _remove_orphan(self, row: Routing, pod: Pod, request_id: str) -> tuple[Effect, ...]:
        """Remove a twin of what is gone from the top, unless something in the pod uses it."""
        if row.bottom_id is None:
            return ()
        kind = KINDS[row.kind]
        if await self._neutrons.top(request_id).find(kind, row.top_id) is not None:
            return ()
        bottom = self._neutrons.pod(pod, request_id)
        if row.kind is Kind.NETWORK:
            await self._spares.clear_network(bottom, row)
        twin = await bottom.find(kind, row.bottom_id)
        if twin is not None and not (isinstance(twin, SecurityGroup) and twin.is_default):
            try:
                await bottom.delete(kind, row.bottom_id)
            except NeutronRefused as refusal:
                if refusal.status == _CONFLICT:
                    return ()
                raise
        await self._stores.routings.forget_routing(row.kind, row.top_id, row.pod_id)
        return (Effect.REMOVED,)

    # Both.

    async def _settle(self, row: Routing, pod: Pod, request_id: str) -> Routing | None:
        """Complete the record of a twin whose making was cut short, None when it was not made.

        It has no bottom id while someone else is making the twin.
        """
        await self._maker.heal(row, _Seeker(self._neutrons.pod(pod, request_id), row))
        return await self._find_row(row.kind, row.top_id, row.pod_id)

    async def _find_row(self, kind: Kind, top_id: TopId, pod_id: PodId) -> Routing | None:
        rows = await self._stores.routings.find_routings(kind, top_id)
        return next((row for row in rows if row.pod_id == pod_id), None)


_BEING_MADE = Postponed("someone is making the twin", _LOOK_AGAIN_S)


@dataclass(frozen=True, slots=True)
class _Seeker:
    """Looks for the twin of a routing."""

    bottom: Neutron
    row: Routing

    async def look(self) -> BottomId | None:
        """Return the twin that carries the mark of the routing: of two, the first by id."""
        mark = Mark(self.row.kind, self.row.top_id, self.row.project_id)
        found = await self.bottom.list_all(
            KINDS[self.row.kind], description=str(mark), project_id=self.row.project_id
        )
        return min((BottomId(one.id) for one in found), default=None)


def _twin_kind(resource: str) -> Kind:
    for kind in TWINS:
        if kind.value == resource:
            return kind
    names = ", ".join(sorted(TWINS))
    raise BadInput(f"twins of '{resource}' cannot be repaired; resource is one of {names}")
