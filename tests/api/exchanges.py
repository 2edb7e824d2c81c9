"""What was asked and answered while a case ran: of the top by the case, of the pods by the top."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from gabbi.httpclient import Http

from tests.api.schemas import TOP, Ask, Exchange
from tricircle.testing.cloud import SimulatedCloud

Message = MutableMapping[str, Any]
_POD = re.compile(r"/(?P<pod>\w+)/(?P<service>compute|volume)(?P<path>/.*)")


class Exchanges:
    """Requests and their answers, until they are taken."""

    def __init__(self) -> None:
        self._kept: deque[Exchange] = deque()

    def add(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        self._kept.append(exchange)

    def take(self) -> list[Exchange]:
        """Return what was kept since the last time."""
        return [self._kept.popleft() for _ in range(len(self._kept))]


class WatchedHttp(Http):  # type: ignore[misc]
    """gabbi's client, which keeps what it asked of the gateways at ``roots``."""

    def __init__(self, kept: Exchanges, roots: Mapping[str, str]) -> None:
        super().__init__(cert_validate=False)
        self._kept, self._roots = kept, roots

    def request(
        self, absolute_uri: str, method: str, body: Any, headers: Any, redirect: Any, timeout: Any
    ) -> tuple[Any, bytes]:
        """Return headers and body of an answer."""
        answer, content = super().request(absolute_uri, method, body, headers, redirect, timeout)
        asked = body.encode() if isinstance(body, str) else body or b""
        for service, root in self._roots.items():
            if absolute_uri.startswith(f"{root}/"):
                url = urlsplit(absolute_uri.removeprefix(root))
                ask = Ask(service, TOP, method, url.path, url.query, asked)
                self._kept.add(Exchange(ask, int(answer["status"]), answer, content))
        return answer, content


class WatchedCloud(SimulatedCloud):
    """A simulated cloud, which keeps what its pods were asked and what they answered."""

    def __init__(self, kept: Exchanges, pods: tuple[str, ...]) -> None:
        super().__init__(pods)
        self._kept = kept

    async def app(self, scope: Message, receive: Any, send: Any) -> None:
        """Serve one ASGI connection."""
        match = _POD.fullmatch(scope.get("path", ""))
        asked: list[Message] = []
        told: list[Message] = []

        async def keep_request() -> Message:
            asked.append(await receive())
            return asked[-1]

        async def keep_answer(message: Message) -> None:
            told.append(message)
            await send(message)

        if match is None:
            await super().app(scope, receive, send)
            return
        await super().app(scope, keep_request, keep_answer)
        if told:
            query = scope["query_string"].decode()
            body = _body(asked)
            ask = Ask(match["service"], match["pod"], scope["method"], match["path"], query, body)
            headers = {name.decode().lower(): text.decode() for name, text in told[0]["headers"]}
            self._kept.add(Exchange(ask, told[0]["status"], headers, _body(told)))


def _body(messages: list[Message]) -> bytes:
    return b"".join(message.get("body", b"") for message in messages)
