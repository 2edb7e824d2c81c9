"""Several calls at once of which all must succeed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from tricircle.usecases.fanout import Failed, fan_out

A = TypeVar("A")
B = TypeVar("B")
V = TypeVar("V")

_LIMIT_S = 300.0
"""Far beyond what calls that are bounded themselves can take."""


async def all_of(calls: Iterable[Callable[[], Awaitable[V]]]) -> list[V]:
    """Return what all calls return, in their order.

    Every call is let finish, so that nothing is half done without anyone knowing;
    then the error of the first that failed is raised.
    """
    waiting = list(calls)
    if len(waiting) == 1:
        return [await waiting[0]()]
    outcomes = await fan_out(dict(enumerate(waiting)), timeout_s=_LIMIT_S)
    values: list[V] = []
    for outcome in outcomes.values():
        if isinstance(outcome, Failed):
            raise outcome.error
        values.append(outcome.value)
    return values


async def both(
    first: Callable[[], Awaitable[A]], second: Callable[[], Awaitable[B]]
) -> tuple[A, B]:
    """Return what two calls return; as ``all_of``, for calls of two kinds."""
    one: list[A] = []
    two: list[B] = []

    async def run_first() -> None:
        one.append(await first())

    async def run_second() -> None:
        two.append(await second())

    await all_of((run_first, run_second))
    return one[0], two[0]
