"""Which pods are dead, known before a request has to find out.

Dead and slow are two things. A pod is dead when it refuses connections or stays
silent for the whole deadline while it is asked for its version document; a pod
that says anything at all, to any request, is alive. Nobody waits for a dead one,
and those who are waiting when it is found dead are released at once.

Probes are not sent on a fixed beat: an answer to ordinary traffic proves life for
nothing, so an idle pod is asked now and then, and a pod that keeps a request
waiting is asked so often that its death is noticed within the deadline.
"""

from __future__ import annotations

import asyncio
import enum
import errno
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Protocol

from tricircle.adapters.cloud.pool import Origin, Pool
from tricircle.core.model import PodId, Service
from tricircle.interfaces.clock import Clock

_LOG = logging.getLogger(__name__)

_OUR_ERRORS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL}
)
_JITTER = 0.2
_SILENCES_PER_DEADLINE = 4
_TICKS_PER_DEADLINE = 8


class Waiter(Protocol):
    """Somebody who waits for a pod and can be told that it died."""

    def release(self) -> None:
        """Stop waiting; may be called more than once."""
        ...


@dataclass(slots=True)
class Counters:
    """What happened to one service of one pod since the program started."""

    requests: int = 0
    refused_as_dead: int = 0
    connect_errors: int = 0
    timeouts: int = 0
    misbehaved: int = 0
    probes: int = 0
    failed_probes: int = 0
    deaths: int = 0


@dataclass(slots=True, eq=False)
class PodService:
    """One service of one pod as this process sees it.

    ``url`` is the endpoint's; ``origin`` are its parts and ``pool`` its connections,
    None when it is no URL. ``always_probed`` tells whether it is probed while nobody
    uses it. All times are the clock's.
    """

    pod_id: PodId
    pod_name: str
    service: Service
    url: str
    tls: SSLContext | None = None
    origin: Origin | None = None
    pool: Pool | None = None
    always_probed: bool = False
    dead: bool = False
    heard_s: float = 0.0
    next_probe_s: float = 0.0
    failures_in_a_row: int = 0
    waiters: dict[Waiter, float] = field(default_factory=dict)
    counters: Counters = field(default_factory=Counters)

    def start_waiting(self, waiter: Waiter, now_s: float) -> None:
        """Count ``waiter`` among those who hear nothing from the pod at the moment."""
        self.waiters[waiter] = now_s

    def stop_waiting(self, waiter: Waiter) -> None:
        """Count ``waiter`` no more."""
        self.waiters.pop(waiter, None)

    def note_answer(self, now_s: float) -> None:
        """Remember that the pod said something."""
        self.heard_s = now_s


class Reason(enum.Enum):
    """Why a service is to be probed now."""

    SILENT = enum.auto()
    DUE = enum.auto()


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often to probe. ``deadline_s`` is also how long a pod may stay silent."""

    deadline_s: float = 2.0
    interval_s: float = 5.0

    def find_reason(self, service: PodService, now_s: float) -> Reason | None:
        """Return why ``service`` must be probed now, if it must."""
        if service.dead:
            return Reason.DUE if now_s >= service.next_probe_s else None
        silent_since_s = find_silence(service)
        if silent_since_s is not None:
            patience_s = self.deadline_s / _SILENCES_PER_DEADLINE
            return Reason.SILENT if now_s - silent_since_s >= patience_s else None
        if service.always_probed and now_s >= service.next_probe_s:
            return Reason.DUE
        return None

    def allow_s(self, service: PodService, now_s: float) -> float:
        """Return how long the probe may take: what is left of the deadline while some wait."""
        silent_since_s = find_silence(service)
        if silent_since_s is None or service.dead:
            return self.deadline_s
        # Never less than half: a loop that was late must not make the pod dead.
        return max(silent_since_s + self.deadline_s - now_s, self.deadline_s / 2)

    def pause_s(self, service: PodService) -> float:
        """Return the time to the next probe: short after a death, then longer and longer."""
        if not service.dead:
            return self.interval_s
        first_s = self.deadline_s / _SILENCES_PER_DEADLINE
        return float(min(self.interval_s, first_s * 2 ** min(service.failures_in_a_row, 16)))


def find_silence(service: PodService) -> float | None:
    """Return since when the pod has said nothing although somebody waits for it."""
    oldest_s = next(iter(service.waiters.values()), None)
    return None if oldest_s is None else max(oldest_s, service.heard_s)


def is_ours(error: OSError) -> bool:
    """Tell whether a connection failed for want of something here: no sign of a dead pod."""
    return error.errno in _OUR_ERRORS


class PodWatch:
    """Probes the services of all pods and keeps who is dead."""

    def __init__(
        self,
        probe: Callable[[PodService], Awaitable[bool]],
        rhythm: Rhythm,
        clock: Clock,
    ) -> None:
        """``probe`` asks once and tells whether the answer was one of a living service.

        It raises OSError when the pod cannot be reached; it need not bound its time.
        """
        self._probe = probe
        self._rhythm = rhythm
        self._clock = clock
        self._services: dict[tuple[PodId, Service], PodService] = {}
        self._probes: dict[PodService, asyncio.Task[None]] = {}
        self._ticker: asyncio.Task[None] | None = None

    def now_s(self) -> float:
        """Return the time by which ``PodService`` counts."""
        return self._clock.now_s()

    def replace_services(self, services: Iterable[PodService]) -> None:
        """Watch these from now on; one that was known at the same URL keeps its state."""
        known = self._services
        self._services = {}
        for service in services:
            old = known.get((service.pod_id, service.service))
            if old is not None and (old.url, old.tls) == (service.url, service.tls):
                old.pod_name = service.pod_name
                service = old
            else:
                service.next_probe_s = self._clock.now_s() + self._vary(0.0)
            self._services[service.pod_id, service.service] = service
        for service in set(self._probes) - set(self._services.values()):
            self._probes.pop(service).cancel()

    def find_service(self, pod_id: PodId, service: Service) -> PodService | None:
        """Return what is known of a pod's service, if it is watched."""
        return self._services.get((pod_id, service))

    def list_services(self) -> list[PodService]:
        """Return all that is watched."""
        return list(self._services.values())

    def start(self) -> None:
        """Begin to probe, in a task of the running loop."""
        if self._ticker is None:
            self._ticker = asyncio.create_task(self._tick_for_ever(), name="pod-watch")

    async def stop(self) -> None:
        """Probe no more."""
        tasks = [task for task in (self._ticker, *self._probes.values()) if task is not None]
        self._ticker = None
        self._probes = {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def note_refused(self, service: PodService) -> None:
        """Count the service as dead at once: it took no connection."""
        self._note_failure(service, "refused")

    async def _tick_for_ever(self) -> None:
        tick_s = self._rhythm.deadline_s / _TICKS_PER_DEADLINE
        while True:
            self._start_probes(self._clock.now_s())
            await self._clock.sleep(tick_s)

    def _start_probes(self, now_s: float) -> None:
        for service in self._services.values():
            if service in self._probes:
                continue
            reason = self._rhythm.find_reason(service, now_s)
            if reason is None:
                continue
            if reason is Reason.DUE and not service.dead and self._is_fresh(service, now_s):
                service.next_probe_s = service.heard_s + self._vary(self._rhythm.interval_s)
                continue
            self._start_probe(service, self._rhythm.allow_s(service, now_s))

    def _is_fresh(self, service: PodService, now_s: float) -> bool:
        """Tell whether ordinary traffic has proved life lately, so that no probe is needed."""
        return 0 < now_s - service.heard_s < self._rhythm.interval_s / 2

    def _start_probe(self, service: PodService, allowed_s: float) -> None:
        task = asyncio.create_task(self._probe_once(service, allowed_s), name="pod-probe")
        self._probes[service] = task
        task.add_done_callback(lambda _: self._probes.pop(service, None))

    async def _probe_once(self, service: PodService, allowed_s: float) -> None:
        service.counters.probes += 1
        started_s = self._clock.now_s()
        try:
            alive = await self._ask(service, allowed_s)
        except OSError as error:
            if is_ours(error):
                service.next_probe_s = self._clock.now_s() + self._vary(self._rhythm.interval_s)
                return
            service.counters.failed_probes += 1
            self._note_failure(service, "refused")
            return
        if alive:
            self._note_life(service)
        elif service.dead or service.heard_s <= started_s:
            service.counters.failed_probes += 1
            self._note_failure(service, "no good answer within the deadline")
        else:
            # It answered others while the probe waited: busy, not dead.
            service.next_probe_s = self._clock.now_s() + self._vary(self._rhythm.interval_s)

    async def _ask(self, service: PodService, allowed_s: float) -> bool:
        """Return whether the probe was answered well in time, by the watch's own clock."""
        asking = asyncio.ensure_future(self._probe(service))
        expiring = asyncio.ensure_future(self._clock.sleep(allowed_s))
        try:
            await asyncio.wait((asking, expiring), return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else False
        finally:
            for task in (asking, expiring):
                task.cancel()
            await asyncio.wait((asking, expiring))

    def _note_life(self, service: PodService) -> None:
        now_s = self._clock.now_s()
        service.note_answer(now_s)
        service.failures_in_a_row = 0
        if service.dead:
            service.dead = False
            _LOG.warning("pod answers again", extra=_facts(service))
        service.next_probe_s = now_s + self._vary(self._rhythm.pause_s(service))

    def _note_failure(self, service: PodService, reason: str) -> None:
        if not service.dead:
            service.dead = True
            service.counters.deaths += 1
            _LOG.warning("pod is dead", extra={**_facts(service), "reason": reason})
        service.next_probe_s = self._clock.now_s() + self._vary(self._rhythm.pause_s(service))
        service.failures_in_a_row += 1
        for waiter in list(service.waiters):
            waiter.release()

    def _vary(self, seconds: float) -> float:
        """Return ``seconds`` more or less a fifth, so that workers do not probe in step."""
        return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 (no secret)


def _facts(service: PodService) -> dict[str, str]:
    return {
        "pod": service.pod_name,
        "pod_id": service.pod_id,
        "service": service.service,
        "url": service.url,
    }
