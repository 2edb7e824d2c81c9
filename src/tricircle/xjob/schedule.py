"""Sees to it that the jobs which are repeated for ever are there, for every pod."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Sequence

from tricircle.core.errors import TricircleError
from tricircle.core.jobs import Job, JobRequest, field_names
from tricircle.core.placing import Topology
from tricircle.interfaces.clock import Clock
from tricircle.interfaces.jobs import JobDesk
from tricircle.xjob.kinds import Kind

log = logging.getLogger(__name__)

INTERVAL_S = 30.0
FIRST_WITHIN_S = 5.0
"""The first runs are spread over this time."""


class Schedule:
    """Adds what is missing. Any number of workers may do so at once: a job is there once."""

    def __init__(
        self,
        desk: JobDesk,
        kinds: Iterable[Kind],
        topology: Callable[[], Topology],
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._desk, self._topology = desk, topology
        self._clock, self._new_id = clock, new_id
        self._kinds = [kind for kind in kinds if kind.every_s is not None]

    async def run(self) -> None:
        """Add what is missing, now and whenever pods may have come."""
        while True:
            try:
                await self.complete()
            except TricircleError as error:
                log.warning("repeated jobs not looked after", extra={"reason": str(error)})
            await self._clock.sleep(INTERVAL_S)

    async def complete(self) -> int:
        """Add the jobs that are missing; return how many."""
        request_id = f"req-{self._new_id()}"
        requests = [
            JobRequest(job, request_id, random.uniform(0, FIRST_WITHIN_S))  # noqa: S311
            for kind in self._kinds
            for job in self._jobs_of(kind)
        ]
        return await self._desk.ensure_jobs(requests)

    def _jobs_of(self, kind: Kind) -> Sequence[Job]:
        names = field_names(kind.job_class)
        if not names:
            return [kind.job_class()]
        # the only field of a repeated kind is its pod
        return [kind.job_class(**dict.fromkeys(names, pod.id)) for pod in self._topology().pods]
