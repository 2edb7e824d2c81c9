"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
import heapq


class FakeClock:
    """``interfaces.clock.Clock`` under a test's control."""

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_s = now_s
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now_s(self) -> float:
        """Return the time that ``advance`` has reached."""
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        """Wait until ``advance`` has passed ``seconds``; not at all for zero or less."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now_s + seconds, self._count, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move the time on, waking each sleeper at its own time and letting it run."""
        await _settle()
        end_s = self._now_s + seconds
        while self._sleepers and self._sleepers[0][0] <= end_s:
            self._now_s, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            await _settle()
        self._now_s = end_s
        await _settle()


async def _settle() -> None:
    """Let every task that is ready run until it waits again (a few turns of the loop)."""
    for _ in range(10):
        await asyncio.sleep(0)
