"""One request to a pod and its answer."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn

from tricircle.adapters.cloud.connection import Closed, Connection, Unusable
from tricircle.adapters.cloud.health import PodService, PodWatch, is_ours
from tricircle.adapters.cloud.outgoing import make_head
from tricircle.adapters.cloud.pool import ConnectTimeout, Pool
from tricircle.core.errors import PodDead, PodMisbehaved, PodTimeout, TricircleError
from tricircle.interfaces.cloud import Headers, PodRequest

_LOG = logging.getLogger(__name__)

# Sent once more when the connection ended without a byte of an answer: what only reads
# always, what may be repeated when the connection was an old one that the pod gave up.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_IDEMPOTENT = _SAFE | {"PUT", "DELETE"}


@dataclass(frozen=True, slots=True)
class Wire:
    """What all exchanges of a program share."""

    watch: PodWatch
    loop: asyncio.AbstractEventLoop


class Exchange:
    """A request and, inside ``async with``, its answer (``interfaces.cloud.PodResponse``)."""

    __slots__ = (
        "_connection",
        "_left_s",
        "_pool",
        "_released",
        "_request",
        "_sending",
        "_service",
        "_started",
        "_timeout_s",
        "_timer",
        "_wire",
        "headers",
        "status",
    )

    _pool: Pool

    def __init__(
        self, wire: Wire, service: PodService, request: PodRequest, timeout_s: float
    ) -> None:
        self._wire = wire
        self._service = service
        self._request = request
        self._timeout_s = timeout_s
        self._left_s = timeout_s
        self._timer: asyncio.Timeout | None = None
        self._sending: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._released = False
        self._started = False
        self.status = 0
        self.headers: Headers = ()

    def release(self) -> None:
        """Stop waiting: the pod is dead."""
        self._released = True
        if self._timer is not None:
            self._timer.reschedule(self._wire.loop.time())
        elif self._connection is not None:
            self._connection.fail(TimeoutError())

    async def __aenter__(self) -> Exchange:
        service = self._service
        service.counters.requests += 1
        if service.dead:
            service.counters.refused_as_dead += 1
            raise self._dead("is known to be dead")
        if service.origin is None or service.pool is None:
            raise self._dead("has an endpoint that is not a URL")
        head = make_head(service.origin, self._request)
        self._pool = service.pool
        service.start_waiting(self, self._wire.watch.now_s())
        try:
            connection = await self._ask(head)
        except BaseException:
            self._finish()
            raise
        finally:
            service.stop_waiting(self)
        service.note_answer(self._wire.watch.now_s())
        self.status, self.headers = connection.status, connection.headers
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish()

    async def read(self) -> bytes:
        """Return the whole body. Raises PodMisbehaved when it is cut short or too large."""
        connection = self._get_connection()
        if connection.complete:
            return connection.take()  # the usual case: all of it came with the head
        return b"".join([part async for part in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; the same errors as ``read``."""
        while True:
            connection = self._get_connection()
            part = connection.take()
            if part:
                yield part
            elif connection.complete:
                return
            else:
                await self._wait_for_part(connection)

    async def _ask(self, head: bytes) -> Connection:
        """Return the connection on which the head of the answer has arrived."""
        end_s = self._wire.loop.time() + self._timeout_s
        connection = self._pool.find_idle() or await self._connect(self._pool.take, end_s)
        self._connection = connection
        self._start(connection, head)
        try:
            await self._wait_for_head(connection, end_s)
        except Closed as error:
            if not self._may_repeat(connection):
                self._raise_for(error)
        else:
            return connection
        self._connection = None
        self._connection = again = await self._connect(
            lambda: self._pool.replace(connection), end_s
        )
        self._start(again, head)
        try:
            await self._wait_for_head(again, end_s)
        except Closed as error:
            self._raise_for(error)
        return again

    def _may_repeat(self, connection: Connection) -> bool:
        body = self._request.body
        if connection.arrived or not (body is None or isinstance(body, bytes)):
            return False
        return self._request.method in (_IDEMPOTENT if connection.reused else _SAFE)

    def _start(self, connection: Connection, head: bytes) -> None:
        """Write the request; a body that is streamed follows while the answer is awaited."""
        self._started = True
        body = self._request.body
        is_head_request = self._request.method == "HEAD"
        if isinstance(body, bytes):
            connection.send(head + body, is_head_request=is_head_request)
            return
        connection.send(head, is_head_request=is_head_request)
        if body is not None:
            self._sending = asyncio.create_task(_send_body(connection, body), name="pod-body")

            def note_end(sending: asyncio.Task[None]) -> None:
                if not sending.cancelled() and (error := sending.exception()) is not None:
                    connection.fail(error)

            self._sending.add_done_callback(note_end)

    async def _connect(
        self, connect: Callable[[], Awaitable[Connection]], end_s: float
    ) -> Connection:
        try:
            return await self._wait_for_connection(connect, end_s)
        except (OSError, ConnectTimeout, Closed) as error:
            self._raise_for(error)

    async def _wait_for_connection(
        self, connect: Callable[[], Awaitable[Connection]], end_s: float
    ) -> Connection:
        try:
            async with asyncio.timeout_at(end_s) as self._timer:
                return await connect()
        finally:
            self._timer = None

    async def _wait_for_head(self, connection: Connection, end_s: float) -> None:
        """Return with the head. Raises Closed, which may be mended, and errors that may not."""
        alarm = self._wire.loop.call_at(end_s, connection.fail, TimeoutError())
        try:
            await connection.wait_for_head()
        except (Unusable, TimeoutError) as error:
            self._raise_for(error)
        finally:
            alarm.cancel()

    async def _wait_for_part(self, connection: Connection) -> None:
        service, watch, loop = self._service, self._wire.watch, self._wire.loop
        if self._released:
            self._raise_for(TimeoutError())
        started_s = watch.now_s()
        service.start_waiting(self, started_s)
        alarm = loop.call_later(max(self._left_s, 0), connection.fail, TimeoutError())
        try:
            await connection.wait_for_part()
        except (Closed, Unusable, TimeoutError) as error:
            self._raise_for(error)
        finally:
            alarm.cancel()
            service.stop_waiting(self)
            now_s = watch.now_s()
            # Only time spent waiting for the pod counts, not a slow reader's.
            self._left_s -= now_s - started_s
        service.note_answer(now_s)

    def _get_connection(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("the body is there inside 'async with' only")
        return self._connection

    def _finish(self) -> None:
        """Give the connection back when all went well, else end it."""
        sending, connection = self._sending, self._connection
        self._sending = self._connection = None
        if connection is None:
            return
        if sending is not None and not sending.done():
            sending.cancel()
            connection.abort()  # half a request is on it
        self._pool.give_back(connection)

    def _raise_for(self, error: Exception) -> NoReturn:
        """Raise what a failure means to those who asked."""
        match error:
            case ssl.SSLError():
                self._service.counters.connect_errors += 1
                self._wire.watch.note_refused(self._service)
                found: TricircleError = self._dead("has a certificate that is not trusted")
            case ConnectTimeout():
                found = self._dead("gave no connection in time")
            case TimeoutError(errno=None) if self._released:
                found = self._lost("died")
            case TimeoutError(errno=None):
                found = self._lost(f"did not answer in {self._timeout_s:g} s")
            case OSError() if is_ours(error):
                found = self._dead("cannot be connected to for want of sockets or memory here")
            case OSError():
                self._service.counters.connect_errors += 1
                self._wire.watch.note_refused(self._service)
                found = self._dead("does not accept connections")
            case Unusable():
                found = self._misbehaved(str(error))
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
            f"GET /v1/pods/{name} of the Admin API",
        )

    def _misbehaved(self, what: str) -> PodMisbehaved:
        self._service.counters.misbehaved += 1
        name = self._service.pod_name
        return PodMisbehaved(
            self._service.pod_id,
            f"pod '{name}' {what}; the answer cannot be used, see the pod's own log",
        )


async def _send_body(connection: Connection, body: AsyncIterator[bytes]) -> None:
    """Write a body of unknown length, part by part."""
    async for part in body:
        if part:
            await connection.send_more(b"%x\r\n%b\r\n" % (len(part), part))
    await connection.send_more(b"0\r\n\r\n")
