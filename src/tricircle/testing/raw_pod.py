"""A pod made of a bare socket, for everything a real HTTP server would not do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tricircle.core.model import Endpoint, Pod, PodId, Service

Answerer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

POD = PodId("pod-west-id")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class RawPod:
    """Listens on loopback and does with each connection what ``answer`` says.

    ``heads`` are the request heads that arrived, ``connections`` how many were made.
    """

    answer: Answerer
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Return the URL of its compute endpoint."""
        return f"http://127.0.0.1:{self.port}/v2.1"

    @property
    def endpoint(self) -> Endpoint:
        """Return its compute endpoint."""
        return Endpoint(Service.COMPUTE, self.url)

    @property
    def pod(self) -> Pod:
        """Return it as a pod called ``west``."""
        return Pod(POD, "west", "west", endpoints={Service.COMPUTE: self.endpoint})

    async def start(self, port: int = 0) -> RawPod:
        """Listen, on a free port unless one is given; return itself."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Refuse connections from now on and drop those that stand."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def read_head(self, reader: asyncio.StreamReader) -> bytes:
        """Return the next request's head and keep it in ``heads``."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        return head

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self.answer(reader, writer)
        finally:
            if task is not None:
                self._tasks.discard(task)
            writer.close()
