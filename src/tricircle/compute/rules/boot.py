"""``POST /servers``: ports first, then the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tricircle.core.bodies import read_value
from tricircle.core.copies import Copies, split_copies
from tricircle.core.errors import TricircleError
from tricircle.core.model import TopId
from tricircle.core.placing import Candidate
from tricircle.gateway.answers import Answer
from tricircle.gateway.hooks import Batch
from tricircle.gateway.request import Inbound
from tricircle.usecases.boot import Placed, Resolved, ServerNetworks


class Boot:
    """Begins boots: one creation for each server a request asks for."""

    def __init__(self, networks: ServerNetworks) -> None:
        self._networks = networks

    async def begin(self, inbound: Inbound) -> Batch:
        """Return the boots of a request, networks checked and ports made at the top.

        Raises Nova's own errors for networks, ports and groups; nothing is left then.
        """
        copies = _copies(inbound)
        creations: list[BootCreation] = []
        try:
            for body in copies.bodies:
                resolved = await self._networks.resolve(
                    inbound.caller, body, inbound.version, inbound.request_id
                )
                creations.append(BootCreation(self._networks, resolved))
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


@dataclass(slots=True)
class BootCreation:
    """One boot; see ``gateway.hooks.Creation``."""

    networks: ServerNetworks
    resolved: Resolved
    placed: Placed | None = None

    @property
    def body(self) -> bytes:
        """Return the body with the networks that the client asked for."""
        return self.resolved.body

    async def place(self, candidate: Candidate, body: bytes) -> bytes:
        """Return the body with the pod's own ports in it; twins are there by then."""
        resolved = replace(self.resolved, body=body)
        self.placed = await self.networks.place(resolved, candidate.pod)
        return self.placed.body

    async def undo(self) -> None:
        """Remove the twins of the ports from the pod; the top's ports stay for the next pod."""
        if self.placed is not None:
            await self.networks.withdraw(self.placed)
            self.placed = None

    async def give_up(self) -> None:
        """Remove what was made for the server, which no pod took."""
        await self.networks.undo(self.placed or self.resolved)

    async def abandon(self) -> None:
        """Leave everything to the sweep, which looks whether there is a server."""
        if self.placed is not None:
            await self.networks.abandon(self.placed)

    async def finish(self, candidate: Candidate, answer: Answer, top_id: str | None) -> Answer:
        """Make the ports the server's own."""
        if self.placed is None:
            return answer
        if top_id is not None:
            zone = self._zone(candidate)
            await self.networks.finish(self.placed, TopId(top_id), zone)
        return replace(answer, body=self.placed.restore(answer.body))

    def _zone(self, candidate: Candidate) -> str:
        asked = read_value(self.resolved.body, "server.availability_zone")
        return asked.partition(":")[0] if isinstance(asked, str) else candidate.pod_az
