"""The loop of a worker: claim, carry out, renew, finish.

Nothing is kept here that the database does not know. A worker that dies, or is cut
off from the database, loses its leases, and others do its jobs.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from tricircle.adapters.log import set_request_id
from tricircle.core.errors import (
    PodDead,
    PodError,
    PodTimeout,
    ServiceUnavailable,
    TricircleError,
    TwinBusy,
)
from tricircle.core.jobs import Job, pod_of
from tricircle.core.model import PodId
from tricircle.core.runs import (
    Ending,
    Errand,
    HandedBack,
    JobId,
    LeaseToken,
    NotYet,
    Outcome,
    PodAway,
    Postponed,
    RetryRules,
    Run,
    Succeeded,
    Unsuccessful,
)
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.jobs import ClaimAsk, JobQueue
from tricircle.xjob.kinds import Kind

log = logging.getLogger(__name__)

T = TypeVar("T")

CLAIM_LIMIT = 50
"""Jobs that one claim takes at most, so that several workers share a burst."""

RENEWALS_PER_LEASE = 3
LEASE_MARGIN = 0.1
"""The part of a lease before its end at which a worker that cannot renew it gives up."""

POSTPONED_S = 10.0
"""Seconds until a job is tried again that lacked something other than its pod."""

FINISH_PAUSE_S = 0.5


class Meter(Protocol):
    """Counts what a worker does."""

    def end(self, job: Job, outcome: Outcome, seconds: float) -> None:
        """Count a run that is over, and how long it took."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What bounds a worker; times are in seconds, ``concurrency`` counts jobs."""

    name: str
    concurrency: int = 64
    concurrency_per_pod: int = 16
    poll_interval_s: float = 1.0
    lease_s: float = 60.0
    job_timeout_s: float = 300.0
    rules: RetryRules = field(default_factory=RetryRules)


@dataclass(slots=True, eq=False)
class _Active:
    """A job that this worker has: its run, its task, until when its lease surely holds."""

    run: Run
    safe_until_s: float
    task: asyncio.Task[None] | None = None
    ending: Ending | None = None


@dataclass(slots=True)
class _State:
    active: dict[JobId, _Active] = field(default_factory=dict)
    finished: list[_Active] = field(default_factory=list)
    stopping: bool = False
    handing_back: bool = False
    closing: bool = False


class Worker:
    """Carries out jobs until it is stopped."""

    def __init__(
        self,
        queue: JobQueue,
        kinds: Mapping[str, Kind],
        is_dead: Callable[[PodId], bool],
        clock: Clock,
        options: WorkerOptions,
        new_id: Callable[[], str],
        meter: Meter,
    ) -> None:
        """``is_dead`` tells of a pod whether it is known not to answer now."""
        self._queue, self._kinds, self._is_dead = queue, kinds, is_dead
        self._clock, self._options, self._new_id = clock, options, new_id
        self._meter = meter
        self._state = _State()
        self._woken = asyncio.Event()
        self._ready = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    @property
    def name(self) -> str:
        """Return the name under which this worker is shown."""
        return self._options.name

    def wake(self) -> None:
        """Look for work now, not at the next poll."""
        self._woken.set()

    def start(self) -> None:
        """Begin to take jobs, in tasks of the running loop."""
        loops: list[Coroutine[None, None, None]] = [
            self._claim_until_stopped(),
            self._renew_for_ever(),
            self._recover_for_ever(),
            self._finish_until_closed(),
        ]
        self._loops = [asyncio.create_task(loop) for loop in loops]
        log.info("worker started", extra={"worker": self.name})

    async def stop(self, grace_s: float) -> None:
        """Take no more jobs; finish those under way within ``grace_s``, hand back the rest."""
        claiming, renewing, recovering, finishing = self._loops
        # a claim under way is not cut off: what it was given would wait for its lease
        self._state.stopping = True
        self.wake()
        await asyncio.wait((claiming,))
        await self._wait_for_tasks(grace_s)
        self._state.handing_back = True
        for task in self._tasks():
            task.cancel()
        await self._wait_for_tasks(grace_s)
        self._state.closing = True
        self._ready.set()
        await asyncio.wait((finishing,), timeout=grace_s)
        await _cancel(renewing, recovering, finishing)
        log.info("worker stopped", extra={"worker": self.name})

    async def _wait_for_tasks(self, grace_s: float) -> None:
        tasks = self._tasks()
        if tasks:
            alarm = asyncio.ensure_future(self._clock.sleep(grace_s))
            over = asyncio.ensure_future(asyncio.wait(tasks))
            await asyncio.wait((alarm, over), return_when=asyncio.FIRST_COMPLETED)
            await _cancel(alarm, over)

    def _tasks(self) -> list[asyncio.Task[None]]:
        tasks = [active.task for active in self._state.active.values()]
        return [task for task in tasks if task is not None and not task.done()]

    # Claiming.

    async def _claim_until_stopped(self) -> None:
        while not self._state.stopping:
            self._woken.clear()
            wait_s = await self._try("claim jobs", self._claim_once, self._options.poll_interval_s)
            if wait_s > 0:
                await self._wait_for_bell(wait_s)

    async def _try(self, what: str, step: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """Return what a step of a loop returns; a loop goes on whatever becomes of one step."""
        try:
            return await step()
        except TricircleError as error:
            log.warning("tried again soon", extra={"step": what, "reason": str(error)})
        except Exception:
            log.exception("tried again soon", extra={"step": what})
        return otherwise

    async def _claim_once(self) -> float:
        """Claim as many jobs as there is room for; return after how long to look again."""
        options, active = self._options, self._state.active
        free = options.concurrency - len(active)
        if free <= 0:
            return options.poll_interval_s
        ask = self._make_ask(min(free, CLAIM_LIMIT))
        # before it is given: the lease cannot end earlier than counted from here
        asked_s = self._clock.now_s()
        claimed = await self._queue.claim_jobs(ask)
        for run in claimed.runs:
            self._begin(run, asked_s + options.lease_s)
        if claimed.runs:
            return 0.0
        wait_s = options.poll_interval_s
        if claimed.next_due_s is not None:
            wait_s = min(wait_s, max(claimed.next_due_s, 0.001))
        return wait_s

    def _make_ask(self, limit: int) -> ClaimAsk:
        options = self._options
        busy = Counter(pod_of(active.run.job) for active in self._state.active.values())
        rooms = {
            pod_id: options.concurrency_per_pod - count
            for pod_id, count in busy.items()
            if pod_id is not None
        }
        return ClaimAsk(
            worker=options.name,
            token=LeaseToken(f"{options.name}/{self._new_id()}"),
            limit=limit,
            lease_s=options.lease_s,
            kinds=self._kinds.keys(),
            room=options.concurrency_per_pod,
            rooms=rooms,
        )

    async def _wait_for_bell(self, seconds: float) -> None:
        bell = asyncio.ensure_future(self._woken.wait())
        alarm = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((bell, alarm), return_when=asyncio.FIRST_COMPLETED)
        finally:
            bell.cancel()
            alarm.cancel()

    # Carrying out.

    def _begin(self, run: Run, safe_until_s: float) -> None:
        active = _Active(run, safe_until_s)
        self._state.active[run.job_id] = active
        active.task = asyncio.create_task(self._carry_out(active))

    async def _carry_out(self, active: _Active) -> None:
        run = active.run
        set_request_id(run.request_id)
        started_s = self._clock.now_s()
        try:
            outcome = await self._run_handler(run)
        except asyncio.CancelledError:
            if not self._state.handing_back:
                # the lease is lost: whoever has it now says what becomes of the job
                self._forget(active)
                raise
            outcome = HandedBack("the worker was stopped")
        seconds = self._clock.now_s() - started_s
        self._meter.end(run.job, outcome, seconds)
        _log_end(run, outcome, seconds)
        active.ending = Ending(run, outcome, self._options.rules, random.random())  # noqa: S311
        self._state.finished.append(active)
        self._ready.set()

    async def _run_handler(self, run: Run) -> Outcome:
        kind = self._kinds[run.job.kind]
        limit_s = kind.timeout_s or self._options.job_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                outcome = await kind.run(run.job, Errand(run.request_id, run.attempt))
        except TimeoutError:
            outcome = Unsuccessful(f"took longer than {limit_s:g} s; see [xjob] job_timeout_s")
        except TricircleError as error:
            outcome = explain(error, run.job, self._is_dead)
        except Exception as error:
            log.exception("a job failed unexpectedly", extra=_facts(run))
            outcome = Unsuccessful(f"a defect: {type(error).__name__}; the log has the details")
        return repeated(outcome, kind.every_s)

    def _forget(self, active: _Active) -> None:
        if self._state.active.get(active.run.job_id) is active:
            del self._state.active[active.run.job_id]

    # Finishing.

    async def _finish_until_closed(self) -> None:
        while self._state.finished or not self._state.closing:
            await self._ready.wait()
            # tried again as long as the leases hold, which are renewed meanwhile
            if not await self._try("keep what came of jobs", self._finish_once, otherwise=False):
                await self._clock.sleep(FINISH_PAUSE_S)

    async def _finish_once(self) -> bool:
        """Keep what came of all runs that are over; what fails is kept next time."""
        self._ready.clear()
        batch, self._state.finished = self._state.finished, []
        if not batch:
            return True
        endings = [active.ending for active in batch if active.ending is not None]
        try:
            kept = await self._queue.finish_runs(endings)
        except BaseException:
            still_ours = [one for one in batch if one.run.job_id in self._state.active]
            self._state.finished = [*still_ours, *self._state.finished]
            self._ready.set()
            raise
        for active in batch:
            if active.run.job_id not in kept:
                log.warning("lease lost before the end", extra=_facts(active.run))
            self._forget(active)
        # there is room again, and what has just ended may be due again soon
        self.wake()
        return True

    # Leases.

    async def _renew_for_ever(self) -> None:
        while True:
            await self._clock.sleep(self._options.lease_s / RENEWALS_PER_LEASE)
            if not await self._try("renew leases", self._renew_once, otherwise=False):
                end_s = self._clock.now_s() + self._options.lease_s * LEASE_MARGIN
                active = self._state.active.values()
                self._give_up([one for one in active if one.safe_until_s <= end_s])

    async def _renew_once(self) -> bool:
        lease_s, asked_s = self._options.lease_s, self._clock.now_s()
        wanted = list(self._state.active.values())
        if not wanted:
            return True
        held = await self._queue.renew_leases({one.run.token for one in wanted}, lease_s)
        for active in wanted:
            if active.run.job_id in held:
                active.safe_until_s = asked_s + lease_s
        self._give_up([one for one in wanted if one.run.job_id not in held])
        return True

    def _give_up(self, lost: list[_Active]) -> None:
        for active in lost:
            if active.task is not None and not active.task.done():
                log.warning("lease lost", extra=_facts(active.run))
                active.task.cancel()

    async def _recover_for_ever(self) -> None:
        """Give the jobs of workers that died to those that live."""
        while True:
            pause_s = self._options.lease_s / RENEWALS_PER_LEASE
            await self._clock.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311
            await self._try("look for abandoned jobs", self._recover_once, None)

    async def _recover_once(self) -> None:
        recovered = await self._queue.recover_jobs(self._options.rules)
        if recovered:
            log.warning("jobs of dead workers taken back", extra={"jobs": recovered})
            self.wake()


def explain(error: TricircleError, job: Job, is_dead: Callable[[PodId], bool]) -> Outcome:
    """Return what a run comes to that ended in an error.

    All jobs of a pod wait for it when it is dead. When only one of its services is, or
    another pod that the job needs, the job alone is put off. A time-out of a pod that
    lives may be the job's own fault, and counts.
    """
    reason = str(error)
    match error:
        case PodDead() | PodTimeout() if error.pod_id == pod_of(job) and is_dead(error.pod_id):
            return PodAway(reason)
        case PodDead() | ServiceUnavailable() | TwinBusy():
            return Postponed(reason, POSTPONED_S)
        case PodError() | TricircleError():
            return Unsuccessful(reason)


def repeated(outcome: Outcome, every_s: float | None) -> Outcome:
    """Return the outcome of a kind that is repeated, or as it is with None."""
    if every_s is None:
        return outcome
    match outcome:
        case Succeeded():
            return Succeeded(outcome.note, every_s)
        case Unsuccessful():
            return Unsuccessful(outcome.reason, every_s)
        case _:
            return outcome


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _log_end(run: Run, outcome: Outcome, seconds: float) -> None:
    facts = {**_facts(run), "ms": round(seconds * 1000, 1)}
    match outcome:
        case Succeeded():
            log.info("job done", extra={**facts, "note": outcome.note})
        case Unsuccessful():
            log.warning("job failed", extra={**facts, "reason": outcome.reason})
        case Postponed() | NotYet() | PodAway() | HandedBack():
            log.info("job put off", extra={**facts, "reason": outcome.reason})


def _facts(run: Run) -> dict[str, object]:
    return {
        "job_id": run.job_id,
        "kind": run.job.kind,
        "pod_id": pod_of(run.job) or "",
        "attempt": run.attempt,
    }
