"""Booting servers on networks of the top: ports are made first and given to Nova by id.

    resolve  what the body means, checked with the caller's own token; ports are made at the top
    place    twins of all that in one pod, and the body with that pod's port ids in it
    settle   where the pod had a spare port ready: the top's port was made meanwhile
    finish   the server is known: the ports are its own
    withdraw the pod said no and another one is asked: twins of the ports go, the rest stays
    undo     nobody took the server: what was made for it goes
    abandon  nobody knows: a job looks when the pod must be done

What cannot be completed is handed to job workers. Between ``resolve`` and ``finish`` any
process may die at any line, before it could ask for anything: see ``usecases.sweep``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial

from tricircle.core.bodies import read_value, set_value
from tricircle.core.errors import NotBuiltYet, TricircleError
from tricircle.core.jobs import DeleteStrayPort, ReleaseServer, RepairPort
from tricircle.core.model import (
    BottomId,
    Caller,
    Kind,
    Origin,
    Pod,
    ProjectId,
    RoutingState,
    TopId,
    Version,
)
from tricircle.core.network.asking import (
    GROUPS,
    Asking,
    Mode,
    put_interface,
    put_ports,
    read_asking,
    read_interface,
)
from tricircle.core.network.objects import Port, SecurityGroup
from tricircle.core.network.refusals import Form
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.store import SparePortStore
from tricircle.usecases.ensure import Patience, TwinMaker
from tricircle.usecases.leftovers import Leftovers
from tricircle.usecases.networking.neutron import Neutrons
from tricircle.usecases.networking.ports import TopPort
from tricircle.usecases.networking.server_ports import (
    ServerPorts,
    TwinStores,
    WantedPorts,
    carry_out,
)
from tricircle.usecases.networking.spares import Hope, Making, SpareBoots
from tricircle.usecases.networking.together import all_of
from tricircle.usecases.networking.wishes import Errand, grant, grant_ports, understand

log = logging.getLogger(__name__)

_ZONE = "nova"
"""Nova's own name for the zone of servers that asked for none."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a body means at the top. Valid until ``finish`` or ``undo``, for one pod after another.

    ``groups`` are security groups that were read on the way, by id. ``shown_groups`` is
    what the answer must show as the server's groups, None for Nova's own answer. With
    ``hope`` the ports are not made yet: pods may have some ready.
    """

    form: Form
    body: bytes
    asking: Asking
    request_id: str
    ports: tuple[TopPort, ...] = ()
    groups: Mapping[str, SecurityGroup] = field(default_factory=dict)
    shown_groups: object = None
    hope: Hope | None = None

    @property
    def wanted(self) -> WantedPorts:
        """The ports that the chosen pod must have."""
        return WantedPorts(self.form, self.request_id, self.ports, self.groups)

    def without_spares(self) -> Resolved:
        """Return the same for a boot that has tried spare ports in vain."""
        return self if self.hope is None else replace(self, hope=replace(self.hope, ready=()))


@dataclass(frozen=True, slots=True)
class Placed:
    """What goes to a pod: ``body`` is sent, ``port_ids`` stand for ``resolved.ports``.

    With ``making`` the top's port is still being made, see ``settle``. What was ``spare``
    bears its mark as a twin later than other ports.
    """

    resolved: Resolved
    pod: Pod
    body: bytes
    port_ids: tuple[BottomId, ...] = ()
    making: Making | None = None
    spare: bool = False

    def restore(self, answer: bytes) -> bytes:
        """Return the pod's answer to a boot with what was taken from the body put back."""
        if self.resolved.shown_groups is None:
            return answer
        return set_value(answer, GROUPS, self.resolved.shown_groups)


class ServerNetworks:
    """The networks of servers. One for each process."""

    def __init__(
        self,
        neutrons: Neutrons,
        stores: TwinStores,
        leftovers: Leftovers,
        clock: Clock,
        new_id: Callable[[], str],
        patience: Patience | None = None,
        spares: SparePortStore | None = None,
    ) -> None:
        self._neutrons, self._stores, self._new_id = neutrons, stores, new_id
        self._leftovers = leftovers
        maker = TwinMaker(stores.routings, clock, new_id, patience)
        self._ports = ServerPorts(neutrons, stores, maker, clock)
        self._spares = (
            None if spares is None else SpareBoots(spares, stores.routings, self._ports, leftovers)
        )

    async def resolve(
        self,
        caller: Caller,
        body: bytes,
        version: Version,
        request_id: str,
        *,
        may_hope: bool = False,
    ) -> Resolved:
        """Return what the networks of a ``POST /servers`` body mean; its new ports are made.

        Where it ``may_hope`` and some pod has a spare port that would do, they are not.

        A body that Nova's schema refuses comes back as it is: the pod says what is
        wrong. Raises Nova's errors, and PodError when the top's Neutron does not answer.
        """
        asking = read_asking(body, version)
        if asking.mode is Mode.UNREADABLE or caller.project_id is None:
            return Resolved(Form.SERVER, body, asking, request_id)
        if asking.count > 1 and asking.mode is not Mode.NONE:
            raise NotBuiltYet("several servers in one request need 'networks': 'none' for now")
        instance = str(read_value(body, "server.name") or "")
        errand = self._errand(Form.SERVER, caller, caller.project_id, instance, request_id)
        understood = await understand(errand, asking)
        resolved = Resolved(
            Form.SERVER, body, asking, request_id, shown_groups=read_value(body, GROUPS)
        )
        if may_hope and self._spares is not None:
            ready = await self._spares.find(understood.wishes, caller.project_id)
            if ready:
                return replace(resolved, hope=Hope(errand, understood, ready))
        granted = await grant_ports(errand, understood)
        return replace(resolved, ports=granted.ports, groups=granted.groups)

    async def grant(self, resolved: Resolved) -> Resolved:
        """Return the same with its ports made now, if they are not. Raises as ``resolve``."""
        if resolved.hope is None:
            return resolved
        granted = await grant_ports(resolved.hope.errand, resolved.hope.understood)
        return replace(resolved, hope=None, ports=granted.ports, groups=granted.groups)

    async def resolve_interface(
        self, caller: Caller, body: bytes, project_id: ProjectId, request_id: str
    ) -> Resolved:
        """Return the same for a ``POST /servers/{id}/os-interface`` body of a project's server."""
        asking = read_interface(body)
        if asking.mode is Mode.UNREADABLE:
            return Resolved(Form.INTERFACE, body, asking, request_id)
        errand = self._errand(Form.INTERFACE, caller, project_id, "", request_id)
        granted = await grant(errand, asking)
        return Resolved(Form.INTERFACE, body, asking, request_id, granted.ports, granted.groups)

    async def place(self, resolved: Resolved, pod: Pod) -> Placed:
        """Ensure every twin in a pod and return the body for it.

        After an error what was made so far is there: ``undo`` the resolved, or ``place``
        it in another pod. An interface has but one pod: its attachment is undone here.
        Raises TwinBusy, PodError, Nova's PortInUse.
        """
        try:
            port_ids = await self._ports.ensure(resolved.wanted, pod)
        except TricircleError:
            if resolved.form is Form.INTERFACE:
                await self.undo(resolved)
            raise
        put = put_ports if resolved.form is Form.SERVER else put_interface
        body = put(resolved.body, resolved.asking, port_ids)
        return Placed(resolved, pod, body, tuple(port_ids))

    async def place_on_spare(self, resolved: Resolved, pod: Pod) -> Placed | None:
        """Return the body with a port that is ready in a pod, None when it has none.

        The port at the top is made from now on: ``settle`` waits for it.
        """
        if resolved.hope is None or self._spares is None:
            return None
        making = await self._spares.take(resolved.hope, pod, resolved.request_id)
        if making is None:
            return None
        port_ids = (making.spare.port_id,)
        body = put_ports(resolved.body, resolved.asking, port_ids)
        return Placed(resolved, pod, body, port_ids, making, spare=True)

    async def settle(self, placed: Placed) -> Placed | None:
        """Return the same with all its ports at the top; None when that came to nothing.

        Nothing is at the top then, and what is in the pod is left to a job.
        """
        if placed.making is None:
            return placed
        granted = await placed.making.wait()
        if granted is None and self._spares is not None:
            await self._spares.leave(placed.making, placed.resolved.request_id)
        if granted is None:
            return None
        resolved = replace(placed.resolved, hope=None, ports=granted.ports, groups=granted.groups)
        return replace(placed, resolved=resolved, making=None)

    async def complete(self, placed: Placed, server_id: TopId, zone: str) -> None:
        """Do what may be done after the caller has got the answer. Never raises.

        Nova too gives a server its ports later.
        """
        await self.show_owner(placed, server_id, zone)
        wanted, pod = placed.resolved.wanted, placed.pod
        if placed.spare:
            marked = partial(self._ports.put_mark, wanted, pod, placed.port_ids[0])
            await carry_out("port not yet marked", {wanted.ports[0].port.id: marked})
        match wanted.ports:
            case [TopPort(port, Origin.GATEWAY)] if self._spares is not None:
                await self._spares.restock(port, pod, wanted.request_id)

    async def finish(self, placed: Placed, server_id: TopId, zone: str) -> None:
        """Make the ports the server's own: ``keep_owner``, then ``show_owner``."""
        await self.keep_owner(placed, server_id)
        await self.show_owner(placed, server_id, zone)

    async def keep_owner(self, placed: Placed, server_id: TopId) -> None:
        """Write down whose the ports are, so that they are released with the server.

        Never raises: what fails is left to a job.
        """
        mark = self._stores.upkeep.mark_routing
        kept = await carry_out(
            "port without its server in the database",
            {
                port_id: partial(
                    mark, Kind.PORT, port_id, placed.pod.id, RoutingState.ACTIVE, server_id
                )
                for port_id in (TopId(one.port.id) for one in placed.resolved.ports)
            },
        )
        await self._repair_later(placed.resolved, placed.pod, kept)

    async def show_owner(self, placed: Placed, server_id: TopId, zone: str) -> None:
        """Show at the top which server has the ports. Never raises, as ``keep_owner``."""
        shown = await carry_out(
            "port not yet given to its server at the top",
            {
                one.port.id: partial(self._show_owner, placed, one, server_id, zone)
                for one in placed.resolved.ports
            },
        )
        jobs = _repairs(placed.resolved, placed.pod, shown)
        await self._leftovers.hand_over(jobs, placed.resolved.request_id)

    async def withdraw(self, placed: Placed) -> None:
        """Remove the twins of the ports from a pod that said no; ``resolved`` stays usable.

        Never raises: what fails is left to a job, which waits until the boot must be over.
        """
        gone = await self._ports.take_away(placed.resolved.wanted, placed.pod)
        await self._repair_later(placed.resolved, placed.pod, gone)

    async def undo(self, outcome: Resolved | Placed) -> None:
        """Remove what was made for a server that nobody took. Never raises, as ``withdraw``.

        Ports of the user are kept; only their twins go.
        """
        resolved = outcome.resolved if isinstance(outcome, Placed) else outcome
        gone = await self._ports.take_away(resolved.wanted, None)
        left = [one for one in resolved.ports if one.port.id not in gone]
        await carry_out(
            "port not yet marked as going",
            {one.port.id: partial(self._release_soon, resolved, one) for one in left},
        )
        top = self._neutrons.top(resolved.request_id)
        made = [
            one.port
            for one in resolved.ports
            if one.origin is Origin.GATEWAY and one.port.id in gone
        ]
        deleted = await carry_out(
            "port not yet deleted", {port.id: partial(top.delete, Port, port.id) for port in made}
        )
        strays = [port for port in made if port.id not in deleted]
        await self._delete_soon(strays, resolved.request_id)

    async def abandon(self, placed: Placed) -> None:
        """Leave everything to a job: whether the pod took the server is unknown."""
        log.warning(
            "outcome of a boot unknown, its ports are looked at later",
            extra={
                "pod": placed.pod.name,
                "ports": [one.port.id for one in placed.resolved.ports],
            },
        )
        await self._repair_later(placed.resolved, placed.pod, set())

    async def release_later(self, placed: Placed, server_id: TopId) -> None:
        """Have the ports of a server released that is being deleted again."""
        projects = {one.port.project_id for one in placed.resolved.ports}
        jobs = [ReleaseServer(placed.pod.id, server_id, ProjectId(one)) for one in projects]
        await self._leftovers.hand_over(jobs, placed.resolved.request_id)

    async def to_bottom(
        self, kind: Kind, top_ids: Sequence[str], pod: Pod
    ) -> Mapping[str, BottomId]:
        """Return the ids that a pod knows for ids of the top; unknown ones are left out."""
        routings = self._stores.routings
        found = await all_of(
            partial(routings.find_routings, kind, TopId(top_id)) for top_id in set(top_ids)
        )
        return {
            str(routing.top_id): routing.bottom_id
            for rows in found
            for routing in rows
            if routing.pod_id == pod.id and routing.bottom_id is not None
        }

    async def to_top(self, kind: Kind, bottom_ids: Sequence[str], pod: Pod) -> Mapping[str, TopId]:
        """Return the top's ids for ids of a pod; unknown ones are left out."""
        if not bottom_ids:
            return {}
        wanted = [BottomId(one) for one in sorted(set(bottom_ids))]
        rows = await self._stores.routings.find_by_bottom(kind, pod.id, wanted)
        return {str(row.bottom_id): row.top_id for row in rows}

    def _errand(
        self,
        form: Form,
        caller: Caller,
        project_id: ProjectId,
        instance: str,
        request_id: str,
    ) -> Errand:
        return Errand(
            form,
            project_id,
            instance,
            self._new_id(),
            self._neutrons.top_as(caller, request_id),
            self._neutrons.top(request_id),
            partial(self._delete_soon, request_id=request_id),
        )

    async def _release_soon(self, resolved: Resolved, one: TopPort) -> None:
        """Have a port released that certainly no server gets, as soon as its pod allows.

        Where the making of the twin may be under way in the pod, that is waited for.
        """
        rows = await self._stores.routings.find_routings(Kind.PORT, TopId(one.port.id))
        for row in rows:
            if row.owner_id is not None:
                continue
            job = RepairPort(row.pod_id, row.top_id, row.project_id)
            if row.state is RoutingState.CREATING:
                await self._leftovers.hand_over_later([job], resolved.request_id)
                continue
            await self._stores.upkeep.mark_routing(
                Kind.PORT, row.top_id, row.pod_id, RoutingState.DELETING, None
            )
            await self._leftovers.hand_over([job], resolved.request_id)

    async def _repair_later(self, resolved: Resolved, pod: Pod, done: Set[str]) -> None:
        """Have those ports looked at that are not done, when no boot is at work on them."""
        jobs = _repairs(resolved, pod, done)
        await self._leftovers.hand_over_later(jobs, resolved.request_id)

    async def _delete_soon(self, strays: Sequence[Port], request_id: str) -> None:
        jobs = [DeleteStrayPort(TopId(port.id), ProjectId(port.project_id)) for port in strays]
        await self._leftovers.hand_over(jobs, request_id)

    async def _show_owner(self, placed: Placed, one: TopPort, server_id: TopId, zone: str) -> None:
        top = self._neutrons.top(placed.resolved.request_id)
        values = {"device_id": server_id, "device_owner": f"compute:{zone or _ZONE}"}
        shown = await top.update(Port, one.port.id, values)
        rows = await self._stores.routings.find_routings(Kind.PORT, TopId(one.port.id))
        if shown is not None and not any(row.pod_id == placed.pod.id for row in rows):
            # The server is gone already and has released the port before it was shown.
            await top.update(Port, one.port.id, {"device_id": "", "device_owner": ""})


def _repairs(resolved: Resolved, pod: Pod, done: Set[str]) -> list[RepairPort]:
    return [
        RepairPort(pod.id, TopId(one.port.id), ProjectId(one.port.project_id))
        for one in resolved.ports
        if one.port.id not in done
    ]
