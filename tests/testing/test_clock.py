"""The clock of tests moves only when told to."""

from __future__ import annotations

import asyncio

from tricircle.testing.clock import FakeClock


async def test_a_sleeper_wakes_when_its_time_has_come_and_not_before() -> None:
    clock = FakeClock()
    sleeper = asyncio.create_task(clock.sleep(2))
    await clock.advance(1.9)
    assert not sleeper.done()
    await clock.advance(0.1)
    assert sleeper.done()


async def test_sleepers_wake_in_order_at_their_own_time() -> None:
    clock = FakeClock(10)
    seen: list[float] = []

    async def sleep_and_note(seconds: float) -> None:
        await clock.sleep(seconds)
        seen.append(clock.now_s())

    async with asyncio.TaskGroup() as tasks:
        for seconds in (3, 1, 2):
            tasks.create_task(sleep_and_note(seconds))
        await clock.advance(5)
    assert seen == [11, 12, 13]
    assert clock.now_s() == 15


async def test_a_loop_that_sleeps_again_is_woken_as_often_as_time_allows() -> None:
    clock = FakeClock()
    turns = 0

    async def turn_each_second() -> None:
        nonlocal turns
        while True:
            await clock.sleep(1)
            turns += 1

    task = asyncio.create_task(turn_each_second())
    await clock.advance(3.5)
    task.cancel()
    assert turns == 3
