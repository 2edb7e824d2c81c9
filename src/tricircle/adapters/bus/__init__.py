"""The message bus: a bell to ring and a listener that hears it, or silence without a broker.

oslo.messaging costs memory and time to load. It is loaded only where a program
opens one of these and ``transport_url`` is configured.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tricircle.adapters.config import Settings
from tricircle.interfaces.bus import Bell


class SilentBell:
    """``interfaces.bus.Bell`` without a bus: workers find jobs when they look for them."""

    def ring(self, job_id: str, request_id: str) -> None:
        """Tell nobody."""


@asynccontextmanager
async def open_bell(settings: Settings) -> AsyncIterator[Bell]:
    """Yield the bell of a program; closing takes 2 s at most.

    Raises ConfigError when there is a ``transport_url`` that cannot be used.
    """
    if settings.transport_url is None:
        yield SilentBell()
        return
    from tricircle.adapters.bus.rpc_bell import RpcBell

    bell = RpcBell(settings)
    try:
        yield bell
    finally:
        await asyncio.to_thread(bell.close)


@asynccontextmanager
async def open_listener(
    settings: Settings, server_name: str, on_ring: Callable[[str], None]
) -> AsyncIterator[None]:
    """Call ``on_ring(job_id)`` in this event loop for each ring that this worker is given.

    Does nothing when no ``transport_url`` is configured. The broker may come and go;
    closing takes 5 s at most. For each ``server_name`` the broker keeps a queue for
    ever: let it be the host's name, for all its processes, and never hold a pid.
    Raises ConfigError when there is a ``transport_url`` that cannot be used.
    """
    if settings.transport_url is None:
        yield
        return
    from tricircle.adapters.bus.rpc_listener import RpcListener

    listener = RpcListener(settings, server_name, on_ring)
    try:
        yield
    finally:
        await asyncio.to_thread(listener.close)
