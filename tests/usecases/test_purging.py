"""What the purge deletes, and what it keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tricircle.core.jobs import KINDS, JobRequest, Purge
from tricircle.core.runs import Ending, Errand, LeaseToken, RetryRules, Succeeded
from tricircle.interfaces.jobs import ClaimAsk, JobFilter
from tricircle.testing.store import MemoryStores
from tricircle.usecases.purging import Purging

ERRAND = Errand("req-1", 1)


class Time:
    """The store's time, moved by the test."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def test_what_has_expired_goes_and_the_rest_stays() -> None:
    time = Time()
    stores = MemoryStores(time)
    purging = Purging(stores.records, stores.positions, keep_ended_s=3600)
    await stores.desk.submit_jobs([JobRequest(Purge(), "req-1")])
    ask = ClaimAsk("w", LeaseToken("w/1"), 1, 60, set(KINDS), room=1)
    (run,) = (await stores.queue.claim_jobs(ask)).runs
    await stores.queue.finish_runs([Ending(run, Succeeded(), RetryRules(), 0)])
    await stores.positions.keep_position("key", b"x", 60)

    first = await purging.run(Purge(), ERRAND)
    assert first == Succeeded("deleted 0 jobs and 0 positions of lists")
    assert len(await stores.records.list_jobs(JobFilter(), 10)) == 1
    assert await stores.positions.find_position("key") == b"x"

    time.now += timedelta(seconds=3601)
    for expected in ("deleted 1 jobs and 1 positions", "deleted 0 jobs and 0 positions"):
        outcome = await purging.run(Purge(), ERRAND)
        assert isinstance(outcome, Succeeded)
        assert expected in outcome.note
    assert await stores.records.list_jobs(JobFilter(), 10) == []
