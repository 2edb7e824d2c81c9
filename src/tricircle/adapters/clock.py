"""The clock of the machine."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """``interfaces.clock.Clock`` on the real monotonic clock."""

    def now_s(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
        await asyncio.sleep(seconds)
