"""``POST /servers``: ports first, then the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from tricircle.core.bodies import read_value
from tricircle.core.copies import Copies, split_copies
from tricircle.core.errors import TricircleError
from tricircle.core.model import TopId
from tricircle.core.network.asking import read_asking
from tricircle.core.placing import Candidate, Topology
from tricircle.gateway.answers import Answer
from tricircle.gateway.hooks import Batch, Demand
from tricircle.gateway.request import Inbound
from tricircle.usecases.background import Background
from tricircle.usecases.boot import Placed, Resolved, ServerNetworks
from tricircle.usecases.server_groups import Joining, ServerGroupTwins


class Boot:
    """Begins boots: one creation for each server a request asks for."""

    def __init__(
        self,
        networks: ServerNetworks,
        topology: Callable[[], Topology],
        background: Background,
        groups: ServerGroupTwins,
    ) -> None:
        self._tools, self._groups = BootTools(networks, topology, background), groups

    async def demand(self, inbound: Inbound) -> Demand:
        """Return what the server group that a request names says of the pod.

        Raises BadInput in Nova's words for a group that is not there.
        """
        joining = await self._groups.join(inbound.body, inbound.caller, inbound.request_id)
        return Demand(joining.must, joining.prefers, joining) if joining else Demand()

    async def begin(self, inbound: Inbound, demand: Demand) -> Batch:
        """Return the boots of a request, networks checked and ports made at the top.

        Raises Nova's own errors for networks, ports and groups; nothing is left then.
        """
        read_asking(inbound.body, inbound.version)  # of the whole: counts and ports may clash
        copies, joining = _copies(inbound), cast(Joining | None, demand.plan)
        creations: list[BootCreation] = []
        try:
            for body in copies.bodies:
                resolved = await self._tools.networks.resolve(
                    inbound.caller,
                    body,
                    inbound.version,
                    inbound.request_id,
                    # of several servers all have their ports before the first one is made
                    may_hope=len(copies.bodies) == 1,
                )
                creations.append(BootCreation(self._tools, resolved, joining))
        except TricircleError:
            await _give_up_all(creations)
            raise
        return Batch(creations, copies.needed)


def _copies(inbound: Inbound) -> Copies:
    """Return one body for each server; a request without networks is left whole to Nova."""
    if read_value(inbound.body, "server.networks") == "none":
        return Copies((inbound.body,), 1)
    return split_copies(inbound.body)


async def _give_up_all(creations: Sequence[BootCreation]) -> None:
    for creation in creations:
        await creation.give_up()


@dataclass(frozen=True, slots=True)
class BootTools:
    """What every boot of this process works with."""

    networks: ServerNetworks
    topology: Callable[[], Topology]
    background: Background


@dataclass(slots=True)
class BootCreation:
    """One boot; see ``gateway.hooks.Creation``."""

    tools: BootTools
    resolved: Resolved
    joining: Joining | None = None
    placed: Placed | None = None

    @property
    def body(self) -> bytes:
        """Return the body with the networks that the client asked for."""
        return self.resolved.body

    async def place(self, candidate: Candidate, body: bytes) -> bytes:
        """Return the body with the pod's own ports and group in it; twins are there by then."""
        if self.joining is not None:
            body = await self.joining.enter(candidate.pod, body)
        networks, pod = self.tools.networks, candidate.pod
        placed = await networks.place_on_spare(replace(self.resolved, body=body), pod)
        if placed is None:
            self.resolved = await networks.grant(self.resolved)
            placed = await networks.place(replace(self.resolved, body=body), pod)
        self.placed = placed
        return placed.body

    async def settle(self, answer: Answer | None) -> bool:
        """Wait for a port that is made while the pod is asked; see ``gateway.hooks.Creation``."""
        if self.placed is None or self.placed.making is None:
            return True
        (port_id,) = self.placed.port_ids
        self.placed = await self.tools.networks.settle(self.placed)
        if self.placed is None:
            self.resolved = self.resolved.without_spares()
            return False
        self.resolved = replace(self.placed.resolved, body=self.resolved.body)
        # what the pod's Nova does not know is no spare port any more
        return answer is None or answer.status < 300 or port_id.encode() not in answer.body

    async def undo(self) -> None:
        """Remove the twins of the ports from the pod; the top's ports stay for the next pod."""
        if self.placed is not None:
            await self.tools.networks.withdraw(self.placed)
            self.placed = None

    async def give_up(self) -> None:
        """Remove what was made for the server, which no pod took."""
        await self.tools.networks.undo(self.placed or self.resolved)

    async def abandon(self) -> None:
        """Leave everything to a job, which looks whether there is a server."""
        if self.placed is not None:
            await self.tools.networks.abandon(self.placed)

    async def take_back(self, top_id: str) -> None:
        """Have the ports released as soon as the server is gone."""
        if self.placed is not None:
            await self.tools.networks.release_later(self.placed, TopId(top_id))

    async def finish(self, candidate: Candidate, answer: Answer, top_id: str | None) -> Answer:
        """Make the ports the server's own; the top shows it right after the answer."""
        if self.joining is not None:
            self.joining.has_joined = True
        if self.placed is None:
            return answer
        if top_id is not None:
            networks, server_id = self.tools.networks, TopId(top_id)
            await networks.keep_owner(self.placed, server_id)
            self.tools.background.start(
                networks.complete(self.placed, server_id, self._zone(candidate))
            )
        return replace(answer, body=self.placed.restore(answer.body))

    def _zone(self, candidate: Candidate) -> str:
        asked = read_value(self.resolved.body, "server.availability_zone")
        if isinstance(asked, str) and asked:
            return asked.partition(":")[0]
        return next(iter(self.tools.topology().zones_of(candidate.pod.id)), "")
