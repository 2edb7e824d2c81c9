"""``GET /servers/{id}/os-security-groups``: the groups of the top."""

from __future__ import annotations

from dataclasses import replace

from tricircle.compute.rules.owners import asked_server
from tricircle.compute.rules.twins import TwinIds
from tricircle.core.bodies import encode
from tricircle.core.errors import PodError
from tricircle.gateway.answers import Answer
from tricircle.gateway.hooks import Call
from tricircle.usecases.networking.server_ports_changes import ServerPortsChanges


class ServerGroups:
    """Steps around the list of a server's groups; see ``gateway.hooks.ByIdHook``.

    The pod is asked all the same: it knows whether the caller may see the server.
    """

    def __init__(self, changes: ServerPortsChanges, twins: TwinIds) -> None:
        self._changes, self._twins = changes, twins

    async def before(self, call: Call) -> Call:
        """Return the call as it is."""
        return call

    async def after(self, call: Call, answer: Answer) -> Answer:
        """Return the groups as the top has them; those of a pod's own ports as the pod says."""
        if answer.status != 200:
            return answer
        groups = await self._changes.list_groups(asked_server(call))
        if groups is None:
            return await self._twins.after(call, answer)
        return replace(answer, body=encode({"security_groups": groups}))

    async def failed(self, call: Call, error: PodError) -> Answer:
        """Raise: there is nothing to add."""
        raise error
