"""The machine's clock goes forward."""

from __future__ import annotations

from tricircle.adapters.clock import SystemClock


async def test_a_sleep_takes_at_least_its_time() -> None:
    clock = SystemClock()
    started_s = clock.now_s()
    await clock.sleep(0.01)
    assert clock.now_s() - started_s >= 0.009
