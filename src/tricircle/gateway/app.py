"""The ASGI application: from bytes of a request to a call of the engine, and back.

This is the hot path, so there is no framework between the server and the engine.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, replace

from tricircle.adapters.log import set_request_id
from tricircle.core.errors import (
    BadInput,
    BodyTooLarge,
    TricircleError,
    Unauthorized,
)
from tricircle.core.model import Caller, Version
from tricircle.core.placing import Topology
from tricircle.core.table import Match
from tricircle.core.versions import NOVA_HEADER, STANDARD_HEADER, decide_version
from tricircle.gateway import faults, pages
from tricircle.gateway.answers import Answer, Header, json_answer
from tricircle.gateway.engine import Engine
from tricircle.gateway.profile import Profile
from tricircle.gateway.request import Inbound, Target
from tricircle.gateway.versions import served_range
from tricircle.interfaces.identity import TokenChecker

Scope = MutableMapping[str, object]
Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger(__name__)
access_log = logging.getLogger("tricircle.access")

_PROJECT = re.compile(r"[0-9a-f-]{32,36}|[0-9a-f]+")
_VERSION_HEADERS = (STANDARD_HEADER, NOVA_HEADER, b"vary")
_REQUEST_ID = re.compile(rb"req-[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be at most."""

    body_bytes: int
    headers: int
    query_bytes: int


class GatewayApp:
    """One gateway as an ASGI application."""

    def __init__(
        self,
        profile: Profile,
        engine: Engine,
        tokens: TokenChecker,
        topology: Callable[[], Topology],
        public_url: str | None,
        authenticate: bytes,
        limits: Limits,
    ) -> None:
        self._profile, self._engine, self._tokens = profile, engine, tokens
        self._topology, self._public_url = topology, public_url
        self._authenticate, self._limits = authenticate, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] != "http":
            raise ValueError(f"a gateway does not serve {scope['type']}")
        started = time.perf_counter()
        request = _Request(scope)
        set_request_id(request.id)
        answer = pages.as_wanted(await self._guarded(request, receive), request.headers)
        await _send_answer(send, answer, request.id)
        access_log.info(
            "request",
            extra={
                "method": request.method,
                "path": request.path,
                "status": answer.status,
                "bytes": len(answer.body),
                "ms": round((time.perf_counter() - started) * 1000, 1),
            },
        )

    async def _guarded(self, request: _Request, receive: Receive) -> Answer:
        """Return an answer whatever happens: this is the edge where errors become HTTP."""
        try:
            return await self._answer(request, receive)
        except Unauthorized:
            return faults.unauthorized(self._authenticate)
        except TricircleError as error:
            status = faults.status_of(error)
            if status >= 500:
                log.warning("request failed", extra={"reason": str(error), "status": status})
            version = request.version
            headers = self._profile.version_headers(version) if version is not None else ()
            return faults.fault_of(error, headers)
        except Exception:
            log.exception("unexpected error")
            return faults.internal_error()

    async def _answer(self, request: _Request, receive: Receive) -> Answer:
        self._check_limits(request)
        top_root = self._public_url or request.root
        open_answer = self._open_answer(request, top_root)
        if open_answer is not None:
            return open_answer
        caller = self._tokens.find_cached(request.headers, request.method, request.path)
        if caller is None:
            caller = await self._tokens.check(request.headers, request.method, request.path)
        target = _read_target(self._profile, request.path, caller)
        if target is None:
            return pages.no_such_resource()
        if target.project is not None and target.project != caller.project_id:
            raise BadInput(
                self._profile.wrong_project.format(
                    project=target.project, token_project=caller.project_id
                )
            )
        version = self._decide(request, target)
        has_microversions = target.api == self._profile.current_api
        request.version = version if has_microversions else None
        match = self._find_row(request, target)
        if match is None:
            return pages.no_such_resource()
        body = await _read_body(receive, request, self._limits.body_bytes)
        inbound = Inbound(
            method=request.method,
            target=target,
            query=request.query,
            headers=request.headers,
            body=body,
            caller=caller,
            version=version,
            request_id=request.id,
            top_root=top_root,
        )
        answer = await self._engine.answer(inbound, match)
        return answer if has_microversions else _without_versions(answer)

    def _check_limits(self, request: _Request) -> None:
        if len(request.headers) > self._limits.headers:
            raise BadInput(f"more than {self._limits.headers} headers")
        if len(request.query) > self._limits.query_bytes:
            raise BadInput(f"the query is longer than {self._limits.query_bytes} bytes")

    def _open_answer(self, request: _Request, top_root: str) -> Answer | None:
        """Return the answer to what needs no token: version documents, health."""
        if request.method not in ("GET", "HEAD"):
            return None
        path = request.path.rstrip("/")
        if path == "/healthcheck":
            return Answer(200, ((b"content-type", b"text/plain"),), b"OK")
        is_list = path == ""
        api = None if self._profile.show_needs_token else self._profile.apis.get(path[1:])
        if not is_list and api is None:
            return None
        served = served_range(self._profile, self._topology())
        if api is None:
            document = self._profile.list_versions(served, top_root)
            return json_answer(document, self._profile.list_status)
        return json_answer(self._profile.documents[api](served, f"{top_root}{path}/"))

    def _decide(self, request: _Request, target: Target) -> Version:
        served = served_range(self._profile, self._topology())
        if target.api != self._profile.current_api:
            return served.minimum
        return decide_version(self._profile.read_version(request.headers), served)

    def _find_row(self, request: _Request, target: Target) -> Match | None:
        return self._profile.table.find(request.method, target.path)


def _without_versions(answer: Answer) -> Answer:
    """Return an answer of an API without microversions, as LegacyV2CompatibleWrapper of Nova."""
    headers = [one for one in answer.headers if one[0].lower() not in _VERSION_HEADERS]
    return replace(answer, headers=headers)


class _Request:
    """The raw facts of an ASGI request."""

    __slots__ = ("headers", "id", "method", "path", "query", "root", "version")

    def __init__(self, scope: Scope) -> None:
        self.method = str(scope["method"])
        raw_path = scope["raw_path"]
        assert isinstance(raw_path, bytes)  # noqa: S101 (uvicorn always sets it)
        self.path = raw_path.partition(b"?")[0].decode("latin-1")
        query = scope["query_string"]
        self.query = query.decode("latin-1") if isinstance(query, bytes) else ""
        self.headers: Sequence[Header] = scope["headers"]  # type: ignore[assignment]
        self.root = f"{scope['scheme']}://{self._host(scope)}"
        self.id = f"req-{uuid.uuid4()}"
        self.version: Version | None = None

    def _host(self, scope: Scope) -> str:
        for name, value in self.headers:
            if name == b"host":
                return value.decode("latin-1")
        server = scope.get("server")
        return f"{server[0]}:{server[1]}" if isinstance(server, tuple) else "localhost"


def _read_target(profile: Profile, path: str, caller: Caller) -> Target | None:
    """Return the parts of a path; None when no version of this service is in it.

    A second segment that is the caller's project, or looks like an id and is no word
    of the table, is a project.
    """
    parts = path.split("/", 3)
    if len(parts) < 2 or parts[1] not in profile.apis:
        return None
    for part in path.split("/"):
        if part.lower().replace("%2e", ".") in (".", ".."):
            return None
    second = parts[2] if len(parts) > 2 else ""
    is_project = second == caller.project_id or (
        bool(_PROJECT.fullmatch(second)) and not profile.table.has_first(second)
    )
    if second and is_project:
        return Target(parts[1], second, "/" + (parts[3] if len(parts) > 3 else ""))
    return Target(parts[1], None, path[len(parts[1]) + 1 :] or "/")


async def _read_body(receive: Receive, request: _Request, limit: int) -> bytes:
    """Return the whole body. Raises BodyTooLarge, before reading when the length is declared."""
    declared = next((value for name, value in request.headers if name == b"content-length"), b"0")
    if declared.isdigit() and int(declared) > limit:
        raise BodyTooLarge("Request is too large.")
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadInput("the client closed the connection before its request was complete")
        part = message.get("body", b"")
        assert isinstance(part, bytes)  # noqa: S101 (ASGI)
        size += len(part)
        if size > limit:
            raise BodyTooLarge("Request is too large.")
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _send_answer(send: Send, answer: Answer, request_id: str) -> None:
    headers = [header for header in answer.headers if header[0] != b"content-length"]
    if answer.find_header(b"x-openstack-request-id") is None:
        headers.append((b"x-openstack-request-id", request_id.encode()))
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
