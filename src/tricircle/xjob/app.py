"""What a job worker answers over HTTP: that it lives, and its metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping

from tricircle.core.errors import TricircleError
from tricircle.xjob.metrics import Metrics

Scope = MutableMapping[str, object]
Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_TEXT = "text/plain; charset=utf-8"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class XjobApp:
    """``GET /healthcheck`` and ``GET /metrics``, as an ASGI application."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever else is asked is not found."""
        status, media_type, body = await self._answer(scope)
        headers = [
            (b"content-type", media_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope) -> tuple[int, str, bytes]:
        path = scope["path"]
        if path not in ("/healthcheck", "/metrics"):
            return 404, _TEXT, b"there are /healthcheck and /metrics only\n"
        if scope["method"] not in ("GET", "HEAD"):
            return 405, _TEXT, b"GET is the only method here\n"
        if path == "/healthcheck":
            return 200, _TEXT, b"OK"
        try:
            return 200, _PROMETHEUS, await self._metrics.write()
        except TricircleError as error:
            return 503, _TEXT, f"{error}\n".encode()
