"""Changes of what all pods have alike: flavors, key pairs, volume types.

One pod is asked as the client asks, with the client's token: its policy and its checks
decide, and its answer is the answer. What it has then is what the top wants of all pods.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import assert_never
from urllib.parse import parse_qs, quote, unquote

from tricircle.core.bodies import read_value, set_value
from tricircle.core.errors import MalformedBody, PodDead, PodMisbehaved, ServiceUnavailable
from tricircle.core.model import BottomId, Pod, PodId
from tricircle.core.placing import Topology
from tricircle.core.query import list_values
from tricircle.core.table import Alter, Make, Match, Owner, fill_path
from tricircle.core.wishes import Replica, WishKey
from tricircle.gateway.answers import Answer
from tricircle.gateway.forward import Forwarder, Outbound
from tricircle.gateway.request import Inbound
from tricircle.interfaces.wishes import PutWish
from tricircle.usecases.replicas.replica_kind import Shown
from tricircle.usecases.wishing import Standing, Taken, Wishing

_ANY_ID = frozenset({None, "auto"})
"""What a body says at the place of an id that the service is to choose."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """What the pod that was asked answered, and what it had before."""

    pod: Pod
    standing: Standing
    answer: Answer
    shown: Shown | None = None


class Replicator:
    """Changes one pod, then all others."""

    def __init__(
        self,
        forwarder: Forwarder,
        wishing: Wishing,
        topology: Callable[[], Topology],
        new_id: Callable[[], str],
    ) -> None:
        self._forwarder, self._wishing = forwarder, wishing
        self._topology, self._new_id = topology, new_id

    async def change(self, inbound: Inbound, match: Match, change: Make | Alter) -> Answer:
        """Return the answer of the pod that was asked, the others being told.

        What cannot be carried to them now a job carries. Raises errors of core.errors; then
        the request may be sent again, and whatever was left undone is completed.
        """
        match change:
            case Make():
                changed, answer = await self._make(inbound, change)
            case Alter():
                changed, answer = await self._alter(inbound, match, change)
            case _:
                assert_never(change)
        puts: list[PutWish] = []
        for taken in changed:
            puts += await self._wishing.record(taken, inbound.request_id)
        if puts:
            others = [pod for pod in self._alive() if pod.id != changed[0].pod.id]
            await self._wishing.spread(puts, others, inbound.request_id)
        return answer

    # New resources.

    async def _make(self, inbound: Inbound, change: Make) -> tuple[Sequence[Taken], Answer]:
        # the id of what is made is the top's as well: nobody else knows it
        inbound = replace(inbound, naming=None)
        body = _with_id(inbound.body, change, self._new_id)
        wanted = WishKey(
            change.resource,
            _owner_in_body(inbound, body, change.owner),
            _text(read_value(body, change.named)),
        )
        outbound = replace(Outbound.of(inbound), body=body)

        async def ask(pod: Pod, standing: Standing) -> _Sent:
            return _Sent(pod, standing, await self._forwarder.send(pod, outbound))

        standing = await self._look_up(inbound, wanted)
        sent = await self._ask_first(inbound, [standing], (), ask)
        if sent.answer.status == 409 and sent.standing.wish is None:
            label = _read_label(inbound.body, change)
            return await self._adopt(inbound, sent, wanted, label), sent.answer
        if sent.answer.status >= 300:
            return (), sent.answer
        made = _read_key(sent, change, wanted)
        return [Taken(sent.pod, made, BottomId(made.name))], sent.answer

    async def _adopt(
        self, inbound: Inbound, sent: _Sent, wanted: WishKey, label: str
    ) -> Sequence[Taken]:
        """Return what is there already and is no wish yet, as if it had just been made.

        So the client's second try completes a first one that was cut short.
        """
        found = await self._wishing.search(sent.pod, wanted, label, inbound.request_id)
        if found is None:
            return ()
        standing = await self._look_up(inbound, replace(wanted, name=found.bottom_id))
        return () if standing.wish else [Taken(sent.pod, standing.key, found.bottom_id)]

    # Resources that are there.

    async def _alter(
        self, inbound: Inbound, match: Match, change: Alter
    ) -> tuple[Sequence[Taken], Answer]:
        owner = _owner_in_query(inbound, change.owner)
        name = _named_by(inbound, match, change.param)
        standing = await self._look_up(inbound, WishKey(change.resource, owner, name))

        async def ask(pod: Pod, standing: Standing) -> _Sent:
            shown = None
            if standing.key.name and (standing.wish is None or change.frees):
                key = standing.key_in(pod)
                shown = await self._wishing.show(pod, key, inbound.request_id)
            outbound = _with_bottom(inbound, match, change, standing.bottom_id(pod))
            return _Sent(pod, standing, await self._forwarder.send(pod, outbound), shown)

        used: Collection[PodId] = ()
        if change.unless_used:
            used = await self._wishing.find_users(self._alive(), standing, inbound.request_id)
        standings = [standing, *await self._beside(inbound, match, change)]
        sent = await self._ask_first(inbound, standings, used, ask)
        wish = sent.standing.wish
        may_be_done = change.halves or (change.removes and wish is not None and wish.wanted)
        is_gone = sent.answer.status == 404 and may_be_done
        if sent.answer.status >= 300 and not is_gone:
            return (), sent.answer
        before = sent.shown.thing if sent.shown and wish is None else None
        taken = Taken(sent.pod, sent.standing.key, sent.standing.bottom_id(sent.pod), before)
        return [*await self._freed(inbound, sent), taken], sent.answer

    async def _beside(self, inbound: Inbound, match: Match, change: Alter) -> Sequence[Standing]:
        """Return what is known of another resource that a change needs."""
        if change.beside is None:
            return ()
        resource, param = change.beside
        key = WishKey(resource, "", _named_by(inbound, match, param))
        return [await self._look_up(inbound, key)]

    async def _freed(self, inbound: Inbound, sent: _Sent) -> Sequence[Taken]:
        """Return the volume types that had QoS specs before these were changed."""
        freed = []
        for bottom_id in sent.shown.used_by if sent.shown else ():
            key = WishKey(Replica.VOLUME_TYPE, "", bottom_id)
            standing = await self._look_up(inbound, key)
            freed.append(Taken(sent.pod, standing.key, bottom_id))
        return freed

    # Pods.

    async def _look_up(self, inbound: Inbound, key: WishKey) -> Standing:
        if not key.name:
            return Standing(key)
        return await self._wishing.look_up(key, inbound.request_id)

    async def _ask_first(
        self,
        inbound: Inbound,
        standings: Sequence[Standing],
        used: Collection[PodId],
        ask: Callable[[Pod, Standing], Awaitable[_Sent]],
    ) -> _Sent:
        """Return what comes of asking the first pod that can be asked. Raises PodError.

        Those in ``used`` come first, then pods that are as the wishes say; another one is
        made so before. The first of ``standings`` is what is changed.
        """
        error: PodDead | None = None
        for pod in self._in_order(standings, used):
            try:
                known = [
                    await self._wishing.bring_up(pod, one, inbound.request_id)
                    for one in reversed(standings)
                ]
                return await ask(pod, known[-1])
            except PodDead as dead:
                error = dead
        raise error or ServiceUnavailable(
            "no pod can be asked; an operator adds one with the Admin API"
        )

    def _in_order(self, standings: Sequence[Standing], used: Collection[PodId]) -> Sequence[Pod]:
        def place(pod: Pod) -> tuple[bool, bool, bool, str]:
            is_behind = any(one.is_behind(pod) or one.lacks(pod) for one in standings)
            is_dead = self._forwarder.cloud.is_dead(pod.id)
            return is_dead, pod.id not in used, is_behind, pod.name

        return sorted(self._pods(), key=place)

    def _alive(self) -> Sequence[Pod]:
        return [pod for pod in self._pods() if not self._forwarder.cloud.is_dead(pod.id)]

    def _pods(self) -> Sequence[Pod]:
        service = self._forwarder.service
        return [pod for pod in self._topology().pods if service in pod.endpoints]


def _named_by(inbound: Inbound, match: Match, param: str) -> str:
    """Return what a parameter of the path, or else of the query, names; '' without one."""
    if param in match.params:
        return unquote(match.params[param])
    return next(iter(list_values(inbound.query, param)), "")


def _with_bottom(inbound: Inbound, match: Match, change: Alter, bottom_id: BottomId) -> Outbound:
    """Return the request with a pod's own id in its path, where it is another one."""
    outbound = Outbound.of(inbound)
    if change.param not in match.params:
        return outbound
    if bottom_id == unquote(match.params[change.param]):
        return outbound
    params = {**match.params, change.param: quote(bottom_id, safe="")}
    return replace(outbound, path=fill_path(match.row.path, params))


def _with_id(body: bytes, change: Make, new_id: Callable[[], str]) -> bytes:
    """Return the body with an id in it, where the service would choose one for each pod."""
    if not change.new_id:
        return body
    given = read_value(body, change.named)
    if isinstance(given, str | None) and given in _ANY_ID:
        return set_value(body, change.named, new_id())
    return body


def _read_label(body: bytes, change: Make) -> str:
    """Return by what a resource is known whose id the client did not choose, else ''."""
    chosen = read_value(body, change.named)
    is_chosen = not (isinstance(chosen, str | None) and chosen in _ANY_ID)
    return "" if is_chosen or change.label is None else _text(read_value(body, change.label))


def _read_key(sent: _Sent, change: Make, wanted: WishKey) -> WishKey:
    """Return what the answer to a creation says was made."""
    try:
        name = _text(read_value(sent.answer.body, change.named))
        owner = _text(read_value(sent.answer.body, change.owner.place)) if change.owner else ""
    except MalformedBody:
        name = owner = ""
    if not name:
        raise PodMisbehaved(
            sent.pod.id, f"pod {sent.pod.name} does not say what it has made; look before retrying"
        )
    return WishKey(change.resource, owner or wanted.owner, name)


def _owner_in_body(inbound: Inbound, body: bytes, owner: Owner | None) -> str:
    if owner is None:
        return ""
    named = _text(read_value(body, owner.place)) if inbound.version >= owner.since else ""
    return named or inbound.caller.user_id


def _owner_in_query(inbound: Inbound, owner: Owner | None) -> str:
    if owner is None:
        return ""
    named = parse_qs(inbound.query).get(owner.param, []) if inbound.version >= owner.since else []
    return named[0] if named else inbound.caller.user_id


def _text(value: object) -> str:
    """Return an id as text: Nova takes numbers as ids of flavors."""
    is_id = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value) if is_id else ""
