"""Who hears a bell and reads the log, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time

import pytest

from tricircle.interfaces.bus import Bell


class Ears:
    """What one listener heard, in order."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._news: asyncio.Queue[str] = asyncio.Queue()
        self._numbers = itertools.count(1)

    def on_ring(self, job_id: str) -> None:
        """Be the callback of a listener."""
        if not job_id.startswith("probe-"):
            self.heard.append(job_id)
        self._news.put_nowait(job_id)

    async def wait_for(self, job_id: str, within_s: float = 10.0) -> None:
        """Return once that ring is heard, whatever is heard before it."""
        async with asyncio.timeout(within_s):
            while await self._news.get() != job_id:
                pass

    async def wait_for_any(self, bell: Bell, within_s: float = 30.0) -> None:
        """Ring until one ring is heard: nobody is told when a listener is connected."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            bell.ring(f"probe-{next(self._numbers)}", "req-probe")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await self._news.get()
                    return
        raise AssertionError(f"no ring was heard within {within_s} s")


async def wait_for_line(
    caplog: pytest.LogCaptureFixture, text: str, within_s: float = 20.0
) -> logging.LogRecord:
    """Return the first line of the log that contains ``text``, which threads write."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        for line in caplog.records:
            if text in line.getMessage():
                return line
        await asyncio.sleep(0.05)
    raise AssertionError(f"not in the log within {within_s} s: {text}")
