"""Work that goes on after an answer was given, for as long as this process lives.

Only what a sweep would do anyway may run here: a process may die at any moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

log = logging.getLogger(__name__)


class Background:
    """Tasks of this process, at most ``limit`` at once; one more is left to the sweep."""

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Begin ``work``; its errors are logged."""
        if len(self._tasks) >= self._limit:
            work.close()
            log.warning("left to the sweep", extra={"reason": "too much work in the background"})
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """End all work; what is unfinished is left to the sweep."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work failed", exc_info=task.exception())
