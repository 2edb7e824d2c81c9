"""The simulation on a real loopback socket, served by uvicorn."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tricircle.testing.cloud.simulation import TRANSPORT, Receive, Scope, Send, SimulatedCloud

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which also tells the application its transport."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: Any = self.scope
        scope["extensions"] = {TRANSPORT: self.transport}


class Server(uvicorn.Server):
    """uvicorn's server, which starts and stops at once and leaves signals alone.

    uvicorn looks ten times a second whether it should stop and then waits for
    its clients; with a cloud for each test that would be most of the time.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopped = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals as they are."""
        self._loop = asyncio.get_running_loop()
        yield

    def stop(self) -> None:
        """Make the server end; may be called from another thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)

    async def main_loop(self) -> None:
        """Keep the date of answers right until the server is stopped."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections, whatever goes on there."""
        for server in self.servers:
            server.close()
        for listening in sockets or ():
            listening.close()
        for task in list(self.server_state.tasks):
            task.cancel()
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()


def listen(port: int = 0, host: str = "127.0.0.1") -> socket.socket:
    """Return a listening socket; port 0 takes any free one."""
    # With the protocol named, or asyncio would leave Nagle's algorithm on and
    # each answer would wait 40 ms for the client's delayed acknowledgement.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(2048)
    return listening


def server_for(app: Application) -> Server:
    """Return a uvicorn server for an application of the simulation."""
    config = uvicorn.Config(
        app,
        http=_Protocol,
        interface="asgi3",
        proxy_headers=False,
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=300,
    )
    return Server(config)


@asynccontextmanager
async def serve(app: Application, port: int = 0) -> AsyncIterator[str]:
    """Serve an application in this event loop and give its URL."""
    listening = listen(port)
    server = server_for(app)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.001)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.stop()
        await task


@contextmanager
def serve_in_thread(app: Application, port: int = 0) -> Iterator[str]:
    """Serve an application from a thread, for clients that block, and give its URL."""
    listening = listen(port)
    server = server_for(app)

    def run() -> None:
        asyncio.run(server.serve(sockets=[listening]))

    thread = threading.Thread(target=run, name="simulated cloud", daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.001)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.stop()
        thread.join()


@asynccontextmanager
async def serve_pod(cloud: SimulatedCloud, name: str, port: int = 0) -> AsyncIterator[str]:
    """Serve one pod on a port of its own, and let the catalogue name it.

    Once this ends nothing listens there: connections are really refused.
    """
    async with serve(cloud.app_for(name), port) as url:
        cloud.serve_pod_at(name, url)
        yield url
