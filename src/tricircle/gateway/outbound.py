"""What one pod is asked."""

from __future__ import annotations

from dataclasses import dataclass

from tricircle.gateway.request import Inbound


@dataclass(frozen=True, slots=True)
class Outbound:
    """What one pod is asked: the client's request with what differs for this pod."""

    inbound: Inbound
    path: str
    query: str
    body: bytes

    @classmethod
    def of(cls, inbound: Inbound) -> Outbound:
        """Return the request as the client sent it."""
        return cls(inbound, inbound.target.path, inbound.query, inbound.body)
