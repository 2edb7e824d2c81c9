"""Workers on a store in memory, in a time that only tests move."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tricircle.core.errors import ServiceUnavailable
from tricircle.core.jobs import Job, JobRequest, ReleaseServer
from tricircle.core.model import Pod, PodId, ProjectId, TopId
from tricircle.core.runs import (
    Ending,
    Errand,
    JobId,
    JobRecord,
    LeaseToken,
    Outcome,
    RetryRules,
    Succeeded,
)
from tricircle.interfaces.jobs import ClaimAsk, Claimed, JobFilter, JobQueue
from tricircle.testing.clock import FakeClock
from tricircle.testing.store import MemoryStores
from tricircle.xjob.kinds import by_name, kind
from tricircle.xjob.worker import Worker, WorkerOptions

EAST, WEST = PodId("east"), PodId("west")
REQUEST_ID = "req-11111111-1111-1111-1111-111111111111"
RULES = RetryRules(max_attempts=3, first_s=1, longest_s=8, pod_first_s=1, pod_longest_s=4)
_START = datetime(2026, 1, 1, tzinfo=UTC)

Handler = Callable[[ReleaseServer, Errand], Awaitable[Outcome]]


def release(server: str, pod_id: PodId = EAST) -> ReleaseServer:
    """Return a job, told apart by ``server``."""
    return ReleaseServer(pod_id, TopId(server), ProjectId("demo"))


@dataclass
class Meter:
    """Keeps what was counted."""

    ended: list[tuple[str, str]] = field(default_factory=list)

    def end(self, job: Job, outcome: Outcome, seconds: float) -> None:
        self.ended.append((job.kind, type(outcome).__name__))


@dataclass
class Line:
    """A worker's line to the store, which a test may cut."""

    queue: JobQueue
    cut: bool = False
    broken: bool = False

    async def claim_jobs(self, ask: ClaimAsk) -> Claimed:
        return await self._line().claim_jobs(ask)

    async def renew_leases(
        self, tokens: Collection[LeaseToken], lease_s: float
    ) -> Collection[JobId]:
        return await self._line().renew_leases(tokens, lease_s)

    async def finish_runs(self, endings: Sequence[Ending]) -> Collection[JobId]:
        return await self._line().finish_runs(endings)

    async def recover_jobs(self, rules: RetryRules) -> int:
        return await self._line().recover_jobs(rules)

    def _line(self) -> JobQueue:
        if self.broken:
            raise ValueError("a defect")
        if self.cut:
            raise ServiceUnavailable("the database does not answer; please retry")
        return self.queue


@dataclass
class World:
    """A store, a clock, and what the workers' handler is to do."""

    clock: FakeClock = field(default_factory=FakeClock)
    dead: set[PodId] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)
    meter: Meter = field(default_factory=Meter)
    kind_timeout_s: float | None = None

    def __post_init__(self) -> None:
        self.stores = MemoryStores(lambda: _START + timedelta(seconds=self.clock.now_s()))
        self._numbers = itertools.count(1)

    async def add_pods(self) -> None:
        for pod in (EAST, WEST):
            await self.stores.pods.add_pod(Pod(pod, pod, pod))

    def line(self) -> Line:
        """Return a new line to the store."""
        return Line(self.stores.queue)

    def worker(
        self, handler: Handler, name: str = "one", line: Line | None = None, **options: object
    ) -> Worker:
        wanted = replace(
            WorkerOptions(name, poll_interval_s=1, lease_s=30, job_timeout_s=300, rules=RULES),
            **options,  # type: ignore[arg-type]
        )
        return Worker(
            line or self.stores.queue,
            by_name(kind(ReleaseServer, handler, timeout_s=self.kind_timeout_s)),
            self.dead.__contains__,
            self.clock,
            wanted,
            lambda: str(next(self._numbers)),
            self.meter,
        )

    @asynccontextmanager
    async def working(
        self, handler: Handler, name: str = "one", line: Line | None = None, **options: object
    ) -> AsyncIterator[Worker]:
        """Have a worker at work inside, and stopped at the end."""
        worker = self.worker(handler, name, line, **options)
        worker.start()
        try:
            yield worker
        finally:
            stopping = asyncio.create_task(worker.stop(grace_s=5))
            while not stopping.done():
                await self.clock.advance(1)

    async def submit(self, *jobs: Job) -> list[JobId]:
        requests = [JobRequest(job, REQUEST_ID) for job in jobs]
        return list(await self.stores.desk.submit_jobs(requests))

    async def record(self, job: Job) -> JobRecord:
        """Return the newest job like this one, with its events."""
        for record in await self.stores.records.list_jobs(JobFilter(), 1000):
            if record.job == job:
                return await self.stores.records.get_job(record.id)
        raise AssertionError(f"no job {job}")

    async def count(self, job: ReleaseServer, errand: Errand) -> Outcome:
        """Handle a job by counting it."""
        self.done[job.server_id] += 1
        return Succeeded()
