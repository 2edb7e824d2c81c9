"""One worker and several: what they take, and what becomes of it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.xjob.world import EAST, REQUEST_ID, WEST, World, release
from tricircle.adapters.log import get_request_id
from tricircle.core.errors import (
    Conflict,
    PodDead,
    PodMisbehaved,
    PodTimeout,
    ServiceUnavailable,
    TricircleError,
    TwinBusy,
)
from tricircle.core.jobs import ReleaseServer
from tricircle.core.model import Kind, PodId
from tricircle.core.runs import (
    Errand,
    JobState,
    Outcome,
    PodAway,
    Postponed,
    Succeeded,
    Unsuccessful,
)
from tricircle.xjob.worker import explain, repeated


@pytest.fixture
async def world() -> World:
    made = World()
    await made.add_pods()
    return made


async def test_a_job_is_done_once_and_its_handler_knows_whom_it_works_for(world: World) -> None:
    seen = []

    async def handler(job: ReleaseServer, errand: Errand) -> Outcome:
        seen.append((job.server_id, errand.request_id, errand.attempt, get_request_id()))
        return Succeeded("all of them")

    await world.submit(release("s1"))
    async with world.working(handler):
        await world.clock.advance(5)
    assert seen == [("s1", REQUEST_ID, 1, REQUEST_ID)]
    record = await world.record(release("s1"))
    assert (record.state, record.events[-1].why) == (JobState.DONE, "all of them")
    assert world.meter.ended == [("release_server", "Succeeded")]


async def test_without_a_bell_a_job_waits_for_the_next_poll_only(world: World) -> None:
    async with world.working(world.count):
        await world.clock.advance(10.5)
        await world.submit(release("s1"))
        await world.clock.advance(0.1)
        assert world.done["s1"] == 0
        await world.clock.advance(1)
        assert world.done["s1"] == 1


async def test_with_a_bell_a_job_begins_at_once(world: World) -> None:
    async with world.working(world.count, poll_interval_s=600) as worker:
        await world.clock.advance(10.5)
        await world.submit(release("s1"))
        worker.wake()
        await world.clock.advance(0)
        assert world.done["s1"] == 1


async def test_a_job_that_is_due_later_begins_then_and_not_a_poll_later(world: World) -> None:
    async def fails_once(job: ReleaseServer, errand: Errand) -> Outcome:
        world.done[job.server_id] += 1
        if errand.attempt == 1:
            raise Conflict("not yet")
        return Succeeded()

    await world.submit(release("s1"))
    async with world.working(fails_once, poll_interval_s=600):
        await world.clock.advance(0)
        assert (await world.record(release("s1"))).error == "not yet"
        await world.clock.advance(1.1)
        assert world.done["s1"] == 2


async def test_no_more_jobs_are_under_way_than_there_is_room_for(world: World) -> None:
    under_way, most, go = 0, 0, asyncio.Event()

    async def handler(job: ReleaseServer, errand: Errand) -> Outcome:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await go.wait()
        under_way -= 1
        return Succeeded()

    await world.submit(*(release(f"s{n}") for n in range(20)))
    async with world.working(handler, concurrency=7, concurrency_per_pod=100):
        await world.clock.advance(5)
        assert under_way == 7
        go.set()
        await world.clock.advance(5)
    assert most == 7
    assert (await world.record(release("s19"))).state is JobState.DONE


async def test_a_pod_that_hangs_keeps_a_bounded_number_of_jobs_and_others_go_on(
    world: World,
) -> None:
    hanging = asyncio.Event()

    async def handler(job: ReleaseServer, errand: Errand) -> Outcome:
        if job.pod_id == EAST:
            await hanging.wait()
        return await world.count(job, errand)

    await world.submit(*(release(f"e{n}", EAST) for n in range(50)))
    await world.submit(*(release(f"w{n}", WEST) for n in range(50)))
    async with world.working(handler, concurrency=10, concurrency_per_pod=3):
        await world.clock.advance(30)
        assert world.done.total() == 50
        hanging.set()
        await world.clock.advance(30)
    assert world.done.total() == 100


async def test_a_dead_pod_holds_up_its_own_jobs_only_and_all_are_done_when_it_is_back(
    world: World,
) -> None:
    world.dead.add(EAST)
    tried = 0

    async def handler(job: ReleaseServer, errand: Errand) -> Outcome:
        nonlocal tried
        if job.pod_id in world.dead:
            tried += 1
            raise PodDead(job.pod_id, "refused")
        return await world.count(job, errand)

    await world.submit(*(release(f"e{n}", EAST) for n in range(200)))
    await world.submit(*(release(f"w{n}", WEST) for n in range(10)))
    async with world.working(handler):
        await world.clock.advance(3)
        assert world.done.total() == 10
        await world.clock.advance(300)
        # one at a time after the first handful: 4 s is the longest pause
        assert tried < 16 + 300 / 3
        world.dead.clear()
        await world.clock.advance(30)
    assert world.done.total() == 210
    assert max(world.done.values()) == 1
    assert (await world.record(release("e0", EAST))).attempts == 1


async def test_a_failure_is_tried_up_to_the_limit_and_then_left_with_its_reason(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(job: ReleaseServer, errand: Errand) -> Outcome:
        world.done[job.server_id] += 1
        raise Conflict("port p1 is in use; detach it first")

    await world.submit(release("s1"))
    async with world.working(handler):
        await world.clock.advance(60)
    record = await world.record(release("s1"))
    assert (record.state, world.done["s1"]) == (JobState.FAILED, 3)
    assert record.error == "port p1 is in use; detach it first"


async def test_a_defect_is_logged_with_its_traceback_and_shows_no_detail(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(job: ReleaseServer, errand: Errand) -> Outcome:
        raise RuntimeError("secret detail")

    await world.submit(release("s1"))
    with caplog.at_level(logging.ERROR):
        async with world.working(handler):
            await world.clock.advance(60)
    record = await world.record(release("s1"))
    assert record.state is JobState.FAILED
    assert "RuntimeError" in record.error
    assert "secret detail" not in record.error
    assert "secret detail" in caplog.text


async def test_a_run_that_takes_too_long_is_ended_and_counts(world: World) -> None:
    async def handler(job: ReleaseServer, errand: Errand) -> Outcome:
        world.done[job.server_id] += 1
        await asyncio.Event().wait()
        return Succeeded()

    await world.submit(release("s1"))
    async with world.working(handler, job_timeout_s=0.01):
        for _ in range(10):
            await asyncio.sleep(0.02)
            await world.clock.advance(5)
    record = await world.record(release("s1"))
    assert (record.state, world.done["s1"]) == (JobState.FAILED, 3)
    assert "job_timeout_s" in record.error


async def test_a_kind_may_take_longer_than_others(world: World) -> None:
    async def handler(job: ReleaseServer, errand: Errand) -> Outcome:
        await asyncio.sleep(0.1)
        return await world.count(job, errand)

    world.kind_timeout_s = 60
    await world.submit(release("s1"))
    async with world.working(handler, job_timeout_s=0.01):
        await world.clock.advance(1)
        await asyncio.sleep(0.2)
        await world.clock.advance(1)
    assert (await world.record(release("s1"))).state is JobState.DONE


# Leases.


async def test_a_long_run_keeps_its_lease(world: World) -> None:
    go = asyncio.Event()

    async def handler(job: ReleaseServer, errand: Errand) -> Outcome:
        await go.wait()
        return await world.count(job, errand)

    await world.submit(release("s1"))
    async with world.working(handler), world.working(handler, "two"):
        await world.clock.advance(300)
        go.set()
        await world.clock.advance(5)
    assert world.done["s1"] == 1
    assert (await world.record(release("s1"))).attempts == 1


async def test_the_jobs_of_a_worker_that_is_cut_off_are_done_by_another(world: World) -> None:
    async def hang(job: ReleaseServer, errand: Errand) -> Outcome:
        await asyncio.Event().wait()
        return Succeeded()

    await world.submit(*(release(f"s{n}") for n in range(5)))
    line = world.line()
    async with world.working(hang, "lost", line), world.working(world.count, "heir"):
        # the heir has had its poll when they came, or shares them
        await world.clock.advance(1)
        line.cut = True
        await world.clock.advance(60)
    assert world.done.total() == 5


async def test_a_worker_gives_up_before_the_leases_end_that_it_cannot_renew(
    world: World,
) -> None:
    ended_s = []

    async def handler(job: ReleaseServer, errand: Errand) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            ended_s.append(world.clock.now_s())
        return Succeeded()

    await world.submit(release("s1"))
    line = world.line()
    async with world.working(handler, line=line, lease_s=30):
        await world.clock.advance(15)
        line.cut = True
        await world.clock.advance(60)
        # renewed last after 10 s
        assert ended_s
        assert ended_s[0] <= 10 + 30


async def test_what_was_done_is_kept_when_the_database_is_back_in_time(world: World) -> None:
    line = world.line()

    async def handler(job: ReleaseServer, errand: Errand) -> Outcome:
        line.cut = True
        return await world.count(job, errand)

    await world.submit(release("s1"))
    async with world.working(handler, line=line, lease_s=30):
        await world.clock.advance(10)
        assert (await world.record(release("s1"))).state is JobState.RUNNING
        line.cut = False
        await world.clock.advance(10)
        assert (await world.record(release("s1"))).state is JobState.DONE
    assert world.done["s1"] == 1


async def test_a_worker_goes_on_after_a_defect_in_any_of_its_loops(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    line = world.line()

    async def handler(job: ReleaseServer, errand: Errand) -> Outcome:
        line.broken = True
        return await world.count(job, errand)

    await world.submit(release("s1"), release("s2"))
    async with world.working(handler, line=line, lease_s=30):
        await world.clock.advance(14)
        line.broken = False
        await world.clock.advance(5)
        assert (await world.record(release("s1"))).state is JobState.DONE
        line.broken = False
        await world.clock.advance(60)
        assert (await world.record(release("s2"))).state is JobState.DONE
    assert "a defect" in caplog.text


async def test_a_run_whose_job_was_taken_away_is_ended(world: World) -> None:
    ended = []

    async def stall(job: ReleaseServer, errand: Errand) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(job.server_id)
        return Succeeded()

    await world.submit(release("s1"))
    async with world.working(stall):
        await world.clock.advance(1)
        record = await world.record(release("s1"))
        await world.stores.records.cancel_job(record.id, "operator")
        await world.clock.advance(11)
        assert ended == ["s1"]
    assert (await world.record(release("s1"))).state is JobState.CANCELLED


# Stopping.


async def test_a_stop_waits_for_what_is_nearly_done_and_hands_back_the_rest(
    world: World,
) -> None:
    async def handler(job: ReleaseServer, errand: Errand) -> Outcome:
        await world.clock.sleep(3 if job.server_id == "short" else 1000)
        return await world.count(job, errand)

    await world.submit(release("short"), release("long"))
    async with world.working(handler):
        await world.clock.advance(1)
    assert world.done == {"short": 1}
    short, long = await world.record(release("short")), await world.record(release("long"))
    assert (short.state, long.state, long.attempts) == (JobState.DONE, JobState.NEW, 0)
    assert "stopped" in long.events[-1].why
    async with world.working(world.count, "next"):
        await world.clock.advance(1)
    assert world.done == {"short": 1, "long": 1}


async def test_a_stopped_worker_takes_nothing_more(world: World) -> None:
    async with world.working(world.count):
        await world.clock.advance(1)
    await world.submit(release("s1"))
    await world.clock.advance(100)
    assert world.done.total() == 0


# What errors come to.

LIVES = lambda _pod: False  # noqa: E731
IS_DEAD = lambda _pod: True  # noqa: E731


@pytest.mark.parametrize(
    ("error", "dead", "outcome"),
    [
        (PodDead(EAST, "refused"), True, PodAway),
        (PodTimeout(EAST, "slow"), True, PodAway),
        # one of its services only
        (PodDead(EAST, "refused"), False, Postponed),
        (PodTimeout(EAST, "slow"), False, Unsuccessful),
        # another pod, or the top
        (PodDead(PodId("top"), "refused"), True, Postponed),
        (PodMisbehaved(EAST, "garbage"), True, Unsuccessful),
        (ServiceUnavailable("no database"), False, Postponed),
        (TwinBusy(Kind.PORT, "p"), False, Postponed),
        (Conflict("in use"), False, Unsuccessful),
    ],
)
def test_an_error_is_blamed_on_who_is_to_blame(
    error: TricircleError, dead: bool, outcome: type[Outcome]
) -> None:
    found = explain(error, release("s1"), IS_DEAD if dead else LIVES)
    assert isinstance(found, outcome)
    assert str(error) in found.reason  # type: ignore[union-attr]


def test_only_what_is_repeated_is_due_again() -> None:
    assert repeated(Succeeded("x"), None) == Succeeded("x")
    assert repeated(Succeeded("x"), 60) == Succeeded("x", 60)
    assert repeated(Unsuccessful("x"), 60) == Unsuccessful("x", 60)
    assert repeated(PodAway("x"), 60) == PodAway("x")
