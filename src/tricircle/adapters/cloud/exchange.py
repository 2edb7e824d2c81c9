"""One request to a pod and its answer."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn, TypeVar

import aiohttp
from yarl import URL

from tricircle.adapters.cloud.health import PodService, PodWatch, is_ours
from tricircle.core.errors import (
    BadInput,
    PodDead,
    PodMisbehaved,
    PodTimeout,
    TricircleError,
)
from tricircle.core.headers import FRAMING_HEADERS, HOP_BY_HOP_HEADERS, strip_hop_by_hop
from tricircle.interfaces.cloud import Headers, PodRequest

_LOG = logging.getLogger(__name__)

_NEVER_SENT = HOP_BY_HOP_HEADERS | FRAMING_HEADERS
_PATH = re.compile(r"/[!\"$->@-~]*")  # printable ASCII but '#' and '?'
_QUERY = re.compile(r"[!\"$-~]*")  # printable ASCII but '#'
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-zA-Z]+")
_BAD_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_METHOD = re.compile(r"[A-Z]{1,32}")
_NAMES_KEPT = 2048

# aiohttp adds these to a request with a body unless told not to.
_NOTHING_ADDED = ("accept", "accept-encoding", "user-agent", "content-type")

Body = TypeVar("Body", bytes, bytearray)

_current: ContextVar[Exchange] = ContextVar("exchange")
"""The exchange whose request aiohttp is about to send in this task."""

_names: dict[bytes, str] = {}
"""Header names that were found to be good, as text: there are few, and each is checked once."""


class SentRequest(aiohttp.ClientRequest):
    """aiohttp's request, that adds no header and tells when it begins to leave."""

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        """Add nothing; with a body, let aiohttp know that its type is not to be guessed."""
        if skip_auto_headers is not None:
            super().update_auto_headers(skip_auto_headers)

    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        """Return the answer to come, once the head has been written."""
        _current.get().note_started()
        return await super().send(conn)


@dataclass(frozen=True, slots=True)
class Wire:
    """What all exchanges of a program share."""

    session: aiohttp.ClientSession
    watch: PodWatch
    max_answer_bytes: int


class Exchange:
    """A request and, inside ``async with``, its answer (``interfaces.cloud.PodResponse``)."""

    __slots__ = (
        "_left_s",
        "_loop",
        "_released",
        "_request",
        "_response",
        "_service",
        "_started",
        "_timeout_s",
        "_timer",
        "_wire",
        "headers",
        "status",
    )

    def __init__(
        self, wire: Wire, service: PodService, request: PodRequest, timeout_s: float
    ) -> None:
        self._wire = wire
        self._service = service
        self._request = request
        self._timeout_s = timeout_s
        self._left_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Timeout | None = None
        self._released = False
        self._started = False
        self._response: aiohttp.ClientResponse | None = None
        self.status = 0
        self.headers: Headers = ()

    def release(self) -> None:
        """Stop waiting: the pod is dead."""
        self._released = True
        if self._timer is not None:
            self._timer.reschedule(self._loop.time())

    def note_started(self) -> None:
        """Remember that the request may have left, as a whole or in part."""
        self._started = True

    async def __aenter__(self) -> Exchange:
        service = self._service
        service.counters.requests += 1
        if service.dead:
            service.counters.refused_as_dead += 1
            raise self._dead("is known to be dead")
        head = self._make_head()
        try:
            response = await self._wait_for_head(head)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._raise_for(error)
        self._response = response
        try:
            self._take_head(response)
        except PodMisbehaved:
            response.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._response is not None:
            # Gives the connection back when the body was read, else closes it.
            self._response.release()

    async def read(self) -> bytes:
        """Return the whole body. Raises PodMisbehaved when it is cut short or too large."""
        if self._response is not None and self._response.content.is_eof():
            # The usual case: all of it came with the head, and is one part.
            return self._check_size(await self._read_part(self._response.content))
        body = bytearray()
        async for part in self.chunks():
            body += part
            self._check_size(body)
        return bytes(body)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; the same errors as ``read``."""
        if self._response is None:
            raise RuntimeError("the body is there inside 'async with' only")
        content = self._response.content
        while True:
            # Nothing to wait for once the end has arrived.
            at_end = content.is_eof()
            part = await self._read_part(content)
            if part:
                yield part
            elif at_end or content.at_eof():
                return

    async def _read_part(self, content: aiohttp.StreamReader) -> bytes:
        try:
            if content.is_eof():
                return await content.readany()
            return await self._wait_for_part(content)
        except (aiohttp.ClientError, OSError) as error:
            self._raise_for(error)

    def _check_size(self, body: Body) -> Body:
        if len(body) > self._wire.max_answer_bytes:
            raise self._misbehaved(f"sent more than {self._wire.max_answer_bytes} bytes")
        return body

    def _make_head(self) -> tuple[URL, list[tuple[str, str]]]:
        """Return URL and headers as aiohttp takes them. Raises BadInput, never alters."""
        request = self._request
        if not _METHOD.fullmatch(request.method):
            raise BadInput("the request's method is not an HTTP method; use GET, POST …")
        if not _PATH.fullmatch(request.path) or not _QUERY.fullmatch(request.query):
            raise BadInput("the request's path or query is not percent-encoded; encode it")
        query = f"?{request.query}" if request.query else ""
        url = URL(f"{self._service.url}{request.path}{query}", encoded=True)
        headers = []
        for name, value in request.headers:
            if name in _NEVER_SENT:
                continue
            try:
                headers.append((_names.get(name) or _check_name(name), value.decode()))
            except UnicodeDecodeError:
                raise BadInput(f"header {name.decode()} is not valid UTF-8; encode it") from None
        if _BAD_IN_VALUE.search(b"".join([value for _, value in request.headers])):
            raise BadInput("a header holds a control character; remove it")
        return url, headers

    async def _wait_for_head(
        self, head: tuple[URL, list[tuple[str, str]]]
    ) -> aiohttp.ClientResponse:
        url, headers = head
        service, request = self._service, self._request
        _current.set(self)
        service.start_waiting(self, self._wire.watch.now_s())
        try:
            async with asyncio.timeout(self._timeout_s) as self._timer:
                return await self._wire.session.request(
                    request.method,
                    url,
                    headers=headers,
                    data=request.body or None,
                    skip_auto_headers=_NOTHING_ADDED if request.body else None,
                    allow_redirects=False,
                    ssl=service.tls,
                )
        finally:
            self._timer = None
            service.stop_waiting(self)

    async def _wait_for_part(self, content: aiohttp.StreamReader) -> bytes:
        service = self._service
        started_s = self._wire.watch.now_s()
        if self._released:
            raise TimeoutError
        service.start_waiting(self, started_s)
        try:
            async with asyncio.timeout(self._left_s) as self._timer:
                part = await content.readany()
        finally:
            self._timer = None
            service.stop_waiting(self)
            now_s = self._wire.watch.now_s()
            # Only time spent waiting for the pod counts, not a slow reader's.
            self._left_s -= now_s - started_s
        service.note_answer(now_s)
        return part

    def _take_head(self, response: aiohttp.ClientResponse) -> None:
        self._service.note_answer(self._wire.watch.now_s())
        self.status = response.status
        if not 200 <= response.status <= 599:
            raise self._misbehaved(f"answered with status {response.status}")
        raw = response.raw_headers
        if _BAD_IN_VALUE.search(b"".join([value for _, value in raw])):
            raise self._misbehaved("sent a header with control characters")
        self.headers = strip_hop_by_hop([(name.lower(), value) for name, value in raw])
        length = response.content_length
        if length is not None and length > self._wire.max_answer_bytes and self._has_body(response):
            raise self._misbehaved(f"announced more than {self._wire.max_answer_bytes} bytes")

    def _has_body(self, response: aiohttp.ClientResponse) -> bool:
        return self._request.method != "HEAD" and response.status not in (204, 304)

    def _raise_for(self, error: Exception) -> NoReturn:
        """Raise what a failure of aiohttp means to those who asked."""
        if isinstance(error.__cause__, TricircleError):
            raise error.__cause__  # the request's own body could not be read
        match error:
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
                self._service.counters.connect_errors += 1
                self._wire.watch.note_refused(self._service)
                found: TricircleError = self._dead("has a certificate that is not trusted")
            case aiohttp.ClientConnectorError() if is_ours(error):
                found = self._dead("cannot be connected to for want of sockets or memory here")
            case aiohttp.ClientConnectorError():
                self._service.counters.connect_errors += 1
                self._wire.watch.note_refused(self._service)
                found = self._dead("does not accept connections")
            case aiohttp.ConnectionTimeoutError():
                found = self._dead("gave no connection in time")
            case TimeoutError() if self._released:
                found = self._lost("died")
            case TimeoutError():
                found = self._lost(f"did not answer in {self._timeout_s:g} s")
            case aiohttp.InvalidURL():
                found = self._dead("has an endpoint that is not a URL")
            case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError() | ValueError():
                found = self._misbehaved("did not answer in valid HTTP")
            case _:
                found = self._lost("closed the connection")
        _LOG.info(
            "pod could not be asked",
            extra={
                "pod": self._service.pod_name,
                "service": self._service.service,
                "method": self._request.method,
                "path": self._request.path,
                "reason": f"{type(error).__name__}: {error}",
            },
        )
        raise found from error

    def _lost(self, what: str) -> TricircleError:
        if not self._started:
            return self._dead(what)
        self._service.counters.timeouts += 1
        return PodTimeout(
            self._service.pod_id,
            f"pod '{self._service.pod_name}' {what}; whether it carried the request out is "
            "unknown, look before you repeat it",
        )

    def _dead(self, what: str) -> PodDead:
        name = self._service.pod_name
        return PodDead(
            self._service.pod_id,
            f"pod '{name}' {what}, nothing was sent; retry later, or see "
            f"'openstack pod show {name}'",
        )

    def _misbehaved(self, what: str) -> PodMisbehaved:
        self._service.counters.misbehaved += 1
        name = self._service.pod_name
        return PodMisbehaved(
            self._service.pod_id,
            f"pod '{name}' {what}; the answer cannot be used, see the pod's own log",
        )


def _check_name(name: bytes) -> str:
    """Return a header's name as text and remember it. Raises BadInput for what is not one."""
    if not _TOKEN.fullmatch(name):
        raise BadInput("a header's name holds characters that HTTP does not allow")
    text = name.decode("ascii")
    if len(_names) < _NAMES_KEPT:
        _names[name] = text
    return text
