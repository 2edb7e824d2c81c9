"""The ``Create`` strategy: choose a pod, make what it needs there, forward, keep the routing."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from tricircle.core.bodies import check_object, read_value, remove_value, set_value
from tricircle.core.errors import (
    BadInput,
    DifferentPods,
    Forbidden,
    NoPodInZone,
    PodDead,
    PodError,
    PodMisbehaved,
    PodTimeout,
    ServiceUnavailable,
    StillInUse,
    TagsLacking,
    TricircleError,
)
from tricircle.core.model import BottomId, Caller, Pod, PodId, ProjectId, ZoneName
from tricircle.core.placing import Candidate, Topology
from tricircle.core.roles import require_member
from tricircle.core.table import Create
from tricircle.core.weighing import Asked, Facts, list_candidates
from tricircle.gateway.answers import Answer
from tricircle.gateway.forward import Forwarder, Outbound
from tricircle.gateway.hooks import Batch, CreateHook, Creation, Demand
from tricircle.gateway.named_hosts import NamedHosts
from tricircle.gateway.profile import Profile
from tricircle.gateway.receipts import find_made, join_receipts
from tricircle.gateway.request import Inbound
from tricircle.gateway.scales import Scales
from tricircle.interfaces.store import BindingStore
from tricircle.usecases.locate import Locator, Place
from tricircle.usecases.same_pod import SamePod

log = logging.getLogger(__name__)

_USED_UP = (b"quota", b"is over a limit for", b"maximum number of ports exceeded")
"""What Nova says of a quota that is used up: its own words, oslo.limit's, and of Neutron's.

Limits of one request (metadata, files) are said otherwise: no other pod would take it.
"""


MakeReady = Callable[[Pod, Inbound], Awaitable[None]]
"""Makes what a request is made of in a pod as the top wants it there, as after an outage."""


@dataclass(frozen=True, slots=True)
class PlainCreation:
    """A creation that needs nothing in its pod beforehand."""

    body: bytes

    async def place(self, candidate: Candidate, body: bytes) -> bytes:
        """Return the body as it is."""
        return body

    async def settle(self, answer: Answer | None) -> bool:
        """There is nothing to wait for."""
        return True

    async def undo(self) -> None:
        """There is nothing to take back."""

    async def give_up(self) -> None:
        """There is nothing to take back."""

    async def abandon(self) -> None:
        """There is nothing to leave behind."""

    async def take_back(self, top_id: str) -> None:
        """There is nothing to take back."""

    async def finish(self, candidate: Candidate, answer: Answer, top_id: str | None) -> Answer:
        """Return the answer as it is."""
        return answer


@dataclass(frozen=True, slots=True)
class Made:
    """What a pod has made for one creation, and what the client is told of it."""

    candidate: Candidate
    answer: Answer
    ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Creator:
    """Carries out creations; one object for each gateway."""

    forwarder: Forwarder
    locator: Locator
    same_pod: SamePod
    bindings: BindingStore
    topology: Callable[[], Topology]
    profile: Profile
    hooks: Mapping[str, CreateHook]
    timeout_s: float
    scales: Scales
    hosts: NamedHosts
    make_ready: MakeReady

    async def create(self, inbound: Inbound, strategy: Create) -> Answer:
        """Return the answer of the pod that took the request.

        A pod that answers 503, or that the project's quota is used up there, is tried no
        more for this request and the next one is; the client sees one creation.
        """
        check_object(inbound.body)
        zone = self._asked_zone(inbound, strategy)
        must = await self.same_pod.demanded(inbound.body, strategy.refs, inbound.caller)
        inbound, of_hosts = await self.hosts.demanded(inbound, strategy.hosts)
        demand = await self._demand(inbound, strategy)
        must = self._agreed(self._agreed(must, of_hosts), demand.must)
        self._check_zone(inbound, strategy, zone)
        apart = await self.same_pod.pods_of(inbound.body, strategy.apart, inbound.caller)
        asked = Asked(None, must, demand.prefers, apart=apart)
        candidates = await self._candidates(inbound, zone, asked)
        batch = await self._begin(inbound, strategy, demand)
        made: list[Made] = []
        for position, creation in enumerate(batch.creations):
            try:
                one = await self._place_one(inbound, strategy, creation, candidates)
            except TricircleError:
                await self._end_early(inbound, strategy, batch, position, made)
                raise
            if one.answer.status >= 300:
                await self._end_early(inbound, strategy, batch, position, made)
                if len(made) < batch.needed:
                    return one.answer
                break
            made.append(one)
        return join_receipts(strategy, [one.answer for one in made])

    async def _end_early(
        self,
        inbound: Inbound,
        strategy: Create,
        batch: Batch,
        position: int,
        made: Sequence[Made],
    ) -> None:
        """Take back what was prepared for the rest, and what was made when it is too little."""
        for creation in batch.creations[position + 1 :]:
            await creation.give_up()
        if len(made) >= batch.needed:
            return
        for creation, one in zip(batch.creations, made, strict=False):
            for top_id in one.ids:
                await creation.take_back(top_id)
                await self._delete(inbound, one.candidate.pod, top_id)

    async def _delete(self, inbound: Inbound, pod: Pod, top_id: str) -> None:
        """Delete what a pod has just made for a request. Raises PodError."""
        path = f"{inbound.target.path.rstrip('/')}/{top_id}"
        outbound = Outbound(replace(inbound, method="DELETE"), path, "", b"")
        answer = await self.forwarder.send(pod, outbound)
        if answer.status >= 300 and answer.status != 404:
            log.warning(
                "made in a pod for nothing and not deleted",
                extra={"id": top_id, "pod": pod.name, "status": answer.status},
            )

    async def _demand(self, inbound: Inbound, strategy: Create) -> Demand:
        if strategy.hook is None:
            return Demand()
        return await self.hooks[strategy.hook].demand(inbound)

    def _agreed(self, by_refs: PodId | None, by_hook: PodId | None) -> PodId | None:
        """Return the pod that both demand. Raises DifferentPods."""
        if by_refs is None or by_hook is None or by_refs == by_hook:
            return by_refs or by_hook
        pods = [self.topology().find_pod(one) for one in (by_refs, by_hook)]
        names = " and ".join(pod.name if pod is not None else "?" for pod in pods)
        raise DifferentPods(
            f"what this request names is in pods {names}, but must be in the same pod"
        )

    async def _begin(self, inbound: Inbound, strategy: Create, demand: Demand) -> Batch:
        if strategy.hook is None:
            return Batch([PlainCreation(inbound.body)])
        try:
            return await self.hooks[strategy.hook].begin(inbound, demand)
        except TricircleError:
            _require_right(inbound, strategy)
            raise

    async def _place_one(
        self,
        inbound: Inbound,
        strategy: Create,
        creation: Creation,
        candidates: Sequence[Candidate],
    ) -> Made:
        refused: Made | None = None
        error: TricircleError | None = None
        full = {one.pod.id for one in candidates if not one.has_room}
        for candidate in candidates:
            try:
                tried = await self._try(inbound, strategy, creation, candidate)
            except PodDead as dead:
                error = dead
                continue
            except (PodTimeout, PodMisbehaved):
                await creation.settle(None)
                await creation.abandon()
                raise
            except TricircleError:
                await creation.give_up()
                raise
            if tried.status < 300:
                kept = await self._keep(inbound, strategy, creation, candidate, tried)
                await self._bind(inbound, strategy, candidate, full)
                return kept
            refused = Made(candidate, tried)
            full.add(candidate.pod.id)
            if not _may_try_next(tried):
                break
            log.info("pod refused", extra={"pod": candidate.pod.name, "status": tried.status})
        await creation.give_up()
        if refused is not None:
            return refused
        raise error or NoPodInZone("any")

    async def _try(
        self, inbound: Inbound, strategy: Create, creation: Creation, candidate: Candidate
    ) -> Answer:
        """Return the pod's answer, of a second attempt where the first was not well prepared."""
        answer = await self._send(inbound, strategy, creation, candidate)
        is_settled = await creation.settle(answer)
        if not is_settled:
            await self._take_back(inbound, strategy, creation, candidate, answer)
            answer = await self._send(inbound, strategy, creation, candidate)
            await creation.settle(answer)
        if answer.status >= 300:
            await creation.undo()
        return answer

    async def _take_back(
        self,
        inbound: Inbound,
        strategy: Create,
        creation: Creation,
        candidate: Candidate,
        answer: Answer,
    ) -> None:
        """Take back what a pod answered whose creation did not settle."""
        if answer.status >= 300:
            await creation.undo()
            return
        pod = candidate.pod
        try:
            for top_id in await find_made(self.forwarder, inbound, strategy, pod, answer):
                await self._delete(inbound, pod, top_id)
        except PodError as error:
            log.warning(
                "made in a pod for nothing and not deleted",
                extra={"kind": strategy.kind, "pod": pod.name, "reason": str(error)},
            )

    async def _send(
        self, inbound: Inbound, strategy: Create, creation: Creation, candidate: Candidate
    ) -> Answer:
        """Return the pod's answer to a creation. Raises PodDead where none was sent."""
        if self.forwarder.cloud.is_dead(candidate.pod.id):
            raise PodDead(candidate.pod.id, f"pod {candidate.pod.name} does not answer")
        try:
            await self.make_ready(candidate.pod, inbound)
            body = await creation.place(candidate, _with_zone(creation.body, strategy, candidate))
            outbound = replace(Outbound.of(inbound), body=body)
        except TricircleError as error:
            await creation.undo()
            _require_right(inbound, strategy)
            raise _nothing_sent(candidate, error) from error
        try:
            return await self.forwarder.send(
                candidate.pod, outbound, strategy.zones, self.timeout_s
            )
        except PodDead:
            await creation.settle(None)
            await creation.undo()
            raise

    async def _keep(
        self,
        inbound: Inbound,
        strategy: Create,
        creation: Creation,
        candidate: Candidate,
        answer: Answer,
    ) -> Made:
        """Write down what was made and return it.

        What cannot be written down now is found later by asking the pods.
        """
        project = inbound.caller.project_id or ProjectId("")
        pod = candidate.pod
        ids = await find_made(self.forwarder, inbound, strategy, pod, answer)
        try:
            for top_id in ids:
                place = Place(pod.id, BottomId(top_id), project)
                await self.locator.keep(strategy.kind, top_id, place)
            answer = await creation.finish(candidate, answer, next(iter(ids), None))
        except (PodError, ServiceUnavailable) as error:
            log.warning(
                "made in a pod and not written down yet",
                extra={
                    "kind": strategy.kind,
                    "id": ", ".join(ids),
                    "pod": pod.name,
                    "reason": str(error),
                },
            )
        return Made(candidate, answer, ids)

    async def _bind(
        self, inbound: Inbound, strategy: Create, candidate: Candidate, full: Set[PodId]
    ) -> None:
        """Bind the project to the pod that took a request without a host.

        It stays bound to another one, unless that is disabled, gone, or has no room.
        """
        zone = self._asked_zone(inbound, strategy) or ""
        if ":" in zone:
            return
        project, pod = inbound.caller.project_id or ProjectId(""), candidate.pod
        try:
            bound = await self.bindings.bind(project, ZoneName(zone), pod.id)
            if bound != pod.id and (bound in full or _may_rebind(self.topology(), bound)):
                await self.bindings.rebind(project, ZoneName(zone), bound, pod.id)
        except ServiceUnavailable as error:
            log.warning("project not bound", extra={"pod": pod.name, "reason": str(error)})

    def _check_zone(self, inbound: Inbound, strategy: Create, zone: str | None) -> None:
        name = (zone or "").partition(":")[0]
        if not name or self.topology().pod_zones(name):
            return
        _require_right(inbound, strategy)
        words = strategy.absent_zone or self.profile.absent_zone
        raise BadInput(words.format(zone=name, request_id=inbound.request_id))

    async def _candidates(
        self, inbound: Inbound, zone: str | None, asked: Asked
    ) -> Sequence[Candidate]:
        topology = self.topology()
        name, _, node = (zone or "").partition(":")
        must, host = asked.must, ""
        if node:
            forced, host = self._forced_pod(inbound.caller, topology, name, node)
            must = self._agreed(must, forced)
        asked = replace(asked, zone=name or None, must=must)
        try:
            found = list_candidates(asked, Facts(topology))
            if node:  # whoever names it has weighed everything
                return (
                    [replace(one, pod_az=f"{one.pod_az}:{host}") for one in found]
                    if host
                    else found
                )
            return await self._weigh(inbound, asked, found)
        except (NoPodInZone, TagsLacking) as error:
            pod = topology.find_pod(must) if must is not None else None
            if pod is None:
                raise
            raise _not_in(pod, name, error) from None

    async def _weigh(
        self, inbound: Inbound, asked: Asked, found: Sequence[Candidate]
    ) -> Sequence[Candidate]:
        """Return those of the candidates that have what is demanded, best first."""
        facts = Facts(self.topology())
        if len(found) > 1:
            facts = await self.scales.read_facts(inbound.caller, facts.topology)
        needs = await self.scales.read_needs(inbound)
        return list_candidates(replace(asked, needs=needs), facts)

    def _forced_pod(
        self, caller: Caller, topology: Topology, zone: str, node: str
    ) -> tuple[PodId, str]:
        """Return pod and host of ``zone:pod``, ``zone:pod:host`` or ``zone::host``.

        A node at the top is a pod; without one the zone must be of one pod.
        """
        if "admin" not in caller.roles:
            raise Forbidden(
                "Policy doesn't allow os_compute_api:servers:create:forced_host to be performed."
            )
        ids = {entry.pod_id for entry in topology.pod_zones(zone)}
        pods = [pod for pod in topology.pods if pod.id in ids]
        pod_name, _, host = node.partition(":")
        if not pod_name and len(pods) > 1:
            names = ", ".join(sorted(pod.name for pod in pods))
            raise BadInput(
                f"availability zone '{zone}' is of several pods ({names}); name one of them, as "
                f"in '{zone}:{pods[0].name}:{host}'"
            )
        found = next((pod for pod in pods if pod_name in ("", pod.name)), None)
        if found is None:
            raise BadInput(f"Compute host {node} could not be found.")
        return found.id, host

    def _asked_zone(self, inbound: Inbound, strategy: Create) -> str | None:
        if strategy.zone is None:
            return None
        zone = read_value(inbound.body, strategy.zone)
        return zone if isinstance(zone, str) and zone else None


def _not_in(pod: Pod, zone: str, error: NoPodInZone | TagsLacking) -> DifferentPods:
    """Return why the pod of what a request names will not do."""
    held = f"what this request names is in pod {pod.name}"
    if isinstance(error, TagsLacking):
        return DifferentPods(
            f"{held}, which has not the tags that the flavor or volume type demands "
            f"({error.tags}); name another one"
        )
    return DifferentPods(
        f"{held}, which does not serve availability zone '{zone}'; name another zone, or none"
    )


def _require_right(inbound: Inbound, strategy: Create) -> None:
    """Raise Forbidden for who may not create: services say so before anything else is wrong."""
    if strategy.rule:
        require_member(inbound.caller, strategy.rule)


def _nothing_sent(candidate: Candidate, error: TricircleError) -> TricircleError:
    """Return the error of a preparation: whatever the pod did, it made no resource yet."""
    if isinstance(error, StillInUse):
        return PodDead(candidate.pod.id, str(error))
    if isinstance(error, PodError) and error.pod_id == candidate.pod.id:
        return PodDead(candidate.pod.id, str(error))
    return error


def _with_zone(body: bytes, strategy: Create, candidate: Candidate) -> bytes:
    """Return the body with the pod's own zone name, or none when the client asked for none."""
    if strategy.zone is None:
        return body
    asked = read_value(body, strategy.zone)
    if asked is None or not isinstance(asked, str):
        return body
    if candidate.pod_az and asked:
        return set_value(body, strategy.zone, candidate.pod_az)
    return remove_value(body, strategy.zone)


def _may_try_next(answer: Answer) -> bool:
    """Tell whether another pod may take what this one refused: it is full or going down.

    Cinder says with 413 that any quota is used up, Nova with 403 that this or something else is.
    """
    if answer.status in (413, 503):
        return True
    body = answer.body.lower()
    return answer.status == 403 and any(words in body for words in _USED_UP)


def _may_rebind(topology: Topology, bound: PodId) -> bool:
    pod = topology.find_pod(bound)
    return pod is None or not pod.enabled
