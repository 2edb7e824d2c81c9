"""What happens between two steps of a claim, on each real database."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.contract.samples import add_two_pods
from tricircle.adapters.sql import Database, SqlStores
from tricircle.adapters.sql.database import Work
from tricircle.adapters.sql.jobs import SqlJobQueue
from tricircle.core.jobs import KINDS, JobRequest, Purge
from tricircle.core.runs import Ending, LeaseToken, Outcome, RetryRules, Succeeded, Unsuccessful
from tricircle.interfaces.jobs import ClaimAsk

T = TypeVar("T")
RULES = RetryRules(first_s=60, longest_s=60)
_numbers = itertools.count()


class Interrupted(Database):
    """A database on which something happens before the next transaction begins."""

    def __init__(self, real: Database, before: Callable[[], Awaitable[None]]) -> None:
        super().__init__(real.engine, real.timeout_s)
        self._before: Callable[[], Awaitable[None]] | None = before

    async def transact(self, work: Work[T]) -> T:
        before, self._before = self._before, None
        if before is not None:
            await before()
        return await super().transact(work)


def ask() -> ClaimAsk:
    return ClaimAsk("w", LeaseToken(f"w/{next(_numbers)}"), 10, 60, set(KINDS), room=10)


async def claim_while_another_ends(database: Database, outcome: Outcome) -> int:
    """Return how many jobs a worker gets when another takes and ends the job it has seen."""
    stores = SqlStores(database)
    await add_two_pods(stores)
    await stores.desk.submit_jobs([JobRequest(Purge(), "req-1")])

    async def take_and_end() -> None:
        (run,) = (await stores.queue.claim_jobs(ask())).runs
        assert await stores.queue.finish_runs([Ending(run, outcome, RULES, 1.0)])

    slow = SqlJobQueue(Interrupted(database, take_and_end))
    return len((await slow.claim_jobs(ask())).runs)


async def test_a_repeated_job_that_another_has_just_done_is_not_done_again(
    database: Database,
) -> None:
    assert await claim_while_another_ends(database, Succeeded(again_in_s=300)) == 0


async def test_a_job_that_has_just_failed_elsewhere_keeps_its_pause(database: Database) -> None:
    assert await claim_while_another_ends(database, Unsuccessful("no")) == 0


async def test_a_job_that_another_has_just_done_is_over(database: Database) -> None:
    assert await claim_while_another_ends(database, Succeeded()) == 0
