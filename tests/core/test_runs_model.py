"""Jobs under several workers that crash, stall and have clocks that lie.

Hypothesis plays requests, workers and time against the store. A worker whose clock
lies renews too late, or finishes long after its lease: here it may do so at any
moment, as nobody but the store says what time it is. The world that jobs
change is a number for each key: a run copies how often the key was asked for when
it looked. So a lost request shows as a number that is too small at the end.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from tricircle.core.jobs import KINDS, Job, JobRequest, ReleaseServer, job_key
from tricircle.core.model import Pod, PodId, ProjectId, TopId
from tricircle.core.runs import (
    LIVE_STATES,
    Ending,
    HandedBack,
    JobId,
    JobState,
    LeaseToken,
    Outcome,
    PodAway,
    Postponed,
    RetryRules,
    Run,
    Succeeded,
    Unsuccessful,
)
from tricircle.interfaces.jobs import ClaimAsk, JobFilter
from tricircle.testing.store import MemoryStores

LEASE_S = 10.0
RULES = RetryRules(max_attempts=1000, first_s=1, longest_s=4, pod_first_s=1, pod_longest_s=4)
PODS = (PodId("east"), PodId("west"))
T = TypeVar("T")

keys = st.integers(0, 3)
workers = st.sampled_from(["one", "two", "three"])
outcomes = st.sampled_from(
    [Succeeded(), Unsuccessful("no"), Postponed("later", 2), PodAway("dead"), HandedBack("end")]
)


@dataclass
class Held:
    """What a worker believes it is doing."""

    run: Run
    looked: int | None = None


class Jobs(RuleBasedStateMachine):
    """The store, and what must be true of it whatever happens."""

    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.stores = MemoryStores(lambda: self.now)
        self.asked: dict[str, int] = {}
        self.world: dict[str, int] = {}
        self.finished: dict[JobId, set[LeaseToken]] = {}
        self.tokens = itertools.count()
        for pod in PODS:
            self.do(self.stores.pods.add_pod(Pod(pod, pod, pod)))

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    def teardown(self) -> None:
        self.drain()
        self.loop.close()

    # What may happen.

    @rule(key=keys, times=st.integers(1, 5))
    def request(self, key: int, times: int) -> None:
        job = self.job(key)
        for _ in range(times):
            self.asked[job_key(job)] = self.asked.get(job_key(job), 0) + 1
            self.do(self.stores.desk.submit_jobs([JobRequest(job, "req")]))

    @rule(target=runs, worker=workers, limit=st.integers(1, 3))
    def claim(self, worker: str, limit: int) -> Any:
        claimed = self.do(self.stores.queue.claim_jobs(self.ask(worker, limit)))
        return multiple(*(Held(run) for run in claimed.runs))

    @rule(held=runs)
    def look(self, held: Held) -> None:
        """The run reads what is wanted."""
        held.looked = self.asked[job_key(held.run.job)]

    @rule(held=runs, outcome=outcomes)
    def finish(self, held: Held, outcome: Outcome) -> None:
        if isinstance(outcome, Succeeded):
            if held.looked is None:
                self.look(held)
            assert held.looked is not None
            self.world[job_key(held.run.job)] = max(
                held.looked, self.world.get(job_key(held.run.job), 0)
            )
        self.end(held.run, outcome)

    @rule(held=runs)
    def renew(self, held: Held) -> None:
        self.do(self.stores.queue.renew_leases([held.run.token], LEASE_S))

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def recover(self) -> None:
        self.do(self.stores.queue.recover_jobs(RULES))

    @rule(key=keys)
    def redo(self, key: int) -> None:
        wanted = JobFilter(key=job_key(self.job(key)))
        for record in self.do(self.stores.records.list_jobs(wanted, 1)):
            self.do(self.stores.records.redo_job(record.id, "operator", "req"))

    # What must be true at any time.

    @invariant()
    def a_key_has_one_live_job(self) -> None:
        live = [
            job_key(record.job)
            for record in self.do(self.stores.records.list_jobs(JobFilter(), 1000))
            if record.state in LIVE_STATES
        ]
        assert len(live) == len(set(live))

    @invariant()
    def what_was_asked_and_is_not_there_has_a_live_job(self) -> None:
        live = {
            job_key(record.job)
            for record in self.do(self.stores.records.list_jobs(JobFilter(), 1000))
            if record.state in LIVE_STATES
        }
        for key, times in self.asked.items():
            assert self.world.get(key, 0) >= times or key in live

    # Help.

    def job(self, key: int) -> Job:
        return ReleaseServer(PODS[key % 2], TopId(f"s{key}"), ProjectId("demo"))

    def ask(self, worker: str, limit: int) -> ClaimAsk:
        token = LeaseToken(f"{worker}/{next(self.tokens)}")
        return ClaimAsk(worker, token, limit, LEASE_S, set(KINDS), room=2)

    def end(self, run: Run, outcome: Outcome) -> None:
        accepted = self.do(self.stores.queue.finish_runs([Ending(run, outcome, RULES, 0.5)]))
        if run.job_id in accepted:
            ended = self.finished.setdefault(run.job_id, set())
            assert run.token not in ended, "a run was finished twice"
            ended.add(run.token)

    def drain(self) -> None:
        """All workers of before are dead; one that works serves everything in bounded time."""
        for _ in range(200):
            self.now += timedelta(seconds=LEASE_S)
            self.recover()
            for run in self.do(self.stores.queue.claim_jobs(self.ask("last", 10))).runs:
                self.finish(Held(run), Succeeded())
            records = self.do(self.stores.records.list_jobs(JobFilter(), 1000))
            if all(record.state is JobState.DONE for record in records):
                break
        else:
            raise AssertionError("a job waits for ever")
        assert self.world == self.asked


Jobs.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestJobs = Jobs.TestCase
