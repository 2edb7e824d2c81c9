"""What is remembered for a while."""

from __future__ import annotations

from tricircle.testing.clock import FakeClock
from tricircle.usecases.remembered import Remembered


async def test_a_value_is_believed_for_its_time_only() -> None:
    clock = FakeClock()
    kept: Remembered[str, int] = Remembered(clock, 60.0, 10)
    assert kept.find("a") is None
    kept.keep("a", 1)
    await clock.advance(59)
    assert kept.find("a") == 1
    await clock.advance(1)
    assert kept.find("a") is None


async def test_what_was_kept_longest_goes_first() -> None:
    kept: Remembered[str, int] = Remembered(FakeClock(), 60.0, 2)
    for number, key in enumerate("abac"):
        kept.keep(key, number)
    assert [kept.find(key) for key in "abc"] == [2, None, 3]
