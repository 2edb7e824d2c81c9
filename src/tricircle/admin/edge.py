"""What happens to every request before and after the application sees it.

A request id, the token, the bounds of the body: in this order, so that nobody
without a good token makes us read or parse anything.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tricircle.adapters.log import set_request_id
from tricircle.admin.backend import Backend
from tricircle.admin.faults import Fault, answer_fault, report
from tricircle.core.errors import BodyTooLarge, MalformedBody, Unauthorized
from tricircle.core.headers import Header, strip_client_headers
from tricircle.core.model import Caller
from tricircle.interfaces.identity import TokenChecker

log = logging.getLogger(__name__)
access_log = logging.getLogger("tricircle.access")

MAX_BODY_BYTES = 64 * 1024
MAX_BODY_DEPTH = 16
MAX_QUERY_BYTES = 4 * 1024
BODY_TIMEOUT_S = 30.0
PUBLIC_PATHS = frozenset({"/", "/v1", "/openapi.json", "/healthcheck"})
"""What is answered without a token: nothing here depends on this cloud."""

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
# As oslo.middleware's request_id: anything else is not taken over.
_REQUEST_ID = re.compile(rb"req-[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}\Z")
# A string that does not end is taken up to the end of the body: never read twice.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+["\\]?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
# Framing is the server's; the length has been used up by then, the host makes links.
_OWN_HEADERS = frozenset({b"host", b"content-length"})


class Edge:
    """The application with everything around it that every request needs."""

    def __init__(
        self, app: ASGIApp, backend: Backend, tokens: TokenChecker, authenticate: str
    ) -> None:
        """Wrap ``app``; ``authenticate`` is what WWW-Authenticate says to who has no token."""
        self._app, self._backend = app, backend
        self._tokens, self._authenticate = tokens, authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the lifespan of the server passes untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(send, f"req-{uuid.uuid4()}", time.monotonic())
        set_request_id(exchange.request_id)
        inner = _tidy(scope)
        inner["state"] |= {"backend": self._backend, "request_id": exchange.request_id}
        try:
            await self._serve(inner, receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - the request edge
            fault = self._report(error)
            if not exchange.status:
                await answer_fault(fault)(inner, receive, exchange.send)
        finally:
            _log_request(inner, exchange)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(scope["query_string"]) > MAX_QUERY_BYTES:
            raise HTTPException(414, f"the query is longer than {MAX_QUERY_BYTES} bytes")
        if scope["path"] not in PUBLIC_PATHS:
            # Encoded anew, so that access rules judge the path that will be served.
            path = quote(scope["path"])
            scope["state"]["caller"] = await self._tokens.check(
                scope["headers"], scope["method"], path
            )
        body = await _read_body_in_time(receive)
        if scope["method"] in _WITH_BODY and body:
            _check_media_type(scope["headers"])
            check_json(body)
        await self._app(scope, _replay(body, receive), send)

    def _report(self, error: Exception) -> Fault:
        fault = report(error)
        if isinstance(error, Unauthorized):
            message = "The request you have made requires authentication."
            return Fault(401, message, {"www-authenticate": self._authenticate})
        if fault.status == 500:
            log.error("unexpected error", exc_info=error)
        return fault


@dataclass(slots=True)
class _Exchange:
    """One request on its way out: adds the request id, remembers the status."""

    forward: Send
    request_id: str
    started_s: float
    status: int = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ())]
            headers.append((b"x-openstack-request-id", self.request_id.encode()))
            message = {**message, "headers": headers}
        await self.forward(message)


def _tidy(scope: Scope) -> Scope:
    """Return the scope without identity or forwarding headers and trailing slash.

    What is left of X-OpenStack-Request-ID is the caller's own id, to be logged.
    """
    headers: list[Header] = [h for h in scope["headers"] if h[0] in _OWN_HEADERS]
    headers += strip_client_headers(scope["headers"])
    state = dict(scope.get("state", {}))
    sent = next((value for name, value in headers if name == b"x-openstack-request-id"), b"")
    if _REQUEST_ID.match(sent):
        state["sent_request_id"] = sent.decode()
    path = scope["path"].rstrip("/") or "/"
    return {**scope, "headers": headers, "state": state, "path": path}


async def _read_body_in_time(receive: Receive) -> bytes:
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _read_body(receive)
    except TimeoutError:
        message = f"the body did not arrive within {BODY_TIMEOUT_S:g} seconds"
        raise HTTPException(408, message) from None


async def _read_body(receive: Receive) -> bytes:
    """Return the whole body. Raises BodyTooLarge as soon as there is too much."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedBody("the connection was closed before the body was complete")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"the body is larger than {MAX_BODY_BYTES} bytes")
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


def _check_media_type(headers: Iterable[Header]) -> None:
    value = next((value for name, value in headers if name == b"content-type"), b"")
    if value.partition(b";")[0].strip().lower() != b"application/json":
        raise HTTPException(415, "the body must be JSON with Content-Type: application/json")


def check_json(body: bytes) -> None:
    """Return when the body is one JSON value that all parsers read alike.

    Raises MalformedBody for what is not JSON, too deep, or has a key twice.
    """
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_BODY_DEPTH:
            raise MalformedBody(f"the body is nested more than {MAX_BODY_DEPTH} levels deep")
    try:
        json.loads(body, object_pairs_hook=_refuse_twice, parse_constant=_refuse_constant)
    except ValueError as error:
        raise MalformedBody(f"the body is not JSON: {error}") from None


def _refuse_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _log_request(scope: Scope, exchange: _Exchange) -> None:
    state = scope["state"]
    caller: Caller | None = state.get("caller")
    facts = {
        "method": scope["method"],
        "path": scope["path"],
        "status": exchange.status,
        "ms": round((time.monotonic() - exchange.started_s) * 1000, 1),
        "user": caller.user_id if caller else None,
        "project": caller.project_id if caller else None,
        "sent_request_id": state.get("sent_request_id"),
    }
    access_log.info("request", extra={key: value for key, value in facts.items() if value})
