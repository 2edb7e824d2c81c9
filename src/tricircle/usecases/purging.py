"""Deleting what has expired."""

from __future__ import annotations

from tricircle.core.jobs import Purge
from tricircle.core.runs import Errand, Outcome, Succeeded
from tricircle.interfaces.jobs import JobRecords
from tricircle.interfaces.store import PositionStore


class Purging:
    """Carries out ``core.jobs.Purge``."""

    def __init__(self, records: JobRecords, positions: PositionStore, keep_ended_s: float) -> None:
        """``keep_ended_s`` is how long jobs that have ended are kept, and the history of all."""
        self._records, self._positions = records, positions
        self._keep_ended_s = keep_ended_s

    async def run(self, job: Purge, errand: Errand) -> Outcome:
        """Delete old jobs, old events and expired positions of lists."""
        jobs = await self._records.purge_jobs(self._keep_ended_s)
        positions = await self._positions.purge_positions()
        return Succeeded(f"deleted {jobs} jobs and {positions} positions of lists")
