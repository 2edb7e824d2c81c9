"""``/servers/{id}/os-interface``: ports of the top attached to and detached from servers."""

from __future__ import annotations

import logging
from dataclasses import replace

from tricircle.compute.rules.twins import TwinIds
from tricircle.core.errors import PodDead, PodError, ServiceUnavailable
from tricircle.core.jobs import ReleasePort
from tricircle.core.model import TopId
from tricircle.gateway.answers import Answer
from tricircle.gateway.hooks import Call
from tricircle.usecases.boot import Placed, ServerNetworks
from tricircle.usecases.leftovers import Leftovers
from tricircle.usecases.release import Release

log = logging.getLogger(__name__)


class AttachInterface:
    """Steps around an attachment; see ``gateway.hooks.ByIdHook``."""

    def __init__(self, networks: ServerNetworks, twins: TwinIds) -> None:
        self._networks, self._twins = networks, twins

    async def before(self, call: Call) -> Call:
        """Return the call with a port of the pod in its body.

        A server of another project is left to the pod, which does not know it for this caller.
        """
        inbound = call.inbound
        if not call.is_callers:
            return call
        resolved = await self._networks.resolve_interface(
            inbound.caller,
            inbound.body,
            call.place.project_id,
            inbound.request_id,
        )
        placed = await self._networks.place(resolved, call.pod)
        return replace(call, outbound=replace(call.outbound, body=placed.body), plan=placed)

    async def after(self, call: Call, answer: Answer) -> Answer:
        """Return the answer with ids of the top; what a refusal leaves is taken back."""
        if call.plan is None:
            return answer
        if answer.status >= 300:
            await self._networks.undo(_placed(call))
            return answer
        await self._networks.finish(_placed(call), TopId(call.top_id), "")
        return await self._twins.after(call, answer)

    async def failed(self, call: Call, error: PodError) -> Answer:
        """Take back what was made when nothing was sent, else have it looked at later."""
        if call.plan is None:
            raise error
        if isinstance(error, PodDead):
            await self._networks.undo(_placed(call))
        else:
            await self._networks.abandon(_placed(call))
        raise error


class DetachInterface:
    """Steps around a detachment; see ``gateway.hooks.ByIdHook``."""

    def __init__(self, release: Release, twins: TwinIds, leftovers: Leftovers) -> None:
        self._release, self._twins, self._leftovers = release, twins, leftovers

    async def before(self, call: Call) -> Call:
        """Return the call with the pod's port in its path.

        That the port is to go is written down first: when this process dies after the
        pod has detached it, nothing else tells it from one whose server is shelved.
        """
        if call.is_callers:
            await self._release.mark_detaching(_port_id(call), TopId(call.top_id), call.pod)
        return await self._twins.before(call)

    async def after(self, call: Call, answer: Answer) -> Answer:
        """Return the answer; a job releases the port once the pod has detached it.

        404 may be the answer to a second attempt, after that to the first was lost.
        """
        if answer.status < 300 or (answer.status == 404 and call.is_callers):
            await self._release_later(call)
        else:
            await self._take_back(call)
        return answer

    async def failed(self, call: Call, error: PodError) -> Answer:
        """Raise; a job sees whether the port is detached, when the pod may have done it."""
        if isinstance(error, PodDead):
            await self._take_back(call)
        elif call.is_callers:
            await self._release_later(call)
        raise error

    async def _release_later(self, call: Call) -> None:
        server_id, project_id = TopId(call.top_id), call.place.project_id
        job = ReleasePort(call.pod.id, _port_id(call), server_id, project_id)
        await self._leftovers.hand_over([job], call.inbound.request_id)

    async def _take_back(self, call: Call) -> None:
        """Write down that the port stays. Without that it goes when its server lets it go."""
        if not call.is_callers:
            return
        try:
            await self._release.mark_attached(_port_id(call), TopId(call.top_id), call.pod)
        except ServiceUnavailable as error:
            facts = {"port": _port_id(call), "reason": str(error)}
            log.warning("port still marked as detached", extra=facts)


def _port_id(call: Call) -> TopId:
    return TopId(call.match.params["id"])


def _placed(call: Call) -> Placed:
    if not isinstance(call.plan, Placed):
        raise TypeError("an attachment without a plan")
    return call.plan
