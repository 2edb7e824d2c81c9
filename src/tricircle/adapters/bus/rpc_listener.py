"""The listener that hears the bell over the message bus."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from tricircle.adapters.bus import rpc
from tricircle.adapters.config import Settings
from tricircle.adapters.log import set_request_id

log = logging.getLogger(__name__)

CLOSE_S = 4.0
PAUSE_S = 30.0
WAKE_S = 1.0


class RpcListener:
    """Calls back in an event loop for each ring that this worker is given.

    Starting and stopping wait for the broker, without end when it is away; a thread
    does both.
    """

    def __init__(
        self, settings: Settings, server_name: str, on_ring: Callable[[str], None]
    ) -> None:
        """Listen for the running event loop. Raises ConfigError as ``rpc.Hearer``."""
        self._loop, self._on_ring = asyncio.get_running_loop(), on_ring
        self._hearer = rpc.Hearer(settings, server_name, self)
        self._caller = rpc.Caller(settings)
        self._closing, self._awake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="bell-listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hear no more; wait until the broker knows, for 4 s at most."""
        self._closing.set()
        self._thread.join(CLOSE_S)

    def work_arrived(self, context: dict[str, str], job_id: str) -> None:
        """Tell the event loop of a job."""
        if self._closing.is_set():
            return
        set_request_id(str(context.get("request_id")))
        with suppress(RuntimeError):  # the loop has ended in the meantime
            self._loop.call_soon_threadsafe(self._on_ring, str(job_id))

    def wake(self, context: dict[str, str]) -> None:
        """Take note that a message came through."""
        if self._closing.is_set():
            self._awake.set()

    def _run(self) -> None:
        if self._start():
            self._closing.wait()
            self._wake_up()
        with suppress(rpc.BrokerAway):
            self._hearer.stop()

    def _start(self) -> bool:
        """Return whether this listens; it does not when it is closed before it could."""
        while not self._closing.is_set():
            try:
                self._hearer.start()
            except rpc.BrokerAway as error:
                log.error("broker refuses a listener", extra={"reason": str(error)})
                self._closing.wait(PAUSE_S)
            else:
                return True
        return False

    def _wake_up(self) -> None:
        """Have all servers told something: an idle one looks every 5 s only whether to stop."""
        with suppress(rpc.BrokerAway):
            self._caller.cast_to_all("wake", "-")
            self._awake.wait(WAKE_S)
        self._caller.close()
