"""Connections to one place of a pod: a few, kept while they are used, handed out in turn."""

from __future__ import annotations

import asyncio
import re
import socket
from collections import deque
from dataclasses import dataclass
from ssl import SSLContext, SSLError
from typing import Any
from urllib.parse import urlsplit

from tricircle.adapters.cloud.connection import AnswerLimits, Closed, Connection

# Shorter than the shortest idle timeout of common API servers (5 s), so that we
# close an idle connection before the pod does, in the middle of our next request.
_KEEPALIVE_S = 4.0
_SWEEP_S = 0.1

_BASE_PATH = re.compile(r"(/[!\"$->@-~]*)?")  # printable ASCII but '#' and '?'
_HOST = re.compile(r"[0-9A-Za-z._~:-]+")


class ConnectTimeout(Exception):
    """No connection could be made in time."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an endpoint's URL points to.

    ``authority`` is what the Host header says; ``path`` is put before a request's.
    """

    host: str
    port: int
    is_secure: bool
    authority: str
    path: str


@dataclass(frozen=True, slots=True)
class Route:
    """How connections are made: to where, trusting whom (None without TLS), in what time."""

    host: str
    port: int
    tls: SSLContext | None
    connect_timeout_s: float
    limits: AnswerLimits


def parse_origin(url: str) -> Origin:
    """Return the parts of an endpoint's URL. Raises ValueError for what is not one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    good = parts.scheme in ("http", "https") and _HOST.fullmatch(host)
    if not good or "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("not an http or https URL of a host, port and path")
    if not _BASE_PATH.fullmatch(parts.path):
        raise ValueError("the URL's path is not percent-encoded")
    is_secure = parts.scheme == "https"
    default = 443 if is_secure else 80
    port = parts.port or default
    name = f"[{host}]" if ":" in host else host
    authority = name if port == default else f"{name}:{port}"
    return Origin(host, port, is_secure, authority, parts.path)


async def connect(route: Route) -> Connection:
    """Return a new connection, to the first of the host's addresses that takes one.

    Raises ConnectTimeout, SSLError for a certificate that is not trusted, or OSError
    with the number of the last address's.
    """
    loop = asyncio.get_running_loop()
    end_s = loop.time() + route.connect_timeout_s
    try:
        async with asyncio.timeout_at(end_s):
            found = await loop.getaddrinfo(route.host, route.port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise ConnectTimeout("no address of the host in time") from error
    for number, (family, _, _, _, address) in enumerate(found):
        is_last = number == len(found) - 1
        # Each address gets its share of the time that is left.
        share_s = (end_s - loop.time()) / (len(found) - number)
        try:
            async with asyncio.timeout(share_s):
                return await _connect_to(route, family, address)
        except OSError as error:
            if not is_last:
                continue
            if isinstance(error, TimeoutError) and error.errno is None:
                raise ConnectTimeout("no connection in time") from error
            if isinstance(error, SSLError):
                raise
            reason = f"cannot connect to {route.host}:{route.port}: {error.strerror or error}"
            raise OSError(error.errno, reason) from error
    raise OSError(f"host '{route.host}' has no address")


async def _connect_to(route: Route, family: int, address: Any) -> Connection:
    loop = asyncio.get_running_loop()
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, address)
        _, connection = await loop.create_connection(
            lambda: Connection(route.limits),
            sock=sock,
            ssl=route.tls,
            server_hostname=route.host if route.tls is not None else None,
        )
    except BaseException:
        sock.close()
        raise
    return connection


class Pool:
    """At most ``size`` connections of one route; who finds none free waits in turn."""

    def __init__(self, route: Route, size: int, keepalive_s: float = _KEEPALIVE_S) -> None:
        self.route, self._size, self._keepalive_s = route, size, keepalive_s
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []  # the one used last is at the end
        self._taken: set[Connection] = set()
        self._slots = 0  # taken connections and those being made
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def is_unused(self) -> bool:
        """Tell whether there is no connection and nobody who wants one."""
        return not (self._idle or self._slots or self._waiters)

    def find_idle(self) -> Connection | None:
        """Return a kept connection that is fit for a request, now the caller's, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if self._is_fit(connection):
                self._slots += 1
                self._taken.add(connection)
                return connection
            connection.abort()
        return None

    async def take(self) -> Connection:
        """Return a connection that is the caller's until ``give_back``. Raises as ``connect``."""
        connection = self.find_idle()
        if connection is None and self._slots >= self._size:
            connection = await self._wait_in_turn()
        elif connection is None:
            self._slots += 1
        if connection is None:
            return await self._make()
        if self._is_fit(connection):
            return connection
        return await self.replace(connection)

    async def replace(self, connection: Connection) -> Connection:
        """End a connection that was taken and return a new one in its place."""
        self._taken.discard(connection)
        connection.abort()
        return await self._make()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for others, or end it when it is not fit for another request."""
        if self._closed or not connection.usable:
            self._taken.discard(connection)
            connection.abort()
            self._pass_on(None)
            return
        connection.reused = True
        connection.idle_since_s = self._loop.time()
        self._pass_on(connection)

    def close(self) -> None:
        """End all connections; nobody gets one any more."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in (*self._idle, *self._taken):
            connection.abort()
        self._idle = []
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(OSError("the program ends"))

    async def _make(self) -> Connection:
        """Return a new connection for a slot that is ours; without one the slot is free again."""
        try:
            connection = await connect(self.route)
        except BaseException:
            self._pass_on(None)
            raise
        self._taken.add(connection)
        if self._closed:
            self.give_back(connection)
            raise Closed("the program ends")
        return connection

    async def _wait_in_turn(self) -> Connection | None:
        """Return a connection handed over, or None for the right to make one."""
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())
            raise

    def _pass_on(self, connection: Connection | None) -> None:
        """Give a slot, and its connection if it has one, to the next in turn."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._slots -= 1
        if connection is not None:
            self._taken.discard(connection)
            self._idle.append(connection)
            if self._sweeper is None:
                self._sweeper = self._loop.call_later(self._keepalive_s, self._sweep)

    def _sweep(self) -> None:
        """End what was idle for too long; look again while anything is kept."""
        fit = [connection for connection in self._idle if self._is_fit(connection)]
        for connection in set(self._idle).difference(fit):
            connection.abort()
        self._idle = fit
        self._sweeper = None
        if fit:
            left_s = fit[0].idle_since_s + self._keepalive_s - self._loop.time()
            self._sweeper = self._loop.call_later(max(left_s, _SWEEP_S), self._sweep)

    def _is_fit(self, connection: Connection) -> bool:
        if not connection.usable:
            return False
        idle_s = self._loop.time() - connection.idle_since_s
        return not connection.reused or idle_s < self._keepalive_s
