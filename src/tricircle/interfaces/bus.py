"""How a worker is told that there is work."""

from __future__ import annotations

from typing import Protocol


class Bell(Protocol):
    """Rings for workers. The row is the job; this only saves the wait for the next poll."""

    def ring(self, job_id: str, request_id: str) -> None:
        """Tell some worker that there is work.

        Never waits and never fails: without a bell the worker's next poll finds the job.
        """
        ...
