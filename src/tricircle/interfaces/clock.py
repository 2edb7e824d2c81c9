"""Time as a value that tests can give. Durations only: wall time is the database's."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """A monotonic clock and the wait that goes with it."""

    def now_s(self) -> float:
        """Return monotonic seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
        ...
