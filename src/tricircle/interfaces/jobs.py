"""What the database must promise of jobs; the same rules as in ``interfaces.store``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from tricircle.core.jobs import JobRequest
from tricircle.core.model import PodId, ProjectId
from tricircle.core.runs import Ending, JobId, JobRecord, JobState, LeaseToken, RetryRules, Run


class JobDesk(Protocol):
    """Takes requests for jobs, from whoever has some."""

    async def submit_jobs(self, requests: Sequence[JobRequest]) -> Sequence[JobId]:
        """Keep requests, all or none; return the job that serves each, in order.

        A request for what is new, running or failed already raises that job's
        generation instead of making another; a failed one is new again. Raises
        NotFound for an unknown pod, BadInput for text that cannot be kept.
        """
        ...

    async def ensure_jobs(self, requests: Sequence[JobRequest]) -> int:
        """Keep those requests that no live job serves yet; return how many.

        Nothing else changes, so this may be repeated as often as one likes. What is
        about a pod that is gone is left out.
        """
        ...


@dataclass(frozen=True, slots=True)
class ClaimAsk:
    """What a worker can take on: ``limit`` jobs in all, ``room`` of each pod.

    ``rooms`` are the pods of which it can take fewer. ``kinds`` are those that this
    release knows. ``token`` is new for each ask.
    """

    worker: str
    token: LeaseToken
    limit: int
    lease_s: float
    kinds: Collection[str]
    room: int
    rooms: Mapping[PodId, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a worker was given. When that is something, there may be more.

    ``next_due_s`` is in how many seconds the next waiting job may begin, None when
    none is known.
    """

    runs: Sequence[Run]
    next_due_s: float | None


class JobQueue(Protocol):
    """Hands jobs to workers, each to one at a time."""

    async def claim_jobs(self, ask: ClaimAsk) -> Claimed:
        """Give the worker jobs that are due, oldest first, under a lease of its own.

        Jobs of a pod that does not answer are held back; when its pause is over, one
        is given to try. Never waits for another worker's claim.
        """
        ...

    async def renew_leases(
        self, tokens: Collection[LeaseToken], lease_s: float
    ) -> Collection[JobId]:
        """Extend the leases under these tokens; return the jobs still held by them."""
        ...

    async def finish_runs(self, endings: Sequence[Ending]) -> Collection[JobId]:
        """Carry out ``core.runs.decide`` for each run; return the jobs whose lease was ours.

        Nothing changes for a run whose lease somebody else has by now.
        """
        ...

    async def recover_jobs(self, rules: RetryRules) -> int:
        """Take jobs from workers whose lease has run out; return how many."""
        ...


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are asked for; None leaves a condition out. ``key`` is ``core.jobs.job_key``."""

    kind: str | None = None
    state: JobState | None = None
    pod_id: PodId | None = None
    project_id: ProjectId | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class JobCount:
    """How many jobs of a kind and pod are in a state.

    Of ``NEW`` only those that are due are counted; ``oldest_s`` is for how long the
    oldest of them has been due, or has been running or failed.
    """

    kind: str
    pod_id: PodId | None
    state: JobState
    count: int
    oldest_s: float


class JobRecords(Protocol):
    """The jobs as operators and tenants see them."""

    async def list_jobs(
        self, wanted: JobFilter, limit: int, after: tuple[datetime, JobId] | None = None
    ) -> Sequence[JobRecord]:
        """Return jobs without their events, newest first, after a creation time and id."""
        ...

    async def get_job(self, job_id: JobId) -> JobRecord:
        """Return a job with its events, oldest first. Raises NotFound."""
        ...

    async def redo_job(self, job_id: JobId, who: str, request_id: str) -> JobRecord:
        """Have a job done again, now and with all its attempts; return it.

        One that has ended is asked for anew, and the job that then serves it is
        returned. Raises NotFound.
        """
        ...

    async def cancel_job(self, job_id: JobId, who: str) -> JobRecord:
        """Give a job up; return it. Who runs it can no longer finish it.

        Raises NotFound; Conflict when it has ended already.
        """
        ...

    async def count_jobs(self) -> Sequence[JobCount]:
        """Return what waits, runs and has failed, by kind, pod and state."""
        ...

    async def purge_jobs(self, ended_before_s: float) -> int:
        """Delete jobs that ended that long ago, with their events; return how many.

        Events that old of other jobs go too.
        """
        ...
