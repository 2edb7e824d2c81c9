"""Ids of the top's Neutron in paths and answers of a server's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tricircle.core.bodies import read_texts, replace_texts
from tricircle.core.errors import PodError
from tricircle.core.table import ById, Twin, fill_path
from tricircle.gateway.answers import Answer
from tricircle.gateway.hooks import Call
from tricircle.usecases.boot import ServerNetworks


class TwinIds:
    """Steps that translate ids both ways; see ``gateway.hooks.ByIdHook``."""

    def __init__(self, networks: ServerNetworks) -> None:
        self._networks = networks

    async def before(self, call: Call) -> Call:
        """Return the call with the pod's ids in its path; an id without a twin stays."""
        params = dict(call.match.params)
        for twin in _strategy(call).path_twins:
            ids = await self._networks.to_bottom(twin.kind, [params[twin.place]], call.pod)
            params[twin.place] = ids.get(params[twin.place], params[twin.place])
        path = fill_path(call.match.row.path, params)
        return replace(call, outbound=replace(call.outbound, path=path))

    async def after(self, call: Call, answer: Answer) -> Answer:
        """Return the answer with the top's ids; an id without a twin stays."""
        if answer.status >= 300 or not answer.is_json or not answer.body:
            return answer
        body = answer.body
        for twin in _strategy(call).answer_twins:
            body = await self._translate(call, body, twin)
        return replace(answer, body=body)

    async def failed(self, call: Call, error: PodError) -> Answer:
        """Raise: there is nothing to add."""
        raise error

    async def _translate(self, call: Call, body: bytes, twin: Twin) -> bytes:
        ids: Sequence[str] = read_texts(body, twin.place)
        if not ids:
            return body
        return replace_texts(
            body, twin.place, dict(await self._networks.to_top(twin.kind, ids, call.pod))
        )


def _strategy(call: Call) -> ById:
    strategy = call.match.row.strategy
    if not isinstance(strategy, ById):
        raise TypeError("only rows by id name twins")
    return strategy
