"""Counting what pods hold of a project, and setting its usage right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from weakref import WeakValueDictionary

from tricircle.core.jobs import CountUsage, SweepUsage
from tricircle.core.model import Pod, ProjectId, Service
from tricircle.core.quotas import WHOLE, Amounts, Holder, add_up
from tricircle.core.runs import Errand, NotYet, Outcome, Succeeded
from tricircle.interfaces.quotas import PodUsage, QuotaCounts
from tricircle.usecases.fanout import Done, fan_out
from tricircle.usecases.job_requests import JobRequests

PATIENT_ATTEMPTS = 8
"""Counts while requests are under way, or a pod does not answer, before the sweep takes over."""

_PAGE = 100
"""Projects that one sweep has counted at most: each count asks every pod."""


@dataclass(frozen=True, slots=True)
class Counted:
    """``is_whole``: every pod has answered. ``is_exact``: nothing was under way, too."""

    is_whole: bool
    is_exact: bool


class UsageCount:
    """Counts projects; in one process each is counted once at a time."""

    def __init__(
        self,
        counts: QuotaCounts,
        pods: Callable[[], Sequence[Pod]],
        usage: PodUsage,
        timeout_s: float,
    ) -> None:
        self._counts, self._pods, self._usage = counts, pods, usage
        self._timeout_s = timeout_s
        self._running: WeakValueDictionary[Holder, asyncio.Task[Counted]] = WeakValueDictionary()

    async def count(self, holder: Holder, request_id: str) -> bool:
        """Set the usage of a project, and of a user in it; return whether every pod answered.

        Who asks while it is being counted gets the same result.
        """
        return (await self.count_all([holder], request_id)).is_whole

    async def count_all(self, holders: Sequence[Holder], request_id: str) -> Counted:
        """Count one project, with the users that ``holders`` name. Bounded in time."""
        key = holders[-1]
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._count(holders, request_id))
            self._running[key] = task
        # a caller that goes away does not take the count from the others
        return await asyncio.shield(task)

    async def _count(self, holders: Sequence[Holder], request_id: str) -> Counted:
        project = replace(holders[0], user_id=WHOLE)
        mark = await self._counts.begin_count(project)
        users = {WHOLE, *(one.user_id for one in holders), *(user for user, _ in mark.tallies)}
        found = await fan_out(
            {
                (pod.id, user_id): partial(
                    self._usage.count, pod, replace(project, user_id=user_id), request_id
                )
                for pod in self._pods()
                for user_id in sorted(users)
            },
            timeout_s=self._timeout_s,
        )
        is_whole = all(isinstance(outcome, Done) for outcome in found.values())
        counted: dict[str, Amounts] = {
            user_id: add_up(
                outcome.value
                for (_, asked), outcome in found.items()
                if asked == user_id and isinstance(outcome, Done)
            )
            for user_id in users
        }
        is_exact = await self._counts.finish_count(mark, counted, is_whole)
        return Counted(is_whole, is_exact)


class CountJobs:
    """Carries out ``CountUsage`` and ``SweepUsage``."""

    def __init__(
        self,
        counts: QuotaCounts,
        counting: Callable[[Service], UsageCount],
        requests: JobRequests,
        older_than_s: float,
    ) -> None:
        """``older_than_s``: what was not counted for so long is counted by the sweep."""
        self._counts, self._counting = counts, counting
        self._requests, self._older_than_s = requests, older_than_s

    async def count(self, job: CountUsage, errand: Errand) -> Outcome:
        """Set the usage of a project right."""
        holder = Holder(Service(job.service), ProjectId(job.project_id))
        counted = await self._counting(holder.service).count_all([holder], errand.request_id)
        if counted.is_exact:
            return Succeeded()
        reason = "requests are under way" if counted.is_whole else "a pod does not answer"
        if errand.attempt < PATIENT_ATTEMPTS:
            return NotYet(reason)
        return Succeeded(f"{reason}; the sweep counts again")

    async def sweep(self, job: SweepUsage, errand: Errand) -> Outcome:
        """Have those projects counted whose claims have expired, or that nobody counted."""
        due = await self._counts.list_due(self._older_than_s, _PAGE)
        jobs = [CountUsage(holder.service.value, holder.project_id) for holder in due]
        if jobs:
            await self._requests.submit(jobs, errand.request_id)
        return Succeeded(f"{len(jobs)} projects are counted")
