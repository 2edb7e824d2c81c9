"""``GET``, ``PUT`` and ``DELETE /servers/{id}``: what a server leaves, and an unreachable one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

from tricircle.compute.rules.owners import may_be_done, release_of
from tricircle.compute.rules.shown_groups import ShownGroups
from tricircle.core.bodies import read_value
from tricircle.core.errors import PodError
from tricircle.core.links import strip_version
from tricircle.core.model import Kind, Routing, TopId, Version
from tricircle.core.placing import Topology
from tricircle.gateway.answers import Answer, json_answer
from tricircle.gateway.hooks import Call
from tricircle.interfaces.store import RoutingStore
from tricircle.usecases.leftovers import Leftovers
from tricircle.usecases.release import Release

PARTIAL_SINCE = Version(2, 69)
"""From here on Nova shows a server whose cell is down with ``status: UNKNOWN``."""


class ServerRule:
    """Steps around the rows of a server itself; see ``gateway.hooks.ByIdHook``."""

    def __init__(
        self,
        release: Release,
        routings: RoutingStore,
        topology: Callable[[], Topology],
        leftovers: Leftovers,
        groups: ShownGroups,
    ) -> None:
        self._release, self._routings, self._topology = release, routings, topology
        self._leftovers, self._groups = leftovers, groups

    async def before(self, call: Call) -> Call:
        """Return the call as it is."""
        return call

    async def after(self, call: Call, answer: Answer) -> Answer:
        """Return the answer; ports of a server that is gone are released first.

        Who waits for a server to be gone removes its network next, as Terraform does:
        so a 404 is given only when the ports are released, as Nova itself does it. For a
        moment before, Nova shows the server as deleted, which clients take for gone too.
        For who does not wait, a job releases them.
        """
        if call.inbound.caller.project_id == call.place.project_id:
            if answer.status == 404:
                await self._release_now(call)
            elif _shows_deleted(answer):
                await self._release.release_let_go(
                    TopId(call.top_id), call.pod, call.inbound.request_id
                )
        if call.inbound.method == "DELETE" and answer.status < 300:
            await self._release_later(call)
        return await self._groups.in_server(call.pod, call.inbound.version, answer)

    async def failed(self, call: Call, error: PodError) -> Answer:
        """Return what the top knows of a server whose pod does not answer, or raise ``error``."""
        inbound = call.inbound
        if inbound.method == "DELETE" and may_be_done(call, error):
            await self._release_later(call)  # the pod may have begun to delete it
        if inbound.method != "GET" or inbound.version < PARTIAL_SINCE or not call.is_callers:
            raise error
        for routing in await self._routings.find_routings(Kind.SERVER, TopId(call.top_id)):
            if routing.pod_id == call.pod.id:
                headers = ((b"x-tricircle-missing-pods", call.pod.name.encode()),)
                return json_answer({"server": self._partial(call, routing)}, 200, headers)
        raise error

    def _partial(self, call: Call, routing: Routing) -> dict[str, object]:
        """Return the fields Nova shows of a server in a cell that is down.

        As ``_show_from_down_cell`` in nova/api/openstack/compute/views/servers.py, without
        flavor and image, which only the pod knows.
        """
        target, root = call.inbound.target, strip_version(call.inbound.top_root)
        path = f"{target.prefix}/servers/{call.top_id}"
        zones = self._topology().zones_of(call.pod.id)
        created = routing.created_at
        return {
            "id": call.top_id,
            "status": "UNKNOWN",
            "tenant_id": routing.project_id,
            "user_id": "UNKNOWN",
            "created": created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if created else "",
            "OS-EXT-AZ:availability_zone": zones[0] if len(zones) == 1 else "UNKNOWN",
            "OS-EXT-STS:power_state": 0,
            "links": [
                {"rel": "self", "href": f"{root}/{target.api}{path}"},
                {"rel": "bookmark", "href": f"{root}{path}"},
            ],
        }

    async def _release_now(self, call: Call) -> bool:
        return await self._release.release_server(
            TopId(call.top_id), call.pod, call.inbound.request_id
        )

    async def _release_later(self, call: Call) -> None:
        await self._leftovers.hand_over([release_of(call)], call.inbound.request_id)


def _shows_deleted(answer: Answer) -> bool:
    # the search spares all others the reading of the body
    if answer.status != 200 or b'"DELETED"' not in answer.body:
        return False
    return read_value(answer.body, "server.status") == "DELETED"
