"""Server groups over pods: which pods have one, making it in another pod, joining it.

A twin is made with the token of the user whose server needs it, as Nova gives a group to the
project of whoever makes it. What nobody can ask for any more is deleted by a job.

Servers of a group with the policy ``affinity`` must be in one pod. That pod is kept as a
binding of the group, so that two first servers agree; it moves only while the group has no
server there.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from tricircle.core.bodies import read_value, replace_texts
from tricircle.core.errors import BadInput, Conflict, NotFound, ServiceUnavailable, TwinRefused
from tricircle.core.model import (
    BottomId,
    Caller,
    Endpoint,
    Kind,
    Origin,
    Pod,
    PodId,
    ProjectId,
    Routing,
    RoutingState,
    Service,
    TopId,
    Version,
    ZoneName,
)
from tricircle.core.placing import Topology
from tricircle.core.server_groups import (
    OWNED_SINCE,
    POLICY_SINCE,
    Group,
    absent_group,
    fault_message,
    find_hint,
    page_query,
    read_group,
    twin_body,
    twin_name,
)
from tricircle.core.versions import STANDARD_HEADER
from tricircle.interfaces.cloud import Cloud, PodRequest
from tricircle.interfaces.store import BindingStore, RoutingStore
from tricircle.usecases.ensure import TwinMaker
from tricircle.usecases.fanout import Done, Failed, fan_out
from tricircle.usecases.locate import is_id

log = logging.getLogger(__name__)

_ABSENT = frozenset({400, 401, 403, 404})
"""Statuses by which a pod says that it has no such group for this caller."""
WHOLE_PAGE = 100
"""A page of fewer groups is a pod's last one; no Nova gives smaller pages by itself."""


@dataclass(frozen=True, slots=True)
class Twins:
    """In which pods a group is, and as what; ``project_id`` is whose it is.

    In the pods ``unsettled`` it is, or was, being made.
    """

    top_id: TopId
    project_id: ProjectId
    bottoms: Mapping[PodId, BottomId]
    unsettled: tuple[PodId, ...] = ()

    @property
    def in_order(self) -> Sequence[PodId]:
        """Return the pods: first the one that chose the group's id, then by id."""
        return sorted(self.bottoms, key=lambda one: (str(self.bottoms[one]) != self.top_id, one))


@dataclass(frozen=True, slots=True)
class PodGroups:
    """The server groups of one Nova, asked with a caller's own token."""

    cloud: Cloud
    pod: Pod
    endpoint: Endpoint
    token: str
    request_id: str
    timeout_s: float

    @property
    def version(self) -> Version:
        """Return the microversion it is asked with."""
        served = self.endpoint.versions
        return POLICY_SINCE if served is None or served.maximum >= POLICY_SINCE else OWNED_SINCE

    async def show(self, group_id: str) -> bytes | None:
        """Return a group, None when this caller cannot see one. Raises TwinRefused, PodError."""
        status, body = await self._send("GET", f"/os-server-groups/{group_id}")
        if status in _ABSENT:
            return None
        self._check(status, body)
        return body

    async def list_all(self) -> Sequence[Mapping[str, object]]:
        """Return all groups of the caller's project. Raises TwinRefused, PodError."""
        found: list[Mapping[str, object]] = []
        while True:
            query = page_query("", len(found))
            status, body = await self._send("GET", "/os-server-groups", query)
            self._check(status, body)
            rows = read_value(body, "server_groups")
            page = [one for one in rows if isinstance(one, dict)] if isinstance(rows, list) else []
            found += page
            if len(page) < WHOLE_PAGE:
                return found

    async def make(self, group: Group) -> BottomId:
        """Return the id of a new twin. Raises TwinRefused, PodError."""
        if group.rules and self.version < POLICY_SINCE:
            raise TwinRefused(self.pod.id, 400, f"pod {self.pod.name} knows no rules of groups")
        made = msgspec.json.encode(twin_body(group, self.version))
        status, body = await self._send("POST", "/os-server-groups", "", made)
        self._check(status, body)
        return BottomId(str(read_value(body, "server_group.id")))

    def _check(self, status: int, body: bytes) -> None:
        if status >= 300:
            raise TwinRefused(
                self.pod.id,
                status,
                f"pod {self.pod.name} answers {status} for a server group: {fault_message(body)}",
            )

    async def _send(
        self, method: str, path: str, query: str = "", body: bytes | None = None
    ) -> tuple[int, bytes]:
        headers = [
            (b"x-auth-token", self.token.encode()),
            (b"accept", b"application/json"),
            (b"x-openstack-request-id", self.request_id.encode()),
            (STANDARD_HEADER, f"compute {self.version}".encode()),
        ]
        if body is not None:
            headers.append((b"content-type", b"application/json"))
        request = PodRequest(method, path, query, headers, body)
        async with self.cloud.send(self.pod.id, self.endpoint, request, self.timeout_s) as response:
            return response.status, await response.read()


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How one twin is found and made; see ``usecases.ensure``."""

    groups: PodGroups
    group: Group

    async def look(self) -> BottomId | None:
        """Return the twin if it is in the pod, found by its name."""
        name = twin_name(self.group.name, self.group.top_id)
        found = [one["id"] for one in await self.groups.list_all() if one.get("name") == name]
        return BottomId(str(found[0])) if found else None

    async def make(self) -> BottomId:
        """Make the twin."""
        return await self.groups.make(self.group)


class ServerGroupTwins:
    """Server groups and their twins. One for each process."""

    def __init__(
        self,
        cloud: Cloud,
        routings: RoutingStore,
        bindings: BindingStore,
        maker: TwinMaker,
        topology: Callable[[], Topology],
        timeout_s: float,
    ) -> None:
        self._cloud, self._routings, self._bindings = cloud, routings, bindings
        self._maker, self._topology, self._timeout_s = maker, topology, timeout_s

    async def find(self, top_id: str, caller: Caller, request_id: str) -> Twins:
        """Return in which pods a group is; pods are asked when no record says so.

        Raises NotFound in Nova's words, ServiceUnavailable when not every pod could be asked.
        """
        if not is_id(top_id):
            raise NotFound(absent_group(top_id))
        rows = await self._routings.find_routings(Kind.SERVER_GROUP, TopId(top_id))
        if any(row.state is RoutingState.DELETING for row in rows):
            raise NotFound(absent_group(top_id))
        known = {row.pod_id: row.bottom_id for row in rows if row.bottom_id is not None}
        if known:
            unsettled = tuple(row.pod_id for row in rows if row.bottom_id is None)
            return Twins(TopId(top_id), rows[0].project_id, known, unsettled)
        return await self._search(TopId(top_id), caller, request_id)

    async def keep(self, top_id: str, pod: Pod, project_id: ProjectId) -> None:
        """Write down in which pod a group was made."""
        row = Routing(Kind.SERVER_GROUP, TopId(top_id), pod.id, BottomId(top_id), project_id)
        await self._routings.keep_routings([row])

    async def forget(self, twins: Twins, pod_ids: Sequence[PodId]) -> None:
        """Forget the records of twins that are gone."""
        for pod_id in pod_ids:
            await self._routings.forget_routing(Kind.SERVER_GROUP, twins.top_id, pod_id)
        if set(pod_ids) >= set(twins.bottoms):
            await self._bindings.unbind(twins.project_id, _pin_of(twins.top_id))

    async def list_records(self, pod_id: PodId, bottom_ids: Sequence[str]) -> Mapping[str, Routing]:
        """Return what is known of a pod's groups, by their ids there."""
        ids = [BottomId(one) for one in bottom_ids if is_id(one)]
        rows = await self._routings.find_by_bottom(Kind.SERVER_GROUP, pod_id, ids) if ids else []
        return {str(row.bottom_id): row for row in rows}

    async def join(self, body: bytes, caller: Caller, request_id: str) -> Joining | None:
        """Return how a server of ``POST /servers`` gets into its group, None without one.

        Raises BadInput in Nova's words for a group that is not there.
        """
        hint = find_hint(body)
        if hint is None or not is_id(hint[1]):
            return None  # what is no id is the pod's to refuse
        place, top_id = hint
        try:
            twins = await self.find(top_id, caller, request_id)
            group = await self._read(twins, caller, request_id)
        except NotFound as absent:
            raise BadInput(str(absent)) from None
        pin = None
        if group.draws_together:
            pin = await self._bindings.find_binding(group.project_id, _pin_of(group.top_id))
        return Joining(self, group, place, caller, request_id, pin)

    async def ensure(self, joining: Joining, pod: Pod) -> BottomId:
        """Return the id of a group in a pod, made there if it is missing."""
        group, caller = joining.group, joining.caller
        known = group.twins.get(pod.id)
        if known is not None:
            return known
        groups = self._in_pod(pod, caller, joining.request_id)
        routing = Routing(
            Kind.SERVER_GROUP,
            group.top_id,
            pod.id,
            None,
            group.project_id,
            RoutingState.CREATING,
            Origin.GATEWAY,
        )
        return (await self._maker.ensure(routing, _Recipe(groups, group))).bottom_id

    async def pin(self, joining: Joining, pod: Pod) -> None:
        """Have all servers of a group go to a pod from now on. Raises Conflict."""
        group = joining.group
        key = group.project_id, _pin_of(group.top_id)
        bound = await self._bindings.bind(*key, pod.id)
        if bound != pod.id and bound == joining.pin and await self._is_empty(joining, bound):
            bound = await self._bindings.rebind(*key, bound, pod.id)
        if bound != pod.id:
            raise Conflict(
                f"server group {group.top_id} has the policy {group.policy} and servers in another "
                f"pod than {pod.name}; please retry"
            )
        joining.pin = pod.id

    async def _is_empty(self, joining: Joining, pod_id: PodId) -> bool:
        """Tell whether a group certainly has no server in a pod."""
        if joining.has_joined:
            return False
        rows = await self._routings.find_routings(Kind.SERVER_GROUP, joining.group.top_id)
        bottom_id = next((row.bottom_id for row in rows if row.pod_id == pod_id), None)
        pod = self._topology().find_pod(pod_id)
        if bottom_id is None or pod is None:
            return True
        shown = await self._in_pod(pod, joining.caller, joining.request_id).show(bottom_id)
        return shown is None or not read_value(shown, "server_group.members")

    # Reading.

    async def _read(self, twins: Twins, caller: Caller, request_id: str) -> Group:
        """Return a group as its pods show it to a caller. Raises NotFound, PodError."""
        calls = {
            pod.id: self._shower(pod, twins.bottoms[pod.id], caller, request_id)
            for pod in map(self._topology().find_pod, twins.in_order)
            if pod is not None
        }
        outcomes = await fan_out(calls, timeout_s=self._timeout_s)
        shown = {
            pod_id: outcome.value
            for pod_id, outcome in outcomes.items()
            if isinstance(outcome, Done) and outcome.value is not None
        }
        if shown:
            group = read_group(twins.top_id, shown, next(iter(shown)))
            return replace(group, twins=twins.bottoms)
        failed = [one.error for one in outcomes.values() if isinstance(one, Failed)]
        raise failed[0] if failed else NotFound(absent_group(twins.top_id))

    async def _search(self, top_id: TopId, caller: Caller, request_id: str) -> Twins:
        """Return where a group is that was made before the top knew of it."""
        pods = [pod for pod in self._topology().pods if Service.COMPUTE in pod.endpoints]
        outcomes = await fan_out(
            {pod.id: self._shower(pod, top_id, caller, request_id) for pod in pods},
            timeout_s=self._timeout_s,
        )
        for pod in pods:
            outcome = outcomes[pod.id]
            if not isinstance(outcome, Done) or outcome.value is None:
                continue
            known = await self.list_records(pod.id, [top_id])
            if top_id in known:  # as what another group is known in this pod
                break
            project_id = ProjectId(str(read_value(outcome.value, "server_group.project_id")))
            await self.keep(top_id, pod, project_id)
            return Twins(top_id, project_id, {pod.id: BottomId(top_id)})
        unknown = [pod.name for pod in pods if isinstance(outcomes[pod.id], Failed)]
        if unknown:
            raise ServiceUnavailable(
                f"server group {top_id} is not in any pod that answers, and these do not "
                f"answer: {', '.join(unknown)}; please retry"
            )
        raise NotFound(absent_group(top_id))

    def _shower(
        self, pod: Pod, group_id: str, caller: Caller, request_id: str
    ) -> Callable[[], Awaitable[bytes | None]]:
        async def show() -> bytes | None:
            return await self._in_pod(pod, caller, request_id).show(group_id)

        return show

    def _in_pod(self, pod: Pod, caller: Caller, request_id: str) -> PodGroups:
        endpoint = pod.endpoints.get(Service.COMPUTE)
        if endpoint is None:
            raise ServiceUnavailable(f"pod {pod.name} has no compute endpoint")
        return PodGroups(self._cloud, pod, endpoint, caller.token, request_id, self._timeout_s)


@dataclass(slots=True)
class Joining:
    """A request for servers in a group; it may be tried in one pod after another.

    ``pin`` is the pod that is kept for the group's servers, as far as is known.
    """

    twins: ServerGroupTwins = field(repr=False)
    group: Group
    place: str
    caller: Caller
    request_id: str
    pin: PodId | None
    has_joined: bool = False

    @property
    def is_foreign(self) -> bool:
        """Tell whether the group is of another project, as it may be for an administrator."""
        return self.group.project_id != self.caller.project_id

    @property
    def must(self) -> PodId | None:
        """Return the only pod that will do, if there is one."""
        if self.is_foreign:
            # A twin made now would be the caller's project's.
            return self.group.crowded_pod or next(iter(self.group.members), None)
        if not self.group.is_together:
            return None
        if self.pin is not None and self._may_be_in(self.pin):
            return self.pin
        return self.group.crowded_pod

    def _may_be_in(self, pod_id: PodId) -> bool:
        """Tell whether the group has servers in a pod, or it is not known that it has none."""
        members = self.group.members.get(pod_id)
        return pod_id in self.group.twins and (members is None or len(members) > 0)

    @property
    def prefers(self) -> PodId | None:
        """Return the pod to be tried first, if there is one."""
        if not self.group.draws_together:
            return None
        return self.group.crowded_pod or self.pin

    async def enter(self, pod: Pod, body: bytes) -> bytes:
        """Return the body with the group's id in a pod; the group is there by then.

        Raises Conflict when its servers must be in another pod by now, TwinRefused, PodError.
        """
        if self.group.is_together and not self.is_foreign:
            await self.twins.pin(self, pod)
        bottom_id = await self.twins.ensure(self, pod)
        return replace_texts(body, self.place, {self.group.top_id: bottom_id})


def _pin_of(top_id: TopId) -> ZoneName:
    """Return under which name the pod of a group's servers is kept, beside those of zones."""
    return ZoneName(f"server group {top_id}")
