"""Waiting for several things: bounded, and nothing is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from tricircle.core.errors import PodDead, PodTimeout
from tricircle.core.model import PodId
from tricircle.usecases.fanout import Done, Failed, fan_out

Calls = dict[str, Callable[[], Awaitable[int]]]


def returning(value: int) -> Callable[[], Awaitable[int]]:
    async def call() -> int:
        await asyncio.sleep(0)
        return value

    return call


def raising(error: Exception) -> Callable[[], Awaitable[int]]:
    async def call() -> int:
        await asyncio.sleep(0)
        raise error

    return call


async def hang() -> int:
    await asyncio.Event().wait()
    return 0


async def test_outcomes_come_in_the_order_of_the_calls() -> None:
    calls = {name: returning(at) for at, name in enumerate("zyx")}
    outcomes = await fan_out(calls, timeout_s=5)
    assert list(outcomes.items()) == [("z", Done(0)), ("y", Done(1)), ("x", Done(2))]


async def test_nothing_to_do_is_no_outcome() -> None:
    nothing: Calls = {}
    assert await fan_out(nothing, timeout_s=5) == {}


async def test_one_failure_harms_no_other_call() -> None:
    dead = PodDead(PodId("p"), "pod p refuses connections")
    calls: Calls = {"a": raising(dead), "b": returning(1)}
    outcomes = await fan_out(calls, timeout_s=5)
    assert outcomes == {"a": Failed(dead), "b": Done(1)}


async def test_a_call_that_hangs_has_failed_when_the_time_is_over() -> None:
    calls: Calls = {"a": hang, "b": returning(1)}
    outcomes = await fan_out(calls, timeout_s=0.05)
    assert outcomes["b"] == Done(1)
    failed = outcomes["a"]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, TimeoutError)
    assert failed.reason == "did not answer in time"


async def test_waiting_for_a_turn_counts_as_time() -> None:
    calls: Calls = {"a": hang, "b": returning(1)}
    outcomes = await fan_out(calls, timeout_s=0.05, concurrency=1)
    assert all(isinstance(outcome, Failed) for outcome in outcomes.values())


async def test_no_time_left_fails_everything() -> None:
    calls: Calls = {"a": returning(1), "b": hang}
    outcomes = await fan_out(calls, timeout_s=0)
    assert all(isinstance(outcome, Failed) for outcome in outcomes.values())


async def test_no_more_calls_run_at_once_than_allowed() -> None:
    running, most = 0, 0

    async def call() -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return 0

    outcomes = await fan_out(dict.fromkeys(range(20), call), timeout_s=5, concurrency=3)
    assert len(outcomes) == 20
    assert most == 3


async def test_an_unexpected_error_is_an_outcome_and_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    defect = KeyError("secret")
    with caplog.at_level(logging.ERROR):
        outcomes = await fan_out({"a": raising(defect)}, timeout_s=5)
    failed = outcomes["a"]
    assert failed == Failed(defect)
    assert isinstance(failed, Failed)
    assert "secret" not in failed.reason
    assert caplog.records[0].exc_info is not None


async def test_an_error_of_ours_tells_its_reason() -> None:
    late = PodTimeout(PodId("p"), "pod p did not answer")
    outcomes = await fan_out({"a": raising(late)}, timeout_s=5)
    assert outcomes["a"] == Failed(late)
    assert Failed(late).reason == "pod p did not answer"


async def test_cancelling_leaves_no_task_behind() -> None:
    ended: list[str] = []

    async def call() -> int:
        try:
            return await hang()
        finally:
            await asyncio.sleep(0)
            ended.append("call")

    before = asyncio.all_tasks()
    waiting = asyncio.create_task(fan_out({"a": call, "b": call}, timeout_s=60))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended == ["call", "call"]
    assert asyncio.all_tasks() == before
