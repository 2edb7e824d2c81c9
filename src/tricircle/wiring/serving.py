"""How a program's web service is run: uvicorn, one or several workers, a clean end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import uvicorn

from tricircle.adapters.config import ConfigError, ListenSettings, Settings, load_settings

Scope = MutableMapping[str, object]
Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_ARGUMENTS = "TRICIRCLE_ARGUMENTS"
"""Environment variable by which workers learn the program's arguments."""

GRACE_S = 30
"""Seconds that requests under way have when a program is told to end."""

WORKER_PATIENCE_S = 60
"""Seconds after which a worker that does not even say that it lives is replaced."""


class Service:
    """An ASGI application that is opened when its worker starts and closed when it ends."""

    def __init__(self, open_application: Callable[[], AbstractAsyncContextManager[Application]]):
        self._open = open_application
        self._application: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the worker's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if self._application is None:
            raise RuntimeError("a request before the worker has started")
        await self._application(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with AsyncExitStack() as stack:
            try:
                self._application = await stack.enter_async_context(self._open())
            except Exception as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                raise
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


def read_arguments(program: str) -> Settings:
    """Return the settings of a worker: those of the program that started it."""
    return load_settings(program, json.loads(os.environ[_ARGUMENTS]))


def serve(
    program: str,
    factory: str,
    section: Callable[[Settings], ListenSettings],
    arguments: Sequence[str],
) -> None:
    """Run a program's web service until it is told to end.

    ``factory`` is ``module:function`` of a function without arguments that returns a
    ``Service``; each worker calls it.
    """
    try:
        listen = section(load_settings(program, arguments))
    except ConfigError as error:
        sys.exit(f"{program}: {error}")
    os.environ[_ARGUMENTS] = json.dumps(list(arguments))
    uvicorn.run(
        factory,
        factory=True,
        host=listen.bind_host,
        port=listen.bind_port,
        workers=listen.workers,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_worker_healthcheck=WORKER_PATIENCE_S,
    )
