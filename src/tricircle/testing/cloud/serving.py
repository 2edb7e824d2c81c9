"""The simulation on a real loopback socket, served by uvicorn."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
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


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever started it."""

    def install_signal_handlers(self) -> None:
        """Do nothing."""


def listen(port: int = 0, host: str = "127.0.0.1") -> socket.socket:
    """Return a listening socket; port 0 takes any free one."""
    # With the protocol named, or asyncio would leave Nagle's algorithm on and
    # each answer would wait 40 ms for the client's delayed acknowledgement.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(2048)
    return listening


def server_for(app: Application) -> uvicorn.Server:
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
    return _Server(config)


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
        server.should_exit = True
        await task
        listening.close()


@asynccontextmanager
async def serve_pod(cloud: SimulatedCloud, name: str, port: int = 0) -> AsyncIterator[str]:
    """Serve one pod on a port of its own, and let the catalogue name it.

    Once this ends nothing listens there: connections are really refused.
    """
    async with serve(cloud.app_for(name), port) as url:
        cloud.serve_pod_at(name, url)
        yield url
