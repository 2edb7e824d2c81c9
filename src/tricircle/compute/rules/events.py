"""Events that other services tell Nova about servers, each told to the pod of its server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from tricircle.core.bodies import encode, read_value
from tricircle.core.errors import MalformedBody
from tricircle.core.model import Kind, Pod, PodId, Version
from tricircle.core.table import Match
from tricircle.gateway.answers import Answer, Header, json_answer
from tricircle.gateway.asking import Asker, Heard
from tricircle.gateway.forward import Outbound
from tricircle.gateway.request import Inbound
from tricircle.usecases.locate import Locator, is_id

_NO_SERVER = "00000000-0000-0000-0000-000000000000"
_ABSENT, _UNREACHABLE = 404, 422
"""Nova's own codes for an event: no such server, and a server without a host to tell it to."""


@dataclass(frozen=True, slots=True)
class _Event:
    """One event of a request: ``raw`` as it came, ``pods`` that may have its server."""

    raw: msgspec.Raw
    server_id: str
    pods: Sequence[Pod]


class ServerEvents:
    """Answers ``POST /os-server-external-events``.

    A server that no routing tells of is looked for by telling all pods: those that do not
    have it say so, and nothing happens there.
    """

    def __init__(
        self,
        asker: Asker,
        locator: Locator,
        version_headers: Callable[[Version], Sequence[Header]],
    ) -> None:
        self._asker, self._locator = asker, locator
        self._version_headers = version_headers

    async def __call__(self, inbound: Inbound, match: Match) -> Answer:
        """Return what became of each event, as Nova says it."""
        events = await self._read_events(inbound.body)
        pods = {pod.id: pod for event in events for pod in event.pods}
        if not pods:
            return await self._asker.ask_first(Outbound.of(inbound))
        if len(pods) > 1:
            refusal = await self._find_refusal(inbound, events)
            if refusal is not None:
                return refusal
        shares = {
            pod_id: [at for at, event in enumerate(events) if pod in event.pods]
            for pod_id, pod in pods.items()
        }
        heard = await self._asker.ask(
            [(pod, _outbound(inbound, events, shares[pod.id])) for pod in pods.values()]
        )
        refusal = heard.find_refusal()
        if refusal is not None:
            return refusal
        status, rows = _join(heard, events, shares)
        headers = self._version_headers(inbound.version)
        return json_answer({"events": rows}, status, headers)

    async def _read_events(self, body: bytes) -> list[_Event]:
        """Return the events of a body; none for one that Nova will refuse."""
        events = []
        try:
            for raw in msgspec.json.decode(body, type=_Body).events:
                server_id = read_value(bytes(raw), "server_uuid")
                if not isinstance(server_id, str) or not is_id(server_id):
                    return []
                events.append(_Event(raw, server_id, await self._pods_of(server_id)))
        except (msgspec.DecodeError, MalformedBody, UnicodeDecodeError):
            return []
        return events

    async def _pods_of(self, server_id: str) -> list[Pod]:
        place = await self._locator.find_recorded(Kind.SERVER, server_id)
        return [pod for pod in self._asker.pods() if place is None or pod.id == place.pod_id]

    async def _find_refusal(self, inbound: Inbound, events: Sequence[_Event]) -> Answer | None:
        """Return Nova's refusal of the whole, before any pod has taken a part of it.

        A pod is asked the same about servers that do not exist, so that it only looks at
        the rest.
        """
        harmless = [msgspec.Raw(_about(event.raw, _NO_SERVER)) for event in events]
        outbound = replace(Outbound.of(inbound), body=_with_events(inbound.body, harmless))
        answer = await self._asker.ask_first(outbound)
        return answer if answer.status >= 300 else None


class _Body(msgspec.Struct):
    events: list[msgspec.Raw]


class _Outcome(msgspec.Struct):
    code: int


def _about(raw: msgspec.Raw, server_id: str) -> bytes:
    fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return encode({**fields, "server_uuid": server_id})


def _with_events(body: bytes, events: Sequence[msgspec.Raw]) -> bytes:
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return encode({**fields, "events": list(events)})


def _outbound(inbound: Inbound, events: Sequence[_Event], share: Sequence[int]) -> Outbound:
    whole = Outbound.of(inbound)
    if len(share) == len(events):
        return whole
    return replace(whole, body=_with_events(inbound.body, [events[at].raw for at in share]))


def _join(
    heard: Heard, events: Sequence[_Event], shares: Mapping[PodId, Sequence[int]]
) -> tuple[int, list[msgspec.Raw]]:
    """Return the outcome of each event in the order asked, and 200 when all are good, else 207."""
    outcomes: dict[int, tuple[int, msgspec.Raw]] = {}
    silent = list(heard.silent)
    for one in heard.said:
        told = _read_outcomes(one.answer.body)
        if len(told) != len(shares[one.pod.id]):
            silent.append(one.pod)
            continue
        for at, outcome in zip(shares[one.pod.id], told, strict=True):
            if at not in outcomes or outcomes[at][0] == _ABSENT:
                outcomes[at] = outcome
    rows = []
    for at, event in enumerate(events):
        code, raw = outcomes.get(at, (_ABSENT, event.raw))
        if code == _ABSENT and any(pod in event.pods for pod in silent):
            code, raw = _UNREACHABLE, msgspec.Raw(_failed(event.raw))
        rows.append((code, raw))
    status = 200 if all(code == 200 for code, _ in rows) else 207
    return status, [raw for _, raw in rows]


def _read_outcomes(body: bytes) -> list[tuple[int, msgspec.Raw]]:
    """Return code and event of each outcome in a pod's answer; none for an unusable one."""
    try:
        events = msgspec.json.decode(body, type=_Body).events
        return [(msgspec.json.decode(raw, type=_Outcome).code, raw) for raw in events]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def _failed(raw: msgspec.Raw) -> bytes:
    fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return encode({**fields, "status": "failed", "code": _UNREACHABLE})
