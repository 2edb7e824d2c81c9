"""Server groups where servers show them: by the id that users know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tricircle.core.bodies import read_texts, replace_texts
from tricircle.core.model import Pod, Version
from tricircle.core.server_groups import LISTED_GROUPS, SHOWN_GROUPS
from tricircle.gateway.answers import Answer
from tricircle.gateway.request import Inbound
from tricircle.usecases.server_groups import ServerGroupTwins

_SHOWN_SINCE = Version(2, 71)
_LISTED_SINCE = Version(2, 100)


class ShownGroups:
    """Names groups as the top does where servers show them."""

    def __init__(self, twins: ServerGroupTwins) -> None:
        self._twins = twins

    async def in_server(self, pod: Pod, version: Version, answer: Answer) -> Answer:
        """Return what a pod shows of a server with the top's ids of groups."""
        if version < _SHOWN_SINCE or answer.status >= 300 or not answer.is_json:
            return answer
        [body] = await self._named([answer.body], [pod], SHOWN_GROUPS)
        return answer if body is answer.body else replace(answer, body=body)

    async def in_list(
        self, inbound: Inbound, pods: Sequence[Pod], items: Sequence[bytes]
    ) -> Sequence[bytes]:
        """Return rows of servers of these pods with the top's ids of groups."""
        if inbound.version < _LISTED_SINCE:
            return items
        return await self._named(items, pods, LISTED_GROUPS)

    async def _named(
        self, bodies: Sequence[bytes], pods: Sequence[Pod], places: Sequence[str]
    ) -> Sequence[bytes]:
        named = [text for body in bodies for place in places for text in read_texts(body, place)]
        if not named:
            return bodies
        texts: dict[str, str] = {}
        for pod in pods:
            records = await self._twins.list_records(pod.id, list(dict.fromkeys(named)))
            texts |= {bottom: str(row.top_id) for bottom, row in records.items()}
        return [_replaced(body, places, texts) for body in bodies]


def _replaced(body: bytes, places: Sequence[str], texts: Mapping[str, str]) -> bytes:
    for place in places:
        body = replace_texts(body, place, texts)
    return body
