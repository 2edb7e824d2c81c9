"""``/servers/{id}/os-interface``: ports of the top attached to and detached from servers."""

from __future__ import annotations

from dataclasses import replace

from tricircle.compute.rules.twins import TwinIds
from tricircle.core.errors import PodDead, PodError
from tricircle.core.model import TopId
from tricircle.gateway.answers import Answer
from tricircle.gateway.hooks import Call
from tricircle.interfaces.clock import Clock
from tricircle.usecases.background import Background
from tricircle.usecases.boot import Placed, ServerNetworks
from tricircle.usecases.release import Release

_WAITS_S = (0.5, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


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
        """Take back what was made when nothing was sent, else leave it to the sweep."""
        if call.plan is None:
            raise error
        if isinstance(error, PodDead):
            await self._networks.undo(_placed(call))
        else:
            await self._networks.abandon(_placed(call))
        raise error


class DetachInterface:
    """Steps around a detachment; see ``gateway.hooks.ByIdHook``."""

    def __init__(
        self, release: Release, twins: TwinIds, background: Background, clock: Clock
    ) -> None:
        self._release, self._twins = release, twins
        self._background, self._clock = background, clock

    async def before(self, call: Call) -> Call:
        """Return the call with the pod's port in its path."""
        return await self._twins.before(call)

    async def after(self, call: Call, answer: Answer) -> Answer:
        """Return the answer; the port is released once the pod has detached it."""
        if answer.status < 300:
            self._background.start(self._watch(call))
        return answer

    async def failed(self, call: Call, error: PodError) -> Answer:
        """Raise: whether the port is detached is unknown, the sweep will see."""
        raise error

    async def _watch(self, call: Call) -> None:
        port_id = TopId(call.match.params["id"])
        for wait_s in _WAITS_S:
            await self._clock.sleep(wait_s)
            if await self._release.release_port(
                port_id, TopId(call.top_id), call.pod, call.inbound.request_id
            ):
                return


def _placed(call: Call) -> Placed:
    if not isinstance(call.plan, Placed):
        raise TypeError("an attachment without a plan")
    return call.plan
