"""Jobs in memory; see ``testing.store``."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tricircle.core.conflicts import ended_job, unknown_job
from tricircle.core.errors import NotFound
from tricircle.core.jobs import KINDS, JobRequest, job_key, pod_of, project_of, read_fields
from tricircle.core.model import PodId
from tricircle.core.runs import (
    LIVE_STATES,
    Ending,
    JobEvent,
    JobId,
    JobRecord,
    JobState,
    LeaseToken,
    Move,
    NotYet,
    PodAway,
    RetryRules,
    Run,
    Succeeded,
    decide,
    decide_abandoned,
    pod_pause_s,
    take_within_rooms,
)
from tricircle.core.texts import require_storable
from tricircle.interfaces.jobs import ClaimAsk, Claimed, JobCount, JobFilter
from tricircle.testing.routing_store import Now, RequirePod


@dataclass(frozen=True, slots=True)
class Pause:
    """A pod that is left alone until then."""

    failures: int
    until: datetime


@dataclass(slots=True)
class JobTable:
    """All jobs, the leases of those that run, and the pods that did not answer."""

    jobs: dict[JobId, JobRecord] = field(default_factory=dict)
    leases: dict[JobId, tuple[LeaseToken, int]] = field(default_factory=dict)
    pauses: dict[PodId, Pause] = field(default_factory=dict)

    def find_live(self, key: str) -> JobRecord | None:
        """Return the job of a key that has not ended."""
        for record in self.jobs.values():
            if record.state in LIVE_STATES and job_key(record.job) == key:
                return record
        return None

    def put(self, record: JobRecord, event: JobEvent | None = None) -> JobRecord:
        """Insert or replace a job, with one more event."""
        events = record.events if event is None else (*record.events, event)
        self.jobs[record.id] = replace(record, events=events)
        return self.jobs[record.id]

    def forget_pod(self, pod_id: PodId) -> None:
        """Drop what goes with a pod that is deleted."""
        self.jobs = {key: one for key, one in self.jobs.items() if pod_of(one.job) != pod_id}
        self.pauses.pop(pod_id, None)


class MemoryJobDesk:
    """``interfaces.jobs.JobDesk`` in memory."""

    def __init__(self, table: JobTable, now: Now, require_pod: RequirePod) -> None:
        self._table, self._now, self._require_pod = table, now, require_pod

    async def submit_jobs(self, requests: Sequence[JobRequest]) -> Sequence[JobId]:
        """Keep requests, all or none; return the job that serves each, in order."""
        self._check(requests)
        for request in requests:
            pod_id = pod_of(request.job)
            if pod_id is not None:
                self._require_pod(pod_id)
        return [self._submit(request) for request in requests]

    async def ensure_jobs(self, requests: Sequence[JobRequest]) -> int:
        """Keep those requests that no live job serves yet; return how many."""
        self._check(requests)
        missing = [
            request
            for request in requests
            if self._table.find_live(job_key(request.job)) is None and self._has_pod(request)
        ]
        for request in missing:
            self._add(request, "scheduled")
        return len(missing)

    def _has_pod(self, request: JobRequest) -> bool:
        pod_id = pod_of(request.job)
        try:
            if pod_id is not None:
                self._require_pod(pod_id)
        except NotFound:
            return False
        return True

    def _submit(self, request: JobRequest) -> JobId:
        live = self._table.find_live(job_key(request.job))
        why = f"asked for by {request.request_id}"
        if live is None:
            return self._add(request, why)
        now = self._now()
        due_at = now + timedelta(seconds=request.wait_s)
        changed = replace(live, asked=live.asked + 1, request_id=request.request_id, updated_at=now)
        match live.state:
            case JobState.FAILED:
                changed = replace(changed, state=JobState.NEW, attempts=0, due_at=due_at)
                self._table.put(changed, JobEvent(JobState.NEW, now, "", why))
            case JobState.NEW:
                self._table.put(replace(changed, due_at=min(live.due_at, due_at)))
            case _:
                self._table.put(changed)
        return live.id

    def _add(self, request: JobRequest, why: str) -> JobId:
        now = self._now()
        record = JobRecord(
            id=JobId(str(uuid.uuid4())),
            job=request.job,
            state=JobState.NEW,
            request_id=request.request_id,
            asked=1,
            attempts=0,
            error="",
            worker="",
            created_at=now,
            updated_at=now,
            due_at=now + timedelta(seconds=request.wait_s),
            started_at=None,
            finished_at=None,
            lease_until=None,
        )
        return self._table.put(record, JobEvent(JobState.NEW, now, "", why)).id

    def _check(self, requests: Iterable[JobRequest]) -> None:
        for request in requests:
            if request.job.kind not in KINDS:
                raise NotFound(f"there is no kind of job '{request.job.kind}'")
            for name, value in read_fields(request.job).items():
                require_storable(f"field {name} of the job", value)
            require_storable("the id of the request", request.request_id)


class MemoryJobQueue:
    """``interfaces.jobs.JobQueue`` in memory."""

    def __init__(self, table: JobTable, now: Now) -> None:
        self._table, self._now = table, now

    async def claim_jobs(self, ask: ClaimAsk) -> Claimed:
        """Give the worker jobs that are due, oldest first, under a lease of its own."""
        now = self._now()
        rooms = {**ask.rooms}
        waits_s: list[float] = []
        for pod_id, pause in self._table.pauses.items():
            if pause.until > now:
                rooms[pod_id] = 0
                waits_s.append((pause.until - now).total_seconds())
            else:
                rooms[pod_id] = max(0, 1 - (ask.room - rooms.get(pod_id, ask.room)))
        closed = {pod_id for pod_id, room in rooms.items() if room <= 0}
        waiting = [
            record
            for record in self._table.jobs.values()
            if record.state is JobState.NEW
            and record.job.kind in ask.kinds
            and pod_of(record.job) not in closed
        ]
        waiting.sort(key=lambda record: record.due_at)
        due = [record for record in waiting if record.due_at <= now]
        if not due:
            waits_s += [(record.due_at - now).total_seconds() for record in waiting[:1]]
            return Claimed((), next_due_s=min(waits_s, default=None))
        pods = [(record.id, pod_of(record.job)) for record in due]
        taken = set(take_within_rooms(pods, rooms, ask.room))
        begun = [record for record in due if record.id in taken][: ask.limit]
        runs = [self._begin(record, ask) for record in begun]
        return Claimed(runs, next_due_s=None)

    def _begin(self, record: JobRecord, ask: ClaimAsk) -> Run:
        now = self._now()
        running = replace(
            record,
            state=JobState.RUNNING,
            worker=ask.worker,
            attempts=record.attempts + 1,
            started_at=now,
            updated_at=now,
            lease_until=now + timedelta(seconds=ask.lease_s),
        )
        event = JobEvent(JobState.RUNNING, now, ask.worker, "")
        self._table.put(running, None if record.job.quiet else event)
        self._table.leases[record.id] = (ask.token, record.asked)
        return Run(
            record.id, record.job, ask.token, running.attempts, record.asked, record.request_id
        )

    async def renew_leases(
        self, tokens: Collection[LeaseToken], lease_s: float
    ) -> Collection[JobId]:
        """Extend the leases under these tokens; return the jobs still held by them."""
        held = set()
        for record in list(self._table.jobs.values()):
            if self._token_of(record.id) in tokens:
                until = self._now() + timedelta(seconds=lease_s)
                self._table.put(replace(record, lease_until=until))
                held.add(record.id)
        return held

    async def finish_runs(self, endings: Sequence[Ending]) -> Collection[JobId]:
        """Carry out ``core.runs.decide`` for each run; return the jobs whose lease was ours."""
        ours = [one for one in endings if self._token_of(one.run.job_id) == one.run.token]
        away: dict[PodId, Ending] = {}
        answered: set[PodId] = set()
        for ending in ours:
            record = self._table.jobs[ending.run.job_id]
            move = decide(ending, record.asked)
            who = ending.run.token.partition("/")[0]
            self._move(record, move, who, told=move.failed or not record.job.quiet)
            pod_id = pod_of(record.job)
            if pod_id is not None and isinstance(ending.outcome, PodAway):
                away[pod_id] = ending
            elif pod_id is not None and isinstance(ending.outcome, Succeeded | NotYet):
                answered.add(pod_id)
        for pod_id in answered - away.keys():
            self._table.pauses.pop(pod_id, None)
        for pod_id, ending in away.items():
            self._pause(pod_id, ending)
        return {ending.run.job_id for ending in ours}

    def _pause(self, pod_id: PodId, ending: Ending) -> None:
        now, known = self._now(), self._table.pauses.get(pod_id)
        if known is not None and known.until > now:
            return
        failures = 1 if known is None else known.failures + 1
        pause_s = pod_pause_s(failures, ending.rules, ending.jitter)
        self._table.pauses[pod_id] = Pause(failures, now + timedelta(seconds=pause_s))

    async def recover_jobs(self, rules: RetryRules) -> int:
        """Take jobs from workers whose lease has run out; return how many."""
        abandoned = [
            record
            for record in self._table.jobs.values()
            if record.lease_until is not None and record.lease_until <= self._now()
        ]
        for record in abandoned:
            move = decide_abandoned(record.attempts, rules)
            self._move(record, move, record.worker, told=True)
        return len(abandoned)

    def _token_of(self, job_id: JobId) -> LeaseToken | None:
        record = self._table.jobs.get(job_id)
        if record is None or record.state is not JobState.RUNNING:
            return None
        return self._table.leases[job_id][0]

    def _move(self, record: JobRecord, move: Move, who: str, *, told: bool) -> None:
        now = self._now()
        due_at = record.due_at
        if move.state is JobState.NEW:
            due_at = now + timedelta(seconds=move.wait_s)
        moved = replace(
            record,
            state=move.state,
            attempts=record.attempts if move.state is JobState.DONE else move.attempts,
            error=move.why if move.failed else "",
            due_at=due_at,
            finished_at=now,
            updated_at=now,
            lease_until=None,
        )
        self._table.put(moved, JobEvent(move.state, now, who, move.why) if told else None)


class MemoryJobRecords:
    """``interfaces.jobs.JobRecords`` in memory."""

    def __init__(self, table: JobTable, now: Now, desk: MemoryJobDesk) -> None:
        self._table, self._now, self._desk = table, now, desk

    async def list_jobs(
        self, wanted: JobFilter, limit: int, after: tuple[datetime, JobId] | None = None
    ) -> Sequence[JobRecord]:
        """Return jobs without their events, newest first, after a creation time and id."""
        found = [record for record in self._table.jobs.values() if _fits(record, wanted)]
        found.sort(key=lambda record: (record.created_at, record.id), reverse=True)
        if after is not None:
            found = [record for record in found if (record.created_at, record.id) < after]
        return [replace(record, events=()) for record in found[:limit]]

    async def get_job(self, job_id: JobId) -> JobRecord:
        """Return a job with its events, oldest first. Raises NotFound."""
        record = self._table.jobs.get(job_id)
        if record is None:
            raise unknown_job(job_id)
        return record

    async def redo_job(self, job_id: JobId, who: str, request_id: str) -> JobRecord:
        """Have a job done again, now and with all its attempts; return it."""
        record, now = await self.get_job(job_id), self._now()
        if record.state not in LIVE_STATES:
            (successor,) = await self._desk.submit_jobs([JobRequest(record.job, request_id)])
            return await self.get_job(successor)
        changed = replace(record, asked=record.asked + 1, request_id=request_id, updated_at=now)
        if record.state is not JobState.RUNNING:
            changed = replace(changed, state=JobState.NEW, attempts=0, due_at=now)
        event = JobEvent(changed.state, now, who, "to be done again")
        return self._table.put(changed, event)

    async def cancel_job(self, job_id: JobId, who: str) -> JobRecord:
        """Give a job up; return it. Who runs it can no longer finish it."""
        record, now = await self.get_job(job_id), self._now()
        if record.state not in LIVE_STATES:
            raise ended_job(job_id, record.state)
        cancelled = replace(
            record, state=JobState.CANCELLED, finished_at=now, updated_at=now, lease_until=None
        )
        event = JobEvent(JobState.CANCELLED, now, who, "cancelled")
        return self._table.put(cancelled, event)

    async def count_jobs(self) -> Sequence[JobCount]:
        """Return what waits, runs and has failed, by kind, pod and state."""
        now = self._now()
        ages_s: dict[tuple[str, str, JobState], list[float]] = defaultdict(list)
        for record in self._table.jobs.values():
            since = {
                JobState.NEW: record.due_at,
                JobState.RUNNING: record.started_at,
                JobState.FAILED: record.finished_at,
            }.get(record.state)
            if since is not None and since <= now:
                key = (record.job.kind, pod_of(record.job) or "", record.state)
                ages_s[key].append((now - since).total_seconds())
        return [
            JobCount(kind, PodId(pod) if pod else None, state, len(found), max(found))
            for (kind, pod, state), found in sorted(ages_s.items())
        ]

    async def purge_jobs(self, ended_before_s: float) -> int:
        """Delete jobs that ended that long ago, with their events; return how many."""
        long_ago = self._now() - timedelta(seconds=ended_before_s)
        old = [
            record
            for record in self._table.jobs.values()
            if record.state not in LIVE_STATES
            and record.finished_at is not None
            and record.finished_at <= long_ago
        ]
        for record in old:
            del self._table.jobs[record.id]
        for record in list(self._table.jobs.values()):
            kept = tuple(event for event in record.events if event.at > long_ago)
            self._table.put(replace(record, events=kept))
        return len(old)


def _fits(record: JobRecord, wanted: JobFilter) -> bool:
    tests: Sequence[Callable[[], bool]] = (
        lambda: wanted.kind in (None, record.job.kind),
        lambda: wanted.state in (None, record.state),
        lambda: wanted.pod_id in (None, pod_of(record.job)),
        lambda: wanted.project_id in (None, project_of(record.job)),
        lambda: wanted.key in (None, job_key(record.job)),
    )
    return all(test() for test in tests)
