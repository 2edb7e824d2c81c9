"""A volume changes hands: who accepts a transfer cannot see it, and owns its volume afterwards."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tricircle.core.bodies import read_texts, read_value
from tricircle.core.errors import PodError, ServiceUnavailable
from tricircle.core.model import BottomId, Kind, Pod, ProjectId
from tricircle.core.query import with_parameter
from tricircle.core.table import Match
from tricircle.gateway.answers import Answer
from tricircle.gateway.asking import Asker, Said, choose
from tricircle.gateway.forward import Outbound
from tricircle.gateway.request import Inbound
from tricircle.usecases.locate import Locator, Place

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Transfers:
    """Accepts transfers."""

    asker: Asker
    locator: Locator

    async def accept(self, inbound: Inbound, match: Match) -> Answer:
        """Return the answer of the pod that has the transfer.

        Where nothing is recorded of it all pods are asked to accept it, as only its giver
        could look for it: those that do not have it say so and do nothing.
        """
        transfer_id = match.params["id"]
        said = await self._ask(inbound, transfer_id)
        if said.answer.status < 300:
            try:
                await self._hand_over(inbound, said)
                await self.locator.forget(Kind.TRANSFER, transfer_id, said.pod.id)
            except (PodError, ServiceUnavailable) as error:
                # Whoever uses the volume next has its record corrected.
                facts = {"transfer": transfer_id, "pod": said.pod.name, "reason": str(error)}
                log.warning("new owner of a volume not written down yet", extra=facts)
        return said.answer

    async def _ask(self, inbound: Inbound, transfer_id: str) -> Said:
        outbound = Outbound.of(inbound)
        pod = await self._find_recorded(transfer_id)
        if pod is not None:
            return Said(pod, await self.asker.forwarder.send(pod, outbound))
        return choose(await self.asker.ask([(one, outbound) for one in self.asker.pods()]))

    async def _find_recorded(self, transfer_id: str) -> Pod | None:
        place = await self.locator.find_recorded(Kind.TRANSFER, transfer_id)
        return None if place is None else self.asker.topology().find_pod(place.pod_id)

    async def _hand_over(self, inbound: Inbound, said: Said) -> None:
        """Write down whose the volume is now, and those of its snapshots that came along."""
        volume_id = read_value(said.answer.body, "transfer.volume_id")
        project = inbound.caller.project_id
        if not isinstance(volume_id, str) or project is None:
            return
        owned = [(Kind.VOLUME, volume_id)]
        owned += [(Kind.SNAPSHOT, one) for one in await self._snapshots(inbound, said, volume_id)]
        for kind, top_id in owned:
            place = Place(said.pod.id, BottomId(top_id), ProjectId(project))
            await self.locator.hand_over(kind, top_id, place)

    async def _snapshots(self, inbound: Inbound, said: Said, volume_id: str) -> Sequence[str]:
        """Return the snapshots of the volume that its new owner sees."""
        query = with_parameter("", "volume_id", volume_id)
        asking = Outbound(replace(inbound, method="GET", body=b""), "/snapshots", query, b"")
        answer = await self.asker.forwarder.send(said.pod, asking)
        return read_texts(answer.body, "snapshots[].id") if answer.status == 200 else ()
