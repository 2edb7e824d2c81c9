"""What a request leaves undone, handed to job workers before its answer is given."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tricircle.core.errors import TricircleError
from tricircle.core.jobs import Job
from tricircle.usecases.job_requests import JobRequests

log = logging.getLogger(__name__)

UNDER_WAY_S = 600.0
"""Seconds after which nothing is still under way: it exceeds the longest boot by far."""


class Leftovers:
    """Asks for jobs. Never raises: what cannot be asked for now is found by the sweep."""

    def __init__(self, requests: JobRequests) -> None:
        self._requests = requests

    async def hand_over(self, jobs: Sequence[Job], request_id: str) -> None:
        """Ask for jobs that may begin at once."""
        await self._ask(jobs, request_id, 0.0)

    async def hand_over_later(self, jobs: Sequence[Job], request_id: str) -> None:
        """Ask for jobs about what a boot, here or in a pod, may still be at work on."""
        await self._ask(jobs, request_id, UNDER_WAY_S)

    async def _ask(self, jobs: Sequence[Job], request_id: str, wait_s: float) -> None:
        if not jobs:
            return
        try:
            await self._requests.submit(jobs, request_id, wait_s)
        except TricircleError as error:
            kinds = sorted({job.kind for job in jobs})
            log.warning("left to the sweep", extra={"kinds": kinds, "reason": str(error)})
