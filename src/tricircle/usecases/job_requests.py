"""Asking for jobs: kept first, then a worker is told."""

from __future__ import annotations

from collections.abc import Sequence

from tricircle.core.jobs import Job, JobRequest
from tricircle.core.runs import JobId, JobRecord
from tricircle.interfaces.bus import Bell
from tricircle.interfaces.jobs import JobDesk, JobRecords

RINGS = 4
"""For many jobs at once a few workers are told; who takes one looks for more."""


class JobRequests:
    """Where every program asks for jobs."""

    def __init__(self, desk: JobDesk, bell: Bell) -> None:
        self._desk, self._bell = desk, bell

    async def submit(
        self, jobs: Sequence[Job], request_id: str, wait_s: float = 0.0
    ) -> Sequence[JobId]:
        """Ask that jobs be done, not before ``wait_s`` from now; return them in order.

        When this returns they are kept and will be done, whoever dies. Raises NotFound
        for an unknown pod, ServiceUnavailable when the database is away.
        """
        ids = await self._desk.submit_jobs([JobRequest(job, request_id, wait_s) for job in jobs])
        if wait_s <= 0:
            self.ring(ids, request_id)
        return ids

    def ring(self, ids: Sequence[JobId], request_id: str) -> None:
        """Tell workers of jobs that are kept already and may begin now."""
        for job_id in ids[:RINGS]:
            self._bell.ring(job_id, request_id)

    async def redo(
        self, records: JobRecords, job_id: JobId, who: str, request_id: str
    ) -> JobRecord:
        """Have a job done again, now and with all its attempts; return the job that does it.

        Raises NotFound.
        """
        again = await records.redo_job(job_id, who, request_id)
        self._bell.ring(again.id, request_id)
        return again
