"""Ids of what all pods have alike, made a pod's in requests and the top's in answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from tricircle.core.bodies import read_texts
from tricircle.core.bodies import replace as replace_value
from tricircle.core.counterparts import ID, Counterparts
from tricircle.core.errors import ServiceUnavailable
from tricircle.core.model import Pod
from tricircle.core.query import list_values, replace_values
from tricircle.core.table import Naming
from tricircle.gateway.answers import Answer
from tricircle.gateway.outbound import Outbound
from tricircle.usecases.twin_ids import TwinIds


class Names:
    """Translates between ids at the top and ids in pods; one object for each gateway."""

    def __init__(self, twins: TwinIds) -> None:
        self._twins = twins

    async def list_lacking(self, pods: Iterable[Pod], outbound: Outbound) -> Sequence[Pod]:
        """Return those of the pods that have not what a request's path names, and others have."""
        naming = outbound.inbound.naming
        if naming is None:
            return ()
        ids = _ids_in_path(naming, outbound.path)
        known = await self._twins.resolve(naming.kinds, _knows(ids), outbound.inbound.request_id)
        named = [one for one in ids if known.find_top(one)]
        return [pod for pod in pods if not all(known.find_bottom(pod.id, one) for one in named)]

    async def for_pod(self, pod: Pod, outbound: Outbound) -> Outbound:
        """Return a request with the ids in it made the pod's."""
        [made] = await self.for_pods([(pod, outbound)])
        return made

    async def for_pods(self, asks: Sequence[tuple[Pod, Outbound]]) -> Sequence[Outbound]:
        """Return what pods are asked of one request, with the ids in it made each pod's."""
        named = [(pod, outbound, _ids_in_request(outbound)) for pod, outbound in asks]
        naming = next((outbound.inbound.naming for _, outbound, ids in named if ids), None)
        if naming is None:
            return [outbound for _, outbound in asks]

        def is_enough(known: Counterparts) -> bool:
            return all(known.find_bottom(pod.id, one) for pod, _, ids in named for one in ids)

        request_id = asks[0][1].inbound.request_id
        known = await self._twins.resolve(naming.kinds, is_enough, request_id)
        return [_with_ids_of(pod, outbound, naming, known) for pod, outbound in asks]

    async def for_client(self, naming: Naming | None, answer: Answer, request_id: str) -> Answer:
        """Return an answer with the ids in it made the top's; in an error wherever they are."""
        if naming is None or not answer.body or not answer.is_json:
            return answer
        if answer.status < 300:
            (body,) = await self.items_for_client(naming, [answer.body], request_id)
            return replace(answer, body=body)
        text = answer.body.decode(errors="replace")
        known = await self._recall(naming, lambda _: True, request_id)
        told = known.to_top(text)
        return answer if told == text else replace(answer, body=told.encode())

    async def items_for_client(
        self, naming: Naming | None, items: Sequence[bytes], request_id: str
    ) -> Sequence[bytes]:
        """Return JSON values with the ids at the places of an answer made the top's."""
        if naming is None:
            return items
        ids = {
            one
            for item in items
            for place in naming.answer
            for one in _ids_in(read_texts(item, place))
        }
        if not ids:
            return items
        known = await self._recall(naming, _knows(ids), request_id)
        edited = []
        for item in items:
            for place in naming.answer:
                item = replace_value(item, place, _on_texts(known.to_top))
            edited.append(item)
        return edited

    async def _recall(
        self, naming: Naming, is_enough: Callable[[Counterparts], bool], request_id: str
    ) -> Counterparts:
        """Return what is known for an answer: a pod has acted, so it is given in any case."""
        try:
            return await self._twins.resolve(naming.kinds, is_enough, request_id)
        except ServiceUnavailable:
            return Counterparts()


def _ids_in_request(outbound: Outbound) -> list[str]:
    naming = outbound.inbound.naming
    if naming is None:
        return []
    ids = [*_ids_in_path(naming, outbound.path), *_ids_in_query(naming, outbound.query)]
    for place in naming.body if outbound.body else ():
        ids += _ids_in(read_texts(outbound.body, place))
    return ids


def _with_ids_of(pod: Pod, outbound: Outbound, naming: Naming, known: Counterparts) -> Outbound:
    """Return a request with the ids in it made a pod's."""

    def to_bottom(text: str) -> str:
        return known.to_bottom(pod.id, text)

    body = outbound.body
    for place in naming.body if body else ():
        body = replace_value(body, place, _on_texts(to_bottom))
    return replace(
        outbound,
        path=_after(naming.words).sub(lambda found: to_bottom(found[0]), outbound.path),
        query=_edit_query(naming, outbound.query, to_bottom),
        body=body,
    )


def _knows(ids: Iterable[str]) -> Callable[[Counterparts], bool]:
    return lambda known: all(known.find_top(one) for one in ids)


def _on_texts(change: Callable[[str], str]) -> Callable[[object], object]:
    """Return a change of JSON values that leaves alone what is not text, or stays the same."""

    def apply(value: object) -> object:
        if not isinstance(value, str):
            return value
        changed = change(value)
        return value if changed == value else changed

    return apply


def _ids_in(texts: Iterable[str]) -> list[str]:
    return [one for text in texts for one in ID.findall(text)]


def _ids_in_path(naming: Naming, path: str) -> list[str]:
    return _after(naming.words).findall(path) if naming.words else []


def _ids_in_query(naming: Naming, query: str) -> list[str]:
    return _ids_in(value for name in naming.query for value in list_values(query, name))


def _edit_query(naming: Naming, query: str, change: Callable[[str], str]) -> str:
    for name in naming.query if query else ():
        query = replace_values(query, name, change)
    return query


@lru_cache(maxsize=64)
def _after(words: tuple[str, ...]) -> re.Pattern[str]:
    """Return what finds the ids that follow these words of a path."""
    return re.compile("|".join(f"(?<=/{word}/){ID.pattern}" for word in words) or r"(?!)")
