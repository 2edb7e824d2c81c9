"""Many pods asked at once, and the pod found that has what nothing is recorded of.

Services, hypervisors, hosts and console tokens belong to operators and to pods: the top
keeps no record of them, so each request for one of them asks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from tricircle.core.bodies import check_object, read_value, read_values, set_value
from tricircle.core.bodies import replace as replace_value
from tricircle.core.errors import BadInput, MalformedBody, NotFound, ServiceUnavailable
from tricircle.core.model import Pod
from tricircle.core.placing import Topology
from tricircle.core.pod_numbers import number_pods
from tricircle.core.query import list_values, replace_values, with_parameter
from tricircle.core.table import Ask, ByNumber, Finder, Match, fill_path
from tricircle.gateway.answers import Answer
from tricircle.gateway.forward import Forwarder, Outbound
from tricircle.gateway.request import Inbound
from tricircle.usecases.fanout import Done, Failed, fan_out

log = logging.getLogger(__name__)

_NOT_IMPLEMENTED = 501
_TELLING = (400, 403)
"""Refusals that are shown before any other: what the caller can act on first."""


@dataclass(frozen=True, slots=True)
class Said:
    """A pod's answer."""

    pod: Pod
    answer: Answer


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of asking pods: ``said`` in the order asked, ``silent`` who gave no answer."""

    said: Sequence[Said]
    silent: Sequence[Pod]

    @property
    def good(self) -> list[Said]:
        """Return the answers of success."""
        return [one for one in self.said if one.answer.status < 300]

    @property
    def missing(self) -> list[Pod]:
        """Return the pods that an answer made of ``good`` is without.

        One that does not take the token is, too; one that has no such thing is not.
        """
        return [*self.silent, *(one.pod for one in self.said if one.answer.status == 401)]

    def find_refusal(self) -> Answer | None:
        """Return the refusal that stands for all: any by a pod, but that it has no such thing.

        That is the answer only when no pod says anything else.
        """
        refused = [one.answer for one in self.said if one.answer.status >= 300]
        absent = [answer for answer in refused if answer.status in (401, 404)]
        telling = [answer for answer in refused if answer not in absent]
        if telling:
            return min(telling, key=lambda answer: _TELLING_RANK.get(answer.status, 2))
        return absent[0] if absent and not self.good else None


_TELLING_RANK: Mapping[int, int] = {status: at for at, status in enumerate(_TELLING)}


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks many pods at once, with the caller's own token."""

    forwarder: Forwarder
    topology: Callable[[], Topology]
    timeout_s: float
    partial: bool = True

    def pods(self) -> list[Pod]:
        """Return all pods that have the service, by name."""
        service = self.forwarder.service
        pods = (pod for pod in self.topology().pods if service in pod.endpoints)
        return sorted(pods, key=lambda pod: pod.name)

    async def ask(self, asks: Sequence[tuple[Pod, Outbound]], zones: Sequence[str] = ()) -> Heard:
        """Return what pods answer; one that fails within itself is silent, too."""
        outcomes = await fan_out(
            {pod.id: self._call(pod, outbound, zones) for pod, outbound in asks},
            timeout_s=self.timeout_s,
        )
        said, silent = [], []
        for pod, _ in asks:
            match outcomes[pod.id]:
                case Done(answer) if _is_answer(answer):
                    said.append(Said(pod, answer))
                    continue
                case Done(answer):
                    reason = f"status {answer.status}, or no JSON"
                case Failed() as failed:
                    reason = failed.reason
            log.warning("pod left out of an answer", extra={"pod": pod.name, "reason": reason})
            silent.append(pod)
        return Heard(said, silent)

    async def ask_first(self, outbound: Outbound, zones: Sequence[str] = ()) -> Answer:
        """Return what the first pod says that can be asked: its words are those of all."""
        cloud = self.forwarder.cloud
        for pod in sorted(self.pods(), key=lambda pod: cloud.is_dead(pod.id)):
            heard = await self.ask([(pod, outbound)], zones)
            if heard.said:
                return heard.said[0].answer
        raise ServiceUnavailable("no pod answers; please retry later")

    def _call(self, pod: Pod, outbound: Outbound, zones: Sequence[str]) -> _Call:
        return _Call(self.forwarder, pod, outbound, zones, self.timeout_s)


@dataclass(frozen=True, slots=True)
class _Call:
    forwarder: Forwarder
    pod: Pod
    outbound: Outbound
    zones: Sequence[str]
    timeout_s: float

    async def __call__(self) -> Answer:
        return await self.forwarder.send(self.pod, self.outbound, self.zones, self.timeout_s)


def _is_answer(answer: Answer) -> bool:
    """Tell whether a pod has said something: one that is broken has not."""
    if answer.status != 200:
        status = answer.status
        return 200 < status < 300 or 400 <= status < 500 or status == _NOT_IMPLEMENTED
    try:
        check_object(answer.body)
    except MalformedBody:
        return False
    return True


def number_ids(topology: Topology, pod: Pod, answer: Answer, places: Sequence[str]) -> Answer:
    """Return a pod's answer with the numbers at ``places`` as the top shows them."""
    if not places or answer.status >= 300 or not answer.body:
        return answer
    numbers = number_pods(topology.pods)

    def to_top(value: object) -> object:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return numbers.to_top(pod.id, value) if is_number else value  # type: ignore[arg-type]

    body = answer.body
    for place in places:
        body = replace_value(body, place, to_top)
    return replace(answer, body=body)


def split_host(pods: Sequence[Pod], name: str) -> tuple[Pod | None, str]:
    """Return pod and host of ``pod:host``; no pod for a plain name, which any may have."""
    pod_name, colon, host = name.partition(":")
    pod = next((pod for pod in pods if pod.name == pod_name), None) if colon else None
    return (None, name) if pod is None else (pod, host)


@dataclass(frozen=True, slots=True)
class _Named:
    """What a request names: ``pod`` when the name says it, ``name`` as pods know it."""

    name: str
    pod: Pod | None = None


class Finders:
    """Answers requests for what one pod has, and nobody knows which."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    async def ask(self, inbound: Inbound, match: Match, strategy: Ask) -> Answer:
        """Return the answer of the pod that has what the request names."""
        named = self._read_name(inbound, match, strategy)
        if named is None:
            if strategy.otherwise is not None:
                return await self.ask(inbound, match, strategy.otherwise)
            return await self._asker.ask_first(Outbound.of(inbound))
        outbound, pod = _renamed(inbound, match, strategy, named), named.pod
        if strategy.finder is not None and pod is None:
            pod = await self.find(inbound, strategy.finder, named.name)
            if pod is None:
                return await self._asker.ask_first(outbound)
        if pod is None:
            said = await self._ask_all(outbound, strategy, named.name)
        else:
            said = Said(pod, await self._asker.forwarder.send(pod, outbound, strategy.zones))
        return number_ids(self._asker.topology(), said.pod, said.answer, strategy.numbers)

    async def _ask_all(self, outbound: Outbound, strategy: Ask, name: str) -> Said:
        """Return the answer of the pod that has what is named, each pod asked for it itself."""
        pods = self._asker.pods()
        heard = await self._asker.ask([(pod, outbound) for pod in pods], strategy.zones)
        if strategy.several:
            _check_one(strategy.several, name, [one.pod for one in heard.good])
        return choose(heard)

    async def by_number(self, inbound: Inbound, match: Match, strategy: ByNumber) -> Answer:
        """Return the answer of the pod that a number names."""
        text = unquote(match.params[strategy.param])
        topology = self._asker.topology()
        at = number_pods(topology.pods).from_top(text)
        pod = topology.find_pod(at[0]) if at is not None else None
        if at is None or pod is None:
            return await self._no_such_number(inbound, match, strategy, text)
        outbound = _at_number(inbound, match, strategy, str(at[1]))
        answer = await self._asker.forwarder.send(pod, outbound, strategy.zones)
        if answer.status == 404:
            return _with_text(answer, str(at[1]), text)
        return number_ids(topology, pod, answer, strategy.numbers)

    async def _no_such_number(
        self, inbound: Inbound, match: Match, strategy: ByNumber, text: str
    ) -> Answer:
        """Return a pod's own answer for a number that no pod gives: whether one may ask at all."""
        if not text.isascii() or not text.isdigit():
            return await self._asker.ask_first(Outbound.of(inbound))
        answer = await self._asker.ask_first(_at_number(inbound, match, strategy, "0"))
        if answer.status != 404:
            return answer
        raise NotFound(strategy.absent.format(id=text))

    def _read_name(self, inbound: Inbound, match: Match, strategy: Ask) -> _Named | None:
        """Return the name in a request; None when its body or query does not have it."""
        value = _read_text(inbound, match, strategy)
        if value is None:
            return None
        if not strategy.is_host:
            return _Named(value)
        pod, host = self.split_host(value)
        return _Named(host, pod)

    def split_host(self, name: str) -> tuple[Pod | None, str]:
        """Return pod and host of ``pod:host``; no pod for a plain name, which any may have."""
        return split_host(self._asker.pods(), name)

    async def find(self, inbound: Inbound, finder: Finder, name: str) -> Pod | None:
        """Return the pod whose list has a name; None when none of them does.

        Raises BadInput when several have it, ServiceUnavailable when none does that answers.
        """
        heard = await self._hear(inbound, finder, name)
        found = _pods_with(heard, finder, name)
        _check_one(finder.several, name, found)
        if not found and heard.silent:
            raise _unknown(name, heard.silent)
        return found[0] if found else None

    async def find_all(self, inbound: Inbound, finder: Finder, name: str) -> Sequence[Pod]:
        """Return the pods whose lists have a name, of those that answer."""
        return _pods_with(await self._hear(inbound, finder, name), finder, name)

    async def _hear(self, inbound: Inbound, finder: Finder, name: str) -> Heard:
        sought = _sought(finder, name)
        query = with_parameter("", finder.filter, sought) if finder.filter else ""
        asking = replace(inbound, method="GET", body=b"")
        outbound = Outbound(asking, finder.path, query, b"")
        return await self._asker.ask([(pod, outbound) for pod in self._asker.pods()])


def choose(heard: Heard) -> Said:
    """Return the answer of the pod that has what was asked for: the others say they have not.

    Raises ServiceUnavailable when it may be in a pod that does not answer.
    """
    if heard.good:
        return heard.good[0]
    refusal = heard.find_refusal()
    if refusal is None or (refusal.status == 404 and heard.silent):
        raise _unknown("what was asked for", heard.silent)
    return next(one for one in heard.said if one.answer is refusal)


def _sought(finder: Finder, name: str) -> str:
    return name.partition(finder.part)[0] if finder.part else name


def _pods_with(heard: Heard, finder: Finder, name: str) -> list[Pod]:
    """Return the pods whose lists have a name."""
    return [one.pod for one in heard.good if _has(one, finder, _sought(finder, name))]


def _has(one: Said, finder: Finder, name: str) -> bool:
    names = read_values(one.answer.body, finder.place)
    return bool(names) if finder.loose else name in names


def _check_one(several: str, name: str, pods: Sequence[Pod]) -> None:
    """Raise BadInput when more than one pod has a name."""
    if len(pods) > 1:
        raise BadInput(several.format(name=name, pods=", ".join(pod.name for pod in pods)))


def _read_text(inbound: Inbound, match: Match, strategy: Ask) -> str | None:
    """Return what a request names; None when its body or query does not say it."""
    if strategy.query:
        return next(iter(list_values(inbound.query, strategy.query)[-1:]), None) or None
    if not strategy.place:
        return unquote(match.params[strategy.param])
    try:
        value = read_value(inbound.body, strategy.place)
    except MalformedBody:
        return None
    return value if isinstance(value, str) and value else None


def _unknown(name: str, silent: Sequence[Pod]) -> ServiceUnavailable:
    pods = ", ".join(pod.name for pod in silent)
    return ServiceUnavailable(
        f"{name} is not in any pod that answers, and these do not answer: {pods}; please retry"
    )


def _renamed(inbound: Inbound, match: Match, strategy: Ask, named: _Named) -> Outbound:
    """Return the request with the name as its pod knows it."""
    outbound = Outbound.of(inbound)
    if named.pod is None:
        return outbound
    if strategy.place:
        return replace(outbound, body=set_value(inbound.body, strategy.place, named.name))
    if strategy.query:
        query = replace_values(inbound.query, strategy.query, lambda _: named.name)
        return replace(outbound, query=query)
    params = {**match.params, strategy.param: quote(named.name, safe="")}
    return replace(outbound, path=fill_path(match.row.path, params))


def _at_number(inbound: Inbound, match: Match, strategy: ByNumber, number: str) -> Outbound:
    path = fill_path(match.row.path, {**match.params, strategy.param: number})
    return replace(Outbound.of(inbound), path=path)


def _with_text(answer: Answer, old: str, new: str) -> Answer:
    """Return a pod's 404 with the number that the caller asked for in its message."""
    place = "itemNotFound.message"

    def change(value: object) -> object:
        return value.replace(old, new) if isinstance(value, str) else value

    return replace(answer, body=replace_value(answer.body, place, change))
