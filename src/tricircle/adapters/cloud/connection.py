"""One HTTP/1.1 connection to a pod: a request is written, an answer is read.

Nothing here trusts the pod. The parser is strict, everything it gathers has a limit,
the reader's pace is the pod's, and a connection on which anything happened that
should not have happened is closed and never used again.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import cast

import httptools

from tricircle.core.headers import strip_hop_by_hop
from tricircle.interfaces.cloud import Headers

BAD_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""Characters that no header's value may hold."""

_INTERIM = frozenset({100, 102, 103})
_WITHOUT_BODY = frozenset({204, 304})

# More of a body than this is not read ahead of whoever reads it.
_READ_AHEAD_BYTES = 256 * 1024


class Closed(Exception):
    """The pod closed the connection before the head of its answer was there."""


class Unusable(Exception):
    """What the pod sent is no answer; the text says what it did."""


class _Refused(Exception):
    """Stops the parser; why is kept by the connection."""


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """What an answer may be at most. ``head_bytes`` holds for all heads, interim ones too."""

    body_bytes: int = 64 * 1024 * 1024
    headers: int = 128
    head_bytes: int = 32768


class Connection(asyncio.Protocol):
    """A connection that carries one exchange at a time.

    ``status`` and ``headers`` are those of the last answer, there after
    ``wait_for_head``; ``arrived`` tells whether any byte of the answer came, and
    ``complete`` whether all of it did. ``idle_since_s`` belongs to the pool.
    """

    __slots__ = (
        "_can_write",
        "_chunked",
        "_failure",
        "_framing_bytes",
        "_has_head",
        "_head_bytes",
        "_is_head_request",
        "_kept",
        "_limits",
        "_parser",
        "_parts",
        "_paused",
        "_raw",
        "_refusal",
        "_size",
        "_transport",
        "_unread_bytes",
        "_until_end",
        "_waiter",
        "arrived",
        "complete",
        "headers",
        "idle_since_s",
        "reused",
        "status",
    )

    status: int
    headers: Headers
    arrived: bool
    complete: bool
    _has_head: bool
    _paused: bool
    _is_head_request: bool
    _failure: BaseException | None
    _raw: list[tuple[bytes, bytes]]
    _parts: list[bytes]

    def __init__(self, limits: AnswerLimits) -> None:
        self._limits = limits
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._can_write: asyncio.Future[None] | None = None
        self._kept = True
        self.reused = False
        self.idle_since_s = 0.0
        self._reset(is_head_request=False)
        self.complete = True  # there is nothing to wait for yet

    @property
    def usable(self) -> bool:
        """Tell whether another request may be sent: the last answer is complete and clean."""
        transport = self._transport
        return self._kept and self.complete and transport is not None and not transport.is_closing()

    def send(self, data: bytes, *, is_head_request: bool) -> None:
        """Write the head of a request and what is known of its body; its answer is awaited."""
        self._reset(is_head_request=is_head_request)
        if self._transport is None:
            self._failure = Closed("closed while it was idle")
            return
        self._transport.write(data)

    async def send_more(self, data: bytes) -> None:
        """Write more of a request's body, no faster than the pod takes it. Raises Closed."""
        if self._can_write is not None:
            await self._can_write
        if self._transport is None:
            raise Closed("closed while it was sent a body")
        self._transport.write(data)

    async def wait_for_head(self) -> None:
        """Return when ``status`` and ``headers`` are there.

        Raises Closed, Unusable, or what ``fail`` was given.
        """
        while not self._has_head:
            if self._failure is not None:
                raise self._failure
            await self._wait()

    async def wait_for_part(self) -> None:
        """Return when there is something to ``take``, or the body is complete.

        Raises Unusable, or what ``fail`` was given.
        """
        while not self._parts and not self.complete:
            if self._failure is not None:
                raise self._failure
            await self._wait()

    def take(self) -> bytes:
        """Return what has arrived of the body and was not taken yet."""
        parts = self._parts
        taken = parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts = []
        self._unread_bytes = 0
        if self._paused:
            self._paused = False
            if self._transport is not None:
                self._transport.resume_reading()
        return taken

    def fail(self, error: BaseException) -> None:
        """Close the connection; whoever waits for the answer gets ``error``."""
        if self._failure is None:
            self._failure = error
        self.abort()
        self._wake()

    def abort(self) -> None:
        """Close the connection at once."""
        self._kept = False
        if self._transport is not None:
            self._transport.abort()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's do not inherit from it

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self.complete or self._failure is not None:
            self.abort()  # nobody asked for it: whatever comes next is not an answer either
            return
        self.arrived = True
        try:
            if self._has_head:
                self._feed_body(data)
            else:
                self._feed_head(data)
        except (_Refused, httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self.complete:
                self.abort()  # the answer is good, what follows it is not
            else:
                self.fail(Unusable(self._refusal or "did not answer in valid HTTP"))
        if self._unread_bytes > _READ_AHEAD_BYTES and not self.complete:
            self._pause()
        if self._has_head:
            self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Decide what the end of the connection means for the answer."""
        self._kept = False
        self._transport = None
        del self._parser  # it holds this object
        if not self.complete and self._failure is None:
            if not self._has_head:
                self._failure = Closed("closed without an answer")
            elif self._until_end and error is None:
                self.complete = True
            else:
                self._failure = Unusable("cut its answer short")
        self.resume_writing()
        self._wake()

    def pause_writing(self) -> None:
        """Hold back ``send_more``."""
        if self._can_write is None:
            self._can_write = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let ``send_more`` go on."""
        if self._can_write is not None and not self._can_write.done():
            self._can_write.set_result(None)
        self._can_write = None

    # What the parser calls

    def on_message_begin(self) -> None:
        """Refuse a second answer."""
        if self.complete:
            raise _Refused

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, not a trailer."""
        if not self._has_head:
            self._raw.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Judge the head."""
        if self._has_head:
            return
        status = self._parser.get_status_code()
        raw = self._raw
        self._raw = []
        if status in _INTERIM:
            return
        if not 200 <= status <= 599:
            self._refuse(f"answered with status {status}")
        if len(raw) > self._limits.headers:
            self._refuse(f"sent more than {self._limits.headers} headers")
        if BAD_IN_VALUE.search(b"".join([value for _, value in raw])):
            self._refuse("sent a header with control characters")
        self.status = status
        if self._is_head_request or status in _WITHOUT_BODY:
            self._until_end = False
        else:
            self._judge_framing(raw)
        self.headers = strip_hop_by_hop(raw)
        self._has_head = True
        if self._is_head_request:
            # The parser would wait for a body that never comes: it is of no more use.
            self.complete, self._kept = True, False

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body."""
        if self.complete:
            return
        self._size += len(part)
        if self._size > self._limits.body_bytes:
            self._refuse(f"sent more than {self._limits.body_bytes} bytes")
        self._unread_bytes += len(part)
        self._parts.append(part)

    def on_message_complete(self) -> None:
        """Note the end of the answer, unless it was an interim one."""
        if self._has_head and not self.complete:
            self.complete = True
            self._kept = self._kept and self._parser.should_keep_alive()

    # Our own

    def _reset(self, *, is_head_request: bool) -> None:
        self.status = 0
        self.headers = ()
        self.arrived = self.complete = self._has_head = False
        self._chunked, self._until_end, self._paused = False, True, False
        self._is_head_request = is_head_request
        self._failure = None
        self._refusal = ""
        self._raw = []
        self._parts = []
        self._size = self._unread_bytes = self._head_bytes = self._framing_bytes = 0

    def _feed_head(self, data: bytes) -> None:
        """Parse so much as a head may be; the rest, if there is any, only behind a head."""
        room = self._limits.head_bytes - self._head_bytes
        if len(data) <= room:
            self._head_bytes += len(data)
            self._parser.feed_data(data)
            return
        self._parser.feed_data(data[:room])
        if not self._has_head:
            self._refuse(f"sent a head of more than {self._limits.head_bytes} bytes")
        self._feed_body(data[room:])

    def _feed_body(self, data: bytes) -> None:
        """Parse; between two parts of a body there may be so much framing and no more."""
        size = self._size
        self._parser.feed_data(data)
        if not self._chunked or self._size > size:
            self._framing_bytes = 0
            return
        self._framing_bytes += len(data)
        if self._framing_bytes > self._limits.head_bytes and not self.complete:
            self._refuse("sent framing without end")

    def _judge_framing(self, raw: Headers) -> None:
        lengths = [value for name, value in raw if name == b"content-length"]
        codings = [value for name, value in raw if name == b"transfer-encoding"]
        if codings and (lengths or [coding.lower() for coding in codings] != [b"chunked"]):
            self._refuse("did not answer in valid HTTP")
        if lengths and int(lengths[0]) > self._limits.body_bytes:
            self._refuse(f"announced more than {self._limits.body_bytes} bytes")
        self._chunked = bool(codings)
        self._until_end = not lengths and not codings

    def _refuse(self, what: str) -> None:
        self._refusal = what
        raise _Refused

    def _pause(self) -> None:
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
