"""``/os-aggregates``: host aggregates with hosts of several pods.

Nothing is recorded: pods are asked. What changes the aggregate itself goes to every pod that has
it; a host is put into the one of its own pod, which is made there when it is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

import msgspec

from tricircle.compute.profile import PROFILE
from tricircle.core.aggregates import (
    ZONE,
    PodAggregate,
    group_aggregates,
    show_aggregate,
    with_number,
    with_zone,
)
from tricircle.core.bodies import encode, read_value, read_values, set_value
from tricircle.core.errors import (
    BadInput,
    Conflict,
    MalformedBody,
    NotFound,
    PodDead,
    ServiceUnavailable,
    TricircleError,
)
from tricircle.core.model import Pod
from tricircle.core.pod_numbers import number_pods
from tricircle.core.query import with_parameter
from tricircle.core.table import Match
from tricircle.gateway.answers import JSON, Answer
from tricircle.gateway.asking import Asker, Heard, split_host
from tricircle.gateway.forward import Outbound
from tricircle.gateway.merging import missing_header
from tricircle.gateway.request import Inbound

_PATH = "/os-aggregates"
_ZONES = (f"aggregates[].{ZONE}", f"aggregates[].metadata.{ZONE}")
_ONE_ZONES = (f"aggregate.{ZONE}", f"aggregate.metadata.{ZONE}")
_BODY_ZONE = f"aggregate.{ZONE}"
_METADATA_ZONE = f"set_metadata.metadata.{ZONE}"


@dataclass(frozen=True, slots=True)
class _Listed:
    """All aggregates of the pods that answered."""

    heard: Heard
    found: Sequence[PodAggregate]


class _Refused(Exception):
    """A pod's refusal, which is the answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class AggregateAnswers:
    """Answers what operators ask of aggregates. One for each gateway."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    async def list_all(self, inbound: Inbound, match: Match) -> Answer:
        """Return the aggregates of all pods, those of one name and zone as one."""
        try:
            listed = await self._list(inbound, inbound.query)
        except _Refused as refused:
            return refused.answer
        if listed.heard.missing and not self._asker.partial:
            raise _not_all(listed.heard.missing)
        items = [msgspec.Raw(show_aggregate(one)) for one in group_aggregates(listed.found)]
        return self._answer(inbound, {"aggregates": items}, listed.heard)

    async def show(self, inbound: Inbound, match: Match) -> Answer:
        """Return one aggregate."""
        try:
            parts, listed = await self._find(inbound, match)
        except _Refused as refused:
            return refused.answer
        item = msgspec.Raw(show_aggregate(parts))
        return self._answer(inbound, {"aggregate": item}, listed.heard)

    async def create(self, inbound: Inbound, match: Match) -> Answer:
        """Return the answer of the pod that made an aggregate: the first that serves its zone.

        A pod that has one of this name refuses it in Nova's words.
        """
        name, zone = _text(inbound.body, "aggregate.name"), _text(inbound.body, _BODY_ZONE)
        try:
            listed = await self._list(inbound)
        except _Refused as refused:
            return refused.answer
        owner = next((one for one in listed.found if name and one.name == name.strip()), None)
        pods = self._takers(zone) if owner is None else [self._pod(owner)]
        error: TricircleError | None = None
        for pod in pods:
            body = with_zone(inbound.body, _BODY_ZONE, self._zone_in(pod, zone)) if zone else None
            outbound = replace(Outbound.of(inbound), body=body or inbound.body)
            try:
                answer = await self._asker.forwarder.send(pod, outbound, _ONE_ZONES)
            except PodDead as dead:
                error = dead
                continue
            return self._numbered(pod, answer)
        raise error or ServiceUnavailable("no enabled pod can be asked; see GET /v1/pods")

    async def update(self, inbound: Inbound, match: Match) -> Answer:
        """Return an aggregate whose name or zone was changed in every pod that has it."""
        try:
            parts, listed = await self._find_whole(inbound, match)
            name = _text(inbound.body, "aggregate.name")
            mine = {(one.pod_id, one.number) for one in parts}
            others = [one for one in listed.found if (one.pod_id, one.number) not in mine]
            if name and any(one.name == name.strip() for one in others):
                raise Conflict(f"Aggregate {name.strip()} already exists.")
            bodies = [self._body_for(inbound.body, _BODY_ZONE, one) for one in parts]
            await self._change(inbound, match, parts, bodies)
        except _Refused as refused:
            return refused.answer
        return await self.show(_reading(inbound), match)

    async def delete(self, inbound: Inbound, match: Match) -> Answer:
        """Return the pod's answer; pods with hosts are asked first, as they refuse."""
        try:
            parts, _ = await self._find_whole(inbound, match)
            ordered = sorted(parts, key=lambda one: not one.hosts)
            answers = await self._change(inbound, match, ordered, [inbound.body] * len(parts))
        except _Refused as refused:
            return refused.answer
        return answers[0]

    async def cache_images(self, inbound: Inbound, match: Match) -> Answer:
        """Return the answer of the first of the pods that are to cache images."""
        try:
            parts, _ = await self._find(inbound, match)
            answers = await self._change(inbound, match, parts, [inbound.body] * len(parts))
        except _Refused as refused:
            return refused.answer
        return answers[0]

    async def act(self, inbound: Inbound, match: Match) -> Answer:
        """Return an aggregate after a host was added or removed, or its metadata changed."""
        try:
            added = _text(inbound.body, "add_host.host")
            removed = _text(inbound.body, "remove_host.host")
            if added is not None:
                await self._add_host(inbound, match, added)
            elif removed is not None:
                await self._remove_host(inbound, match, removed)
            else:
                parts, _ = await self._find_whole(inbound, match)
                bodies = [self._body_for(inbound.body, _METADATA_ZONE, one) for one in parts]
                await self._change(inbound, match, parts, bodies)
        except _Refused as refused:
            return refused.answer
        return await self.show(_reading(inbound), match)

    # Hosts.

    async def _add_host(self, inbound: Inbound, match: Match, name: str) -> None:
        parts, _ = await self._find(inbound, match)
        pod, host = split_host(self._asker.pods(), name)
        pod = pod or await self._pod_of_host(inbound, host)
        if pod is None:  # no pod has it: each would say so
            await self._change(inbound, match, parts[:1], [inbound.body])
            return
        part = next((one for one in parts if one.pod_id == pod.id), None)
        part = part or await self._make_part(inbound, parts, pod)
        body = set_value(inbound.body, "add_host.host", host)
        await self._change(inbound, match, [part], [body])

    async def _remove_host(self, inbound: Inbound, match: Match, name: str) -> None:
        parts, _ = await self._find(inbound, match)
        pod, host = split_host(self._asker.pods(), name)
        holding = [
            one for one in parts if host in one.hosts and (pod is None or one.pod_id == pod.id)
        ]
        if len(holding) > 1:
            raise _several(host, [self._pod(one) for one in holding])
        body = set_value(inbound.body, "remove_host.host", host)
        await self._change(inbound, match, (holding or parts)[:1], [body])

    async def _pod_of_host(self, inbound: Inbound, host: str) -> Pod | None:
        """Return the pod with a compute of this name; None when no pod has one."""
        query = with_parameter("binary=nova-compute", "host", host)
        asking = Outbound(replace(inbound, method="GET", body=b""), "/os-services", query, b"")
        heard = await self._asker.ask([(pod, asking) for pod in self._asker.pods()])
        found = [
            one.pod for one in heard.good if host in read_values(one.answer.body, "services[].host")
        ]
        if len(found) > 1:
            raise _several(host, found)
        if not found and heard.silent:
            raise _not_all(heard.silent)
        return found[0] if found else None

    async def _make_part(
        self, inbound: Inbound, parts: Sequence[PodAggregate], pod: Pod
    ) -> PodAggregate:
        """Return a pod's own part of an aggregate, made with its name, zone and metadata."""
        first = parts[0]
        zone = self._zone_in(pod, first.zone)
        named = {"name": first.name} | ({ZONE: zone} if zone else {})
        made = await self._make(inbound, pod, _PATH, {"aggregate": named})
        number = read_value(made.body, "aggregate.id")
        metadata = {key: value for key, value in first.metadata.items() if key != ZONE}
        if metadata:
            path, change = f"{_PATH}/{number}/action", {"set_metadata": {"metadata": metadata}}
            await self._make(inbound, pod, path, change)
        item = encode({"id": number, "name": first.name, ZONE: first.zone, "hosts": []})
        return PodAggregate(pod.id, int(str(number)), item)

    async def _make(self, inbound: Inbound, pod: Pod, path: str, body: object) -> Answer:
        asking = replace(inbound, method="POST")
        answer = await self._asker.forwarder.send(pod, Outbound(asking, path, "", encode(body)))
        if answer.status >= 300:
            raise _Refused(answer)
        return answer

    # Pods.

    async def _list(self, inbound: Inbound, query: str = "") -> _Listed:
        """Return the aggregates of all pods, by pod. Raises _Refused."""
        asking = replace(inbound, method="GET", body=b"")
        outbound = Outbound(asking, _PATH, query, b"")
        heard = await self._asker.ask([(pod, outbound) for pod in self._asker.pods()], _ZONES)
        refusal = heard.find_refusal()
        if refusal is not None:
            # The policy of the list is not that of what was asked for.
            is_list = inbound.method == "GET" and inbound.target.path == _PATH
            raise _Refused(
                refusal if is_list else await self._asker.ask_first(Outbound.of(inbound))
            )
        if not heard.good:
            raise _not_all(heard.silent)
        numbers = number_pods(self._asker.topology().pods)
        found = []
        for one in heard.good:
            for raw in msgspec.json.decode(one.answer.body, type=_Page).aggregates:
                number = read_value(bytes(raw), "id")
                if isinstance(number, int):
                    item = set_value(bytes(raw), "id", numbers.to_top(one.pod.id, number))
                    found.append(PodAggregate(one.pod.id, number, item))
        return _Listed(heard, found)

    async def _find(self, inbound: Inbound, match: Match) -> tuple[list[PodAggregate], _Listed]:
        """Return what all pods have of an aggregate, and the list. Raises _Refused, NotFound."""
        text = unquote(match.params["id"])
        if not text.isascii() or not text.isdecimal():
            raise _Refused(await self._asker.ask_first(Outbound.of(inbound)))
        listed = await self._list(inbound)
        at = number_pods(self._asker.topology().pods).from_top(text)
        named = next((one for one in listed.found if (one.pod_id, one.number) == at), None)
        if named is None and at is not None and any(p.id == at[0] for p in listed.heard.silent):
            raise _not_all(listed.heard.silent)
        if named is None:
            raise NotFound(f"Aggregate {text} could not be found.")
        return [one for one in listed.found if one.is_one_with(named)], listed

    async def _find_whole(
        self, inbound: Inbound, match: Match
    ) -> tuple[list[PodAggregate], _Listed]:
        """Return the same; every pod must answer, as each may have a part that must change."""
        parts, listed = await self._find(inbound, match)
        if listed.heard.missing:
            raise _not_all(listed.heard.missing)
        return parts, listed

    async def _change(
        self,
        inbound: Inbound,
        match: Match,
        parts: Sequence[PodAggregate],
        bodies: Sequence[bytes],
    ) -> list[Answer]:
        """Send a request to the pods of these parts, one after the other. Raises _Refused."""
        answers = []
        tail = inbound.target.path.removeprefix(f"{_PATH}/{match.params['id']}")
        for part, body in zip(parts, bodies, strict=True):
            path = f"{_PATH}/{part.number}{tail}"
            outbound = replace(Outbound.of(inbound), path=path, body=body)
            answer = await self._asker.forwarder.send(self._pod(part), outbound)
            if answer.status >= 300:
                text = unquote(match.params["id"])
                body = with_number(answer.body, part.number, text)
                raise _Refused(replace(answer, body=body))
            answers.append(answer)
        return answers

    def _takers(self, zone: str | None) -> list[Pod]:
        """Return the pods that may be given a new aggregate, the best first."""
        topology, is_dead = self._asker.topology(), self._asker.forwarder.cloud.is_dead
        serving = {entry.pod_id for entry in topology.pod_zones(zone)} if zone else set()
        pods = [pod for pod in self._asker.pods() if pod.enabled]
        pods = [pod for pod in pods if pod.id in serving or not serving]
        return sorted(pods, key=lambda pod: is_dead(pod.id))

    def _zone_in(self, pod: Pod, zone: str | None) -> str | None:
        """Return what a pod calls a zone of the top; what is no zone there yet keeps its name.

        Raises BadInput for a zone of other pods.
        """
        entries = self._asker.topology().pod_zones(zone) if zone else ()
        own = [one for one in entries if one.pod_id == pod.id]
        if entries and not own:
            raise BadInput(
                f"pod {pod.name} does not serve availability zone '{zone}'; see POST /v1/zones of "
                "the Admin API"
            )
        return own[0].pod_az or zone if own else zone

    def _body_for(self, body: bytes, place: str, part: PodAggregate) -> bytes:
        zone = _text(body, place)
        return with_zone(body, place, self._zone_in(self._pod(part), zone)) if zone else body

    def _pod(self, part: PodAggregate) -> Pod:
        pod = self._asker.topology().find_pod(part.pod_id)
        if pod is None:
            raise ServiceUnavailable("the pods have changed; please retry")
        return pod

    def _numbered(self, pod: Pod, answer: Answer) -> Answer:
        number = read_value(answer.body, "aggregate.id") if answer.status < 300 else None
        if not isinstance(number, int):
            return answer
        top_id = number_pods(self._asker.topology().pods).to_top(pod.id, number)
        return replace(answer, body=set_value(answer.body, "aggregate.id", top_id))

    def _answer(self, inbound: Inbound, body: object, heard: Heard) -> Answer:
        headers = [JSON, *PROFILE.version_headers(inbound.version), *missing_header(heard.missing)]
        return Answer(200, headers, encode(body))


class _Page(msgspec.Struct):
    aggregates: list[msgspec.Raw]


def _reading(inbound: Inbound) -> Inbound:
    return replace(inbound, method="GET", body=b"")


def _text(body: bytes, place: str) -> str | None:
    """Return the text at a place of a body; None when there is none or the pod must refuse it."""
    try:
        value = read_value(body, place)
    except MalformedBody:
        return None
    return value if isinstance(value, str) else None


def _several(host: str, pods: Sequence[Pod]) -> BadInput:
    names = ", ".join(pod.name for pod in pods)
    return BadInput(
        f"Host {host} refers to multiple hosts, in these pods: {names}. Name one of them as "
        f"pod:{host}."
    )


def _not_all(silent: Sequence[Pod]) -> ServiceUnavailable:
    names = ", ".join(pod.name for pod in silent)
    return ServiceUnavailable(f"these pods do not answer: {names}; please retry")
