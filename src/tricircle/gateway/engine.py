"""The engine: one ``match`` over the strategies of a gateway's table."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from tricircle.core.bodies import read_value
from tricircle.core.errors import NotFound, PodError, ServiceUnavailable
from tricircle.core.model import BottomId, Kind, Pod
from tricircle.core.placing import Topology
from tricircle.core.table import (
    Aggregate,
    Ask,
    ById,
    ByNumber,
    ByVersion,
    Composed,
    Create,
    Local,
    Match,
    Merge,
    Refuse,
    Replicated,
    Row,
    Shared,
    Strategy,
    Table,
)
from tricircle.gateway.aggregating import Aggregator
from tricircle.gateway.answers import Answer
from tricircle.gateway.any_pod import AnyPod
from tricircle.gateway.asking import Finders
from tricircle.gateway.creation import Creator
from tricircle.gateway.faults import fault
from tricircle.gateway.forward import Forwarder, Outbound
from tricircle.gateway.hooks import ByIdHook, Call
from tricircle.gateway.merging import Merger
from tricircle.gateway.named_hosts import NamedHosts
from tricircle.gateway.replicating import Replicator
from tricircle.gateway.request import Inbound
from tricircle.usecases.locate import Locator, Place
from tricircle.usecases.same_pod import SamePod

log = logging.getLogger(__name__)

LocalAnswer = Callable[[Inbound, Match], Answer | Awaitable[Answer]]
ComposedAnswer = Callable[[Inbound, Match], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What an engine is made of."""

    forwarder: Forwarder
    locator: Locator
    same_pod: SamePod
    creator: Creator
    merger: Merger
    replicator: Replicator
    aggregator: Aggregator
    finders: Finders
    hosts: NamedHosts
    topology: Callable[[], Topology]
    hooks: Mapping[str, ByIdHook]
    local_answers: Mapping[str, LocalAnswer]
    composed_answers: Mapping[str, ComposedAnswer]


class Engine:
    """Answers requests that a row was found for."""

    def __init__(self, table: Table, parts: Parts) -> None:
        """Raise ValueError when a row names steps or an answer that nobody gave."""
        _check_names(table, parts)
        self._parts = parts
        self._forwarder, self._locator = parts.forwarder, parts.locator
        self._any_pod = AnyPod(parts.forwarder, parts.topology)

    async def answer(self, inbound: Inbound, match: Match) -> Answer:
        """Return the answer to a request. Raises errors of core.errors."""
        until = match.row.until
        if until is not None and inbound.version > until:
            raise NotFound("The resource could not be found.")
        if match.row.naming is not None:
            inbound = replace(inbound, naming=match.row.naming)
        return await self._answer(inbound, match, match.row.strategy)

    async def _answer(self, inbound: Inbound, match: Match, strategy: Strategy) -> Answer:
        match strategy:
            case ById():
                return await self._by_id(inbound, match, strategy)
            case Create():
                return await self._parts.creator.create(inbound, strategy)
            case Merge():
                return await self._parts.merger.merge(inbound, strategy)
            case Replicated():
                return await self._replicated(inbound, match, strategy)
            case Shared():
                return await self._any_pod.ask(inbound)
            case Local():
                return await self._local(inbound, match, strategy)
            case Composed():
                return await self._parts.composed_answers[strategy.answer](inbound, match)
            case Aggregate():
                return await self._parts.aggregator.aggregate(inbound, strategy)
            case Ask():
                return await self._parts.finders.ask(inbound, match, strategy)
            case ByNumber():
                return await self._parts.finders.by_number(inbound, match, strategy)
            case ByVersion():
                is_before = inbound.version < strategy.since
                chosen = strategy.before if is_before else strategy.then
                return await self._answer(inbound, match, chosen)
            case Refuse():
                return _refusal(match, strategy)
            case _:
                assert_never(strategy)

    async def _by_id(self, inbound: Inbound, match: Match, strategy: ById) -> Answer:
        place = await self._find_place(inbound, match, strategy)
        if isinstance(place, NotFound):
            return await self._absent(inbound, place)
        call = await self._prepare(inbound, match, strategy, place)
        hook = self._parts.hooks[strategy.hook] if strategy.hook is not None else None
        if hook is not None:
            prepared = await hook.before(call)
            if isinstance(prepared, Answer):
                return prepared
            call = prepared
        try:
            answer = await self._forwarder.send(call.pod, call.outbound, strategy.zones)
        except PodError as error:
            if hook is None:
                raise
            return await hook.failed(call, error)
        if hook is not None:
            answer = await hook.after(call, answer)
        try:
            await self._note(call, strategy, answer)
        except ServiceUnavailable as error:
            facts = {"kind": strategy.kind, "id": call.top_id, "reason": str(error)}
            log.warning("answer of a pod not written down yet", extra=facts)
        return answer

    async def _note(self, call: Call, strategy: ById, answer: Answer) -> None:
        """Make our records what a pod's answer says: what is gone, and whose the rest is.

        Raises ServiceUnavailable; whoever asks for it next has the records made right.
        """
        kind, status = strategy.kind, answer.status
        if strategy.made is not None and status < 300:
            await self._keep_made(call, strategy.made, answer)
        if strategy.ends and status < 300:
            await self._locator.forget(kind, call.top_id, call.pod.id)
        elif strategy.whole and status == 404:
            await self._forget_absent(call, strategy)
        elif strategy.whole and status == 200 and not call.is_own:
            await self._locator.correct_owner(kind, call.top_id, call.place, answer.body)

    async def _find_place(self, inbound: Inbound, match: Match, strategy: ById) -> Place | NotFound:
        top_id = match.params[strategy.param]
        place = self._locator.find_cached(strategy.kind, top_id)
        if place is not None:
            return place
        try:
            return await self._locator.locate(strategy.kind, top_id, inbound.caller)
        except NotFound as absent:
            return absent

    async def _absent(self, inbound: Inbound, absent: NotFound) -> Answer:
        """Return a pod's own answer for a resource that no pod has for this caller.

        The caller must not be able to tell it from the answer for a resource of another
        project, which comes from the pod that has it; and a role that may not ask at
        all is told so, as by the service itself.
        """
        for pod in self._any_pod.list_pods():
            try:
                return await self._forwarder.send(pod, Outbound.of(inbound))
            except PodError:
                continue
        raise absent

    async def _prepare(self, inbound: Inbound, match: Match, strategy: ById, place: Place) -> Call:
        top_id = match.params[strategy.param]
        pod = self._pod_of(place)
        if strategy.refs and inbound.body and inbound.caller.may_use(place.project_id):
            await self._parts.same_pod.check(inbound.body, strategy.refs, inbound.caller, pod)
        asked = inbound
        if strategy.hosts and inbound.body and inbound.caller.may_use(place.project_id):
            asked = await self._parts.hosts.check(inbound, strategy.hosts, pod)
        return Call(inbound, match, top_id, place, pod, Outbound.of(asked))

    def _pod_of(self, place: Place) -> Pod:
        pod = self._parts.topology().find_pod(place.pod_id)
        if pod is None:
            raise ServiceUnavailable(
                "the pod of this resource is not known to this gateway yet; please retry"
            )
        return pod

    async def _keep_made(self, call: Call, made: tuple[Kind, str], answer: Answer) -> None:
        """Write down what a request made beside. Raises ServiceUnavailable."""
        kind, where = made
        made_id = read_value(answer.body, where)
        if isinstance(made_id, str):
            project = call.inbound.caller.project_id or call.place.project_id
            await self._locator.keep(kind, made_id, Place(call.pod.id, BottomId(made_id), project))

    async def _forget_absent(self, call: Call, strategy: ById) -> None:
        """Forget a routing when the pod itself says to the owner that the resource is gone.

        It may have changed hands since this process heard of it: then only that is forgotten.
        """
        kind, project = strategy.kind, call.inbound.caller.project_id
        owner = await self._locator.find_owner(kind, call.top_id)
        if owner is not None and owner == project:
            await self._locator.forget(kind, call.top_id, call.pod.id)
        elif call.is_own:
            self._locator.let_go(kind, call.top_id)

    async def _replicated(self, inbound: Inbound, match: Match, strategy: Replicated) -> Answer:
        if strategy.change is not None:
            return await self._parts.replicator.change(inbound, match, strategy.change)
        return await self._any_pod.ask(inbound, strategy.zones)

    async def _local(self, inbound: Inbound, match: Match, strategy: Local) -> Answer:
        answer = self._parts.local_answers[strategy.answer](inbound, match)
        return answer if isinstance(answer, Answer) else await answer


def _check_names(table: Table, parts: Parts) -> None:
    for row, strategy in _named_strategies(table):
        match strategy:
            case ById(hook=str(name)):
                given: Collection[str] = parts.hooks
            case Create(hook=str(name)):
                given = parts.creator.hooks
            case Merge(hook=str(name)):
                given = parts.merger.hooks
            case Local(answer=name):
                given = parts.local_answers
            case Composed(answer=name):
                given = parts.composed_answers
            case _:
                continue
        if name not in given:
            raise ValueError(f"{row.method} {row.path} needs '{name}', which this gateway lacks")


def _named_strategies(table: Table) -> Iterator[tuple[Row, Strategy]]:
    """Yield every strategy of every row."""
    for row in table.rows:
        strategies = [row.strategy]
        while strategies:
            strategy = strategies.pop()
            yield row, strategy
            if isinstance(strategy, ByVersion):
                strategies += (strategy.before, strategy.then)


def _refusal(match: Match, strategy: Refuse) -> Answer:
    if strategy.status == 501:
        reason = f"{match.row.method} {match.row.path} is not served by this gateway yet"
        return fault(501, reason)
    if strategy.status == 404:
        raise NotFound(strategy.reason)
    return fault(strategy.status, strategy.reason)
