"""The bell that rings over the message bus."""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from tricircle.adapters.bus import rpc
from tricircle.adapters.config import Settings
from tricircle.adapters.log import set_request_id

log = logging.getLogger(__name__)

CLOSE_S = 2.0
PAUSE_S = 1.0
QUEUED_RINGS = 256


@dataclass(frozen=True, slots=True)
class _Ring:
    job_id: str
    request_id: str


class RpcBell:
    """``interfaces.bus.Bell`` as an RPC cast, for one event loop or thread.

    A cast waits for the broker, for seconds when it is away. So that whoever rings
    need not, a thread casts what was put in a short queue. What is in there when the
    broker proves to be away is dropped: until it is back, polls have found the jobs.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError when ``transport_url`` cannot be used."""
        self._caller = rpc.Caller(settings)
        self._rings: queue.Queue[_Ring | None] = queue.Queue(QUEUED_RINGS)
        self._closing = threading.Event()
        self._refused = 0  # counted by ring() alone; all that follows is the thread's
        self._refused_before = self._dropped = 0
        self._is_away = False
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
        self._thread.start()

    def ring(self, job_id: str, request_id: str) -> None:
        """Tell some worker that there is work, if the broker is there now."""
        try:
            self._rings.put_nowait(_Ring(job_id, request_id))
        except queue.Full:
            self._refused += 1

    def close(self) -> None:
        """Send what was rung, for 2 s at most, and ring no more."""
        until_s = time.monotonic() + CLOSE_S
        self._closing.set()
        with suppress(queue.Full):
            self._rings.put(None, timeout=CLOSE_S)
        self._thread.join(until_s - time.monotonic())

    def _run(self) -> None:
        while (ring := self._rings.get()) is not None:
            set_request_id(ring.request_id)
            try:
                self._send(ring)
            except rpc.BrokerAway as error:
                self._note_absence(str(error))
            else:
                self._note_presence()
        self._caller.close()

    def _send(self, ring: _Ring) -> None:
        try:
            self._cast(ring)
        except rpc.BrokerAway:
            # It may have gone and come back since the last ring.
            self._caller.hang_up()
            self._cast(ring)

    def _cast(self, ring: _Ring) -> None:
        self._caller.cast("work_arrived", ring.request_id, job_id=ring.job_id)

    def _note_absence(self, reason: str) -> None:
        if not self._is_away:
            log.warning(
                "broker takes no rings, workers find jobs when they look", extra={"reason": reason}
            )
        self._is_away = True
        self._dropped += 1
        self._caller.hang_up()
        self._closing.wait(PAUSE_S)
        self._drop_waiting()

    def _drop_waiting(self) -> None:
        with suppress(queue.Empty):
            while self._rings.get_nowait() is not None:
                self._dropped += 1
            self._rings.put_nowait(None)  # what ends the thread

    def _note_presence(self) -> None:
        if not self._is_away:
            return
        self._is_away = False
        refused = self._refused
        lost = self._dropped + refused - self._refused_before
        self._dropped, self._refused_before = 0, refused
        log.info("broker takes rings again", extra={"lost": lost})
