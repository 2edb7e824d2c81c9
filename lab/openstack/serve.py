"""Serves a stock WSGI application of an OpenStack project with cheroot."""

from __future__ import annotations

import importlib
import io
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

from cheroot import wsgi

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class KeptInput:
    """A request body that ignores close().

    Glance closes `wsgi.input` after an upload; cheroot still has to read the
    rest of the request from it and would answer the next one with 500.
    """

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Any:
        return iter(self._stream)

    def close(self) -> None:
        """Leave the stream open."""


def keep_input_open(application: Application) -> Application:
    """The same application, which can no longer close the connection's input."""

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.input"] = KeptInput(environ["wsgi.input"])
        return application(environ, start_response)

    return wrapped


def serve(module: str, listen: list[Any], threads: int) -> None:
    """Serve `module.application` on the address until SIGTERM."""
    application = importlib.import_module(module).application
    server = wsgi.Server(
        (listen[0], listen[1]),
        keep_input_open(application),
        numthreads=threads,
        max=threads,
        request_queue_size=128,
        timeout=75,
    )

    def stop(signum: int, frame: object) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    try:
        server.start()
    finally:
        server.stop()
