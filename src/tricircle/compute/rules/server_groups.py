"""``/os-server-groups``: groups whose servers may be in several pods.

A group is made in one pod, which decides as ever and whose id is the group's. What users see
is what that pod shows, with the members that twins in other pods have.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from tricircle.compute.profile import PROFILE
from tricircle.core.bodies import encode, read_value
from tricircle.core.errors import NotFound, PodDead, ServiceUnavailable, TricircleError
from tricircle.core.jobs import DeleteServerGroup
from tricircle.core.model import Kind, Pod, PodId, ProjectId, RoutingState
from tricircle.core.placing import Topology
from tricircle.core.server_groups import (
    GroupRow,
    merge_rows,
    page_query,
    read_slice,
    read_twin_name,
    show_as_one,
)
from tricircle.core.table import Match
from tricircle.gateway.answers import JSON, Answer
from tricircle.gateway.asking import Asker, Heard, Said
from tricircle.gateway.forward import Forwarder, Outbound
from tricircle.gateway.merging import missing_header
from tricircle.gateway.request import Inbound
from tricircle.interfaces.store import RoutingUpkeep
from tricircle.usecases.leftovers import Leftovers
from tricircle.usecases.server_groups import WHOLE_PAGE, ServerGroupTwins, Twins

log = logging.getLogger(__name__)


class ServerGroupAnswers:
    """Makes, shows, lists and deletes groups. One for each gateway."""

    def __init__(
        self,
        asker: Asker,
        twins: ServerGroupTwins,
        upkeep: RoutingUpkeep,
        leftovers: Leftovers,
        topology: Callable[[], Topology],
    ) -> None:
        self._asker, self._twins, self._upkeep = asker, twins, upkeep
        self._leftovers, self._topology = leftovers, topology

    @property
    def _forwarder(self) -> Forwarder:
        return self._asker.forwarder

    async def create(self, inbound: Inbound, match: Match) -> Answer:
        """Return the answer of the pod that made a group: the first that takes new things.

        It is the same one as long as it lives, so its quota is the quota.
        """
        error: TricircleError | None = None
        for pod in self._takers():
            try:
                answer = await self._forwarder.send(pod, Outbound.of(inbound))
            except PodDead as dead:
                error = dead
                continue
            if answer.status < 300:
                await self._keep(inbound, pod, answer)
            return answer
        raise error or ServiceUnavailable(
            "no enabled pod can be asked; an operator adds one with the Admin API"
        )

    def _takers(self) -> list[Pod]:
        is_dead = self._forwarder.cloud.is_dead
        pods = [pod for pod in self._asker.pods() if pod.enabled]
        return sorted(pods, key=lambda pod: is_dead(pod.id))

    async def _keep(self, inbound: Inbound, pod: Pod, answer: Answer) -> None:
        """Write down where a group was made; what cannot be written is found by asking."""
        top_id = read_value(answer.body, "server_group.id")
        try:
            project_id = inbound.caller.project_id or ProjectId("")
            await self._twins.keep(str(top_id), pod, project_id)
        except ServiceUnavailable as error:
            log.warning(
                "made in a pod and not written down yet",
                extra={"kind": Kind.SERVER_GROUP, "id": top_id, "reason": str(error)},
            )

    async def show(self, inbound: Inbound, match: Match) -> Answer:
        """Return a group with the members of all pods that have it."""
        try:
            twins = await self._twins.find(match.params["id"], inbound.caller, inbound.request_id)
        except NotFound as absent:
            return await self._absent(inbound, absent)
        heard = await self._ask(inbound, twins)
        if not heard.good:
            return await self._none(inbound, twins, heard)
        first, *others = heard.good
        body = show_as_one(
            twins.top_id,
            first.answer.body,
            [one.answer.body for one in others],
            "server_group.",
        )
        headers = [*first.answer.headers, *missing_header(heard.silent)]
        return replace(first.answer, headers=headers, body=body)

    async def delete(self, inbound: Inbound, match: Match) -> Answer:
        """Return the answer of the first pod that can be asked; then all twins go.

        A job deletes those in pods that do not answer.
        """
        try:
            twins = await self._twins.find(match.params["id"], inbound.caller, inbound.request_id)
        except NotFound as absent:
            return await self._absent(inbound, absent)
        asked = list(twins.in_order)
        heard = await self._ask(inbound, twins, asked[:1])
        while not heard.good and len(asked) > 1 and _tells_nothing(heard):
            asked = asked[1:]
            heard = await self._ask(inbound, twins, asked[:1])
        if not heard.good:
            return await self._none(inbound, twins, heard)
        first = heard.good[0]
        await self._delete_others(inbound, twins, first.pod.id)
        return first.answer

    async def _delete_others(self, inbound: Inbound, twins: Twins, gone: PodId) -> None:
        """Delete what other pods have of a group that is deleted; nobody sees it any more."""
        left = [pod_id for pod_id in twins.in_order if pod_id != gone]
        for pod_id in (*left, *twins.unsettled):
            await self._upkeep.mark_routing(
                Kind.SERVER_GROUP, twins.top_id, pod_id, RoutingState.DELETING, None
            )
        heard = await self._ask(inbound, twins, left)
        done = {one.pod.id for one in heard.said if one.answer.status in (204, 404)}
        jobs = [
            DeleteServerGroup(pod_id, twins.top_id, twins.project_id)
            for pod_id in (*left, *twins.unsettled)
            if pod_id not in done
        ]
        await self._leftovers.hand_over(jobs, inbound.request_id)
        await self._twins.forget(twins, [gone, *done])

    async def list_all(self, inbound: Inbound, match: Match) -> Answer:
        """Return the groups of all pods, each once, cut as the client asks."""
        part = read_slice(inbound.query)
        if part is None:
            return await self._asker.ask_first(Outbound.of(inbound))
        found: dict[PodId, list[msgspec.Raw]] = {pod.id: [] for pod in self._asker.pods()}
        asking, silent = self._asker.pods(), list[Pod]()
        while asking:
            heard = await self._asker.ask(
                [(pod, _page_of(inbound, len(found[pod.id]))) for pod in asking]
            )
            refusal = heard.find_refusal()
            if refusal is not None:
                return refusal
            silent += heard.missing
            asking = [one.pod for one in heard.good if _take_page(found[one.pod.id], one)]
        if len(silent) == len(found) or (silent and not self._asker.partial):
            names = ", ".join(pod.name for pod in silent) or "there is none"
            raise ServiceUnavailable(f"these pods do not answer: {names}; please retry later")
        rows = [row for pod_id, items in found.items() for row in await self._rows(pod_id, items)]
        items = part.cut(merge_rows(rows))
        body = encode({"server_groups": [msgspec.Raw(item) for item in items]})
        headers = [JSON, *PROFILE.version_headers(inbound.version), *missing_header(silent)]
        return Answer(200, headers, body)

    async def _rows(self, pod_id: PodId, items: Sequence[msgspec.Raw]) -> list[GroupRow]:
        """Return of which groups a pod's rows are, without those that are being deleted."""
        shown = {str(read_value(bytes(item), "id")): bytes(item) for item in items}
        records = await self._twins.list_records(pod_id, list(shown))
        rows = []
        for group_id, item in shown.items():
            record = records.get(group_id)
            if record is not None and record.state is RoutingState.DELETING:
                continue
            marked = read_twin_name(str(read_value(item, "name") or ""))
            top_id = record.top_id if record else marked[1] if marked else group_id
            rows.append(GroupRow(top_id, item, is_home=top_id == group_id))
        return rows

    async def _ask(
        self, inbound: Inbound, twins: Twins, pod_ids: Sequence[PodId] | None = None
    ) -> Heard:
        """Return what pods answer to a request for a group, with its id at the top."""
        asks = []
        for pod_id in twins.in_order if pod_ids is None else pod_ids:
            pod = self._topology().find_pod(pod_id)
            if pod is not None:
                path = f"/os-server-groups/{twins.bottoms[pod_id]}"
                asks.append((pod, replace(Outbound.of(inbound), path=path)))
        heard = await self._asker.ask(asks)
        said = []
        for one in heard.said:
            bottom, top = twins.bottoms[one.pod.id].encode(), twins.top_id.encode()
            said.append(
                replace(one, answer=replace(one.answer, body=one.answer.body.replace(bottom, top)))
            )
        return replace(heard, said=said)

    async def _none(self, inbound: Inbound, twins: Twins, heard: Heard) -> Answer:
        """Return the refusal of a group that no pod shows; it may be gone from all of them."""
        refusal = heard.find_refusal()
        if refusal is None or (refusal.status == 404 and heard.silent):
            raise ServiceUnavailable(
                f"no pod that has server group {twins.top_id} answers; please retry later"
            )
        absent = [one.pod.id for one in heard.said if one.answer.status == 404]
        if absent and inbound.caller.project_id == twins.project_id:
            await self._twins.forget(twins, absent)
        return refusal

    async def _absent(self, inbound: Inbound, absent: NotFound) -> Answer:
        """Return a pod's own answer for a group that no pod has; it may judge the role first."""
        answer = await self._asker.ask_first(Outbound.of(inbound))
        if answer.status < 300:
            raise absent
        return answer


def _tells_nothing(heard: Heard) -> bool:
    """Tell whether a pod has not said who may delete a group."""
    return all(one.answer.status == 404 for one in heard.said)


def _page_of(inbound: Inbound, offset: int) -> Outbound:
    return replace(Outbound.of(inbound), query=page_query(inbound.query, offset))


def _take_page(found: list[msgspec.Raw], said: Said) -> bool:
    """Add a page of a pod; tell whether there may be more."""
    page = msgspec.json.decode(said.answer.body, type=_Page).server_groups
    found += page
    return len(page) >= WHOLE_PAGE


class _Page(msgspec.Struct):
    server_groups: list[msgspec.Raw]
