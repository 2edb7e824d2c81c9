"""``POST /servers/{id}/action``: those actions that concern Neutron objects of the top."""

from __future__ import annotations

from tricircle.compute.profile import PROFILE
from tricircle.compute.rules.owners import asked_server, may_be_done, release_of
from tricircle.compute.rules.shown_groups import ShownGroups
from tricircle.core.errors import PodError
from tricircle.core.network.server_actions import is_deletion, read_action
from tricircle.core.roles import require_member
from tricircle.gateway.answers import JSON, Answer
from tricircle.gateway.hooks import Call
from tricircle.usecases.leftovers import Leftovers
from tricircle.usecases.networking.server_ports_changes import ServerPortsChanges


class ServerActions:
    """Steps around an action; see ``gateway.hooks.ByIdHook``.

    The pod is asked as the client asked, but for an action on security groups or
    addresses of a server whose ports are of the top.
    """

    def __init__(
        self, changes: ServerPortsChanges, leftovers: Leftovers, groups: ShownGroups
    ) -> None:
        self._changes, self._leftovers, self._groups = changes, leftovers, groups

    async def before(self, call: Call) -> Call | Answer:
        """Return the call as it is, or Nova's empty answer when the top has done it.

        Whom the server does not belong to gets the pod's own answer, so that nobody
        learns of servers of others.
        """
        action = read_action(call.inbound.body, call.inbound.version)
        if action is None or not call.is_callers:
            return call
        require_member(call.inbound.caller, action.policy)
        if not await self._changes.carry_out(asked_server(call), action):
            return call
        return Answer(202, (JSON, *PROFILE.version_headers(call.inbound.version)))

    async def after(self, call: Call, answer: Answer) -> Answer:
        """Return the pod's answer; a job releases the ports of a server that goes."""
        if answer.status < 300 and is_deletion(call.inbound.body):
            await self._leftovers.hand_over([release_of(call)], call.inbound.request_id)
        return await self._groups.in_server(call.pod, call.inbound.version, answer)

    async def failed(self, call: Call, error: PodError) -> Answer:
        """Raise; a job sees whether the server is gone, when the pod may have deleted it."""
        if is_deletion(call.inbound.body) and may_be_done(call, error):
            await self._leftovers.hand_over([release_of(call)], call.inbound.request_id)
        raise error
