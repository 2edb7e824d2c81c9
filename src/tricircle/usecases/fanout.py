"""The one way to wait for several things at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from tricircle.core.errors import TricircleError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

log = logging.getLogger(__name__)

DEFAULT_CONCURRENCY = 128


@dataclass(frozen=True, slots=True)
class Done(Generic[V]):
    """A call that returned."""

    value: V


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that did not: an error of ours, TimeoutError, or a defect, logged already."""

    error: Exception

    @property
    def reason(self) -> str:
        """Return why, in words that may be logged and shown."""
        if isinstance(self.error, TimeoutError):
            return "did not answer in time"
        if isinstance(self.error, TricircleError):
            return str(self.error)
        return "failed in an unexpected way; the log has the details"


async def fan_out(
    calls: Mapping[K, Callable[[], Awaitable[V]]],
    *,
    timeout_s: float,
    concurrency: int = DEFAULT_CONCURRENCY,
) -> dict[K, Done[V] | Failed]:
    """Return the outcome of every call, by its key and in the order of ``calls``.

    All run at once, at most ``concurrency`` at a time; what has not returned after
    ``timeout_s``, waiting for its turn included, is cancelled and has failed with
    TimeoutError. No task outlives this call, also when it is cancelled itself.
    """
    gate = asyncio.Semaphore(concurrency)
    tasks = {
        key: asyncio.create_task(_outcome(key, call, gate, timeout_s))
        for key, call in calls.items()
    }
    try:
        return dict(zip(tasks, await asyncio.gather(*tasks.values()), strict=True))
    finally:
        await _cancel(tasks.values())


async def _outcome(
    key: Hashable, call: Callable[[], Awaitable[V]], gate: asyncio.Semaphore, timeout_s: float
) -> Done[V] | Failed:
    try:
        async with asyncio.timeout(timeout_s), gate:
            return Done(await call())
    except (TricircleError, TimeoutError) as error:
        return Failed(error)
    except Exception as error:
        log.exception("a call failed unexpectedly", extra={"key": str(key)})
        return Failed(error)


async def _cancel(tasks: Iterable[asyncio.Task[Done[V] | Failed]]) -> None:
    waiting = [task for task in tasks if not task.done()]
    for task in waiting:
        task.cancel()
    if waiting:
        await asyncio.wait(waiting)
