"""Everything that dies while jobs are done: workers, the broker, a pod.

What the jobs do is real: they make the flavors of the top in two pods that lack them.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.brokers import STARTER, get_broker
from tests.xjob.stage import OTHERS, Stage
from tricircle.adapters.bus import open_bell
from tricircle.core.jobs import job_key
from tricircle.core.runs import JobState
from tricircle.interfaces.jobs import JobFilter

SEED = 20261127
OPTIONS = "lease_s = 6\nlongest_pod_pause_s = 5"
"""Of [xjob]: short, so that what dies is replaced within the time of a test."""


@dataclass(frozen=True)
class Plan:
    """What happens. Times are in seconds; ``kill_every_s`` is for one worker of all."""

    flavors: int
    workers: int = 4
    kill_every_s: float = 2.0
    broker_away: tuple[float, float] = (3.0, 5.0)
    pod_away: tuple[float, float] = (2.0, 10.0)
    deadline_s: float = 300.0

    @property
    def effects(self) -> int:
        """Return how many things the jobs have to make."""
        return self.flavors * len(OTHERS)


@dataclass
class Figures:
    """What was seen."""

    plan: Plan
    took_s: float = 0.0
    kills: int = 0
    attempts: int = 0
    states: Counter[str] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)
    wished: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        rate = self.plan.effects / self.took_s
        return (
            f"{self.plan.effects} effects in {self.took_s:.0f} s "
            f"({rate:.0f} effects/s), {self.kills} workers killed, "
            f"{self.attempts} runs begun for {sum(self.states.values())} jobs, "
            f"states {dict(self.states)}"
        )


class Disaster:
    """A plan on a stage."""

    def __init__(self, plan: Plan, stage: Stage) -> None:
        self.plan, self.stage = plan, stage
        self.figures = Figures(plan)
        self.random = random.Random(SEED)  # noqa: S311 (no secret)

    async def run(self) -> Figures:
        """Let it all happen; return what was seen at the end."""
        for worker in range(self.plan.workers):
            await self.stage.start_worker(worker)
        started_s = time.monotonic()
        killing = asyncio.create_task(self._kill_workers())
        absences = [
            asyncio.create_task(self._stop_broker()),
            asyncio.create_task(self._stop_pod()),
        ]
        try:
            self.figures.wished = await wish_for_flavors(self.stage, range(self.plan.flavors))
            await asyncio.gather(*absences)
            await wait_until_done(self.stage, self.plan.deadline_s)
        finally:
            for task in (killing, *absences):
                task.cancel()
            await asyncio.gather(killing, *absences, return_exceptions=True)
        self.figures.took_s = time.monotonic() - started_s
        await self._look()
        return self.figures

    async def _kill_workers(self) -> None:
        while True:
            await asyncio.sleep(self.plan.kill_every_s * self.random.uniform(0.5, 1.5))
            number = self.random.randrange(self.plan.workers)
            self.stage.workers[number].kill()
            await self.stage.workers[number].wait()
            self.figures.kills += 1
            await self.stage.start_worker(number)

    async def _stop_broker(self) -> None:
        after_s, away_s = self.plan.broker_away
        await asyncio.sleep(after_s)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(STARTER, get_broker().crash)
        await asyncio.sleep(away_s)
        await loop.run_in_executor(STARTER, get_broker().start)

    async def _stop_pod(self) -> None:
        after_s, away_s = self.plan.pod_away
        await asyncio.sleep(after_s)
        await self.stage.stop_pod(OTHERS[-1])
        await asyncio.sleep(away_s)
        await self.stage.start_pod(OTHERS[-1])

    async def _look(self) -> None:
        after = None
        records = self.stage.stores.records
        while page := await records.list_jobs(JobFilter(kind="replicate"), 1000, after):
            for record in page:
                self.figures.states[str(record.state)] += 1
                self.figures.attempts += record.attempts
                self.figures.keys.add(job_key(record.job))
            after = (page[-1].created_at, page[-1].id)


async def wish_for_flavors(stage: Stage, numbers: Iterable[int]) -> set[str]:
    """Wish for flavors, ringing for each; return their ids."""
    wished = set()
    async with open_bell(stage.settings) as bell:
        for number in numbers:
            flavor_id, job_ids = await stage.wish_for_flavor(number)
            wished.add(flavor_id)
            for job_id in job_ids:
                bell.ring(job_id, "req-test")
    return wished


async def wait_until_done(stage: Stage, deadline_s: float) -> None:
    """Wait until no flavor is left to be made. Raises TimeoutError."""
    async with asyncio.timeout(deadline_s):
        while await _is_any_left(stage):  # noqa: ASYNC110 - workers tell nobody
            await asyncio.sleep(0.5)


async def _is_any_left(stage: Stage) -> bool:
    for state in (JobState.NEW, JobState.RUNNING):
        wanted = JobFilter(kind="replicate", state=state)
        if await stage.stores.records.list_jobs(wanted, 1):
            return True
    return False
