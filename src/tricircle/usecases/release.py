"""Giving back the ports of servers that are gone, and repairing what was cut short."""

from __future__ import annotations

from dataclasses import dataclass

from tricircle.core.model import Pod, TopId


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one sweep did: how many of each."""

    finished: int = 0
    released: int = 0
    forgotten: int = 0
    removed: int = 0
    failed: int = 0


class Release:
    """Releases ports. Every method may be repeated, by any number of processes at once."""

    async def release_server(self, server_id: TopId, pod: Pod, request_id: str) -> bool:
        """Release the ports of a server that is gone from its pod.

        False while the pod still has the server (or does not answer): ask again later,
        the sweep does so too.
        """
        raise NotImplementedError

    async def release_port(
        self, port_id: TopId, server_id: TopId, pod: Pod, request_id: str
    ) -> bool:
        """Release one port that was detached; False while the server still has it."""
        raise NotImplementedError

    async def sweep(self, older_than_s: float) -> SweepReport:
        """Repair whatever boots, attachments and deletions left half done."""
        raise NotImplementedError
