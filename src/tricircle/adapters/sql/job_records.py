"""The jobs as operators and tenants see them, in the database."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from tricircle.adapters.sql.database import AnyRow, Database
from tricircle.adapters.sql.statements import jobs as statements
from tricircle.core.conflicts import ended_job, unknown_job
from tricircle.core.errors import BadInput
from tricircle.core.jobs import JobRequest, make_job
from tricircle.core.model import PodId
from tricircle.core.runs import LIVE_STATES, JobEvent, JobId, JobRecord, JobState
from tricircle.core.texts import is_storable, require_storable
from tricircle.interfaces.jobs import JobCount, JobDesk, JobFilter

log = logging.getLogger(__name__)

PURGE_BATCH = 500


class SqlJobRecords:
    """``interfaces.jobs.JobRecords`` in a database."""

    def __init__(self, database: Database, desk: JobDesk) -> None:
        self._database, self._desk = database, desk

    async def list_jobs(
        self, wanted: JobFilter, limit: int, after: tuple[datetime, JobId] | None = None
    ) -> Sequence[JobRecord]:
        """Return jobs without their events, newest first, after a creation time and id."""
        texts = (wanted.kind, wanted.pod_id, wanted.project_id, wanted.key)
        if not all(is_storable(text or "") for text in texts):
            return ()
        records: list[JobRecord] = []
        while len(records) < limit:
            left = limit - len(records)
            statement = statements.list_jobs(self._database.backend, wanted, left, after)
            rows = await self._database.read(statement)
            records += [record for row in rows if (record := _find_record(row))]
            if len(rows) < left:
                break
            after = (rows[-1].created_at, JobId(rows[-1].id))
        return records

    async def get_job(self, job_id: JobId) -> JobRecord:
        """Return a job with its events, oldest first. Raises NotFound."""
        record = await self._get(job_id)
        rows = await self._database.read(statements.list_events(job_id))
        events = tuple(JobEvent(JobState(row.state), row.at, row.who, row.why) for row in rows)
        return replace(record, events=events)

    async def redo_job(self, job_id: JobId, who: str, request_id: str) -> JobRecord:
        """Have a job done again, now and with all its attempts; return it."""
        require_storable("the id of the request", request_id)
        record = await self._get(job_id)

        async def work(connection: AsyncConnection) -> bool:
            state = await _lock(connection, job_id)
            if state not in LIVE_STATES:
                return False
            await connection.execute(statements.ask_again(job_id, state, request_id))
            shown = JobState.RUNNING if state is JobState.RUNNING else JobState.NEW
            await _tell(connection, job_id, shown, who, "to be done again")
            return True

        if await self._database.transact(work):
            return await self.get_job(job_id)
        (successor,) = await self._desk.submit_jobs([JobRequest(record.job, request_id)])
        return await self.get_job(successor)

    async def cancel_job(self, job_id: JobId, who: str) -> JobRecord:
        """Give a job up; return it. Who runs it can no longer finish it."""
        await self._get(job_id)

        async def work(connection: AsyncConnection) -> JobState:
            state = await _lock(connection, job_id)
            if state in LIVE_STATES:
                await connection.execute(statements.cancel(job_id))
                await _tell(connection, job_id, JobState.CANCELLED, who, "cancelled")
            return state

        state = await self._database.transact(work)
        if state not in LIVE_STATES:
            raise ended_job(job_id, state)
        return await self.get_job(job_id)

    async def count_jobs(self) -> Sequence[JobCount]:
        """Return what waits, runs and has failed, by kind, pod and state."""
        rows = await self._database.read(statements.count_jobs())
        return [_read_count(row) for row in rows]

    async def purge_jobs(self, ended_before_s: float) -> int:
        """Delete jobs that ended that long ago, with their events; return how many."""
        purged = 0
        while True:
            rows = await self._database.read(statements.list_ended(ended_before_s, PURGE_BATCH))
            if not rows:
                break
            ids = sorted(str(row.id) for row in rows)
            purged += await self._database.write(statements.delete_jobs(ids))
        while True:
            rows = await self._database.read(
                statements.list_old_events(ended_before_s, PURGE_BATCH)
            )
            if not rows:
                return purged
            numbers = sorted(int(row.number) for row in rows)
            await self._database.write(statements.delete_events(numbers))

    async def _get(self, job_id: JobId) -> JobRecord:
        if not is_storable(job_id):
            raise unknown_job(job_id)
        rows = await self._database.read(statements.find_job(job_id))
        record = _find_record(rows[0]) if rows else None
        if record is None:
            raise unknown_job(job_id)
        return record


def _find_record(row: AnyRow) -> JobRecord | None:
    """Return the job of a row, None for one that another release alone can read."""
    try:
        return read_record(row)
    except BadInput as error:
        log.warning("job cannot be read", extra={"job": row.id, "reason": str(error)})
        return None


async def _lock(connection: AsyncConnection, job_id: JobId) -> JobState:
    """Return a job's state; nobody else changes it until the transaction ends."""
    await connection.execute(statements.lock_job(job_id))
    rows = (await connection.execute(statements.find_job(job_id))).all()
    if not rows:
        raise unknown_job(job_id)
    return JobState(rows[0].state)


async def _tell(
    connection: AsyncConnection, job_id: JobId, state: JobState, who: str, why: str
) -> None:
    event = {"job_id": job_id, "state": state.value, "who": who, "why": why}
    await connection.execute(statements.add_events([event]))


def read_record(row: AnyRow) -> JobRecord:
    """Return the job of a row with ``statements.jobs.COLUMNS``. Raises BadInput."""
    try:
        fields = json.loads(row.fields)
    except ValueError:
        raise BadInput(f"the fields of job {row.id} are no JSON") from None
    return JobRecord(
        id=JobId(row.id),
        job=make_job(row.kind, fields),
        state=JobState(row.state),
        request_id=row.request_id,
        asked=row.asked,
        attempts=row.attempts,
        error=row.error,
        worker=row.worker,
        created_at=row.created_at,
        updated_at=row.updated_at,
        due_at=row.due_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        lease_until=row.lease_until,
    )


def _read_count(row: AnyRow) -> JobCount:
    state = JobState(row.state)
    since = {
        JobState.NEW: row.due_at,
        JobState.RUNNING: row.started_at,
        JobState.FAILED: row.finished_at,
    }[state]
    oldest_s = 0.0 if since is None else max(0.0, (row.now - since).total_seconds())
    pod_id = None if row.pod_id is None else PodId(row.pod_id)
    return JobCount(row.kind, pod_id, state, row.jobs, oldest_s)
