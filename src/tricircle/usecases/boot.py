"""Booting servers on networks of the top: ports are made first and given to Nova by id.

    resolve  what the body means, checked with the caller's own token; ports are made at the top
    place    twins of all that in one pod, and the body with that pod's port ids in it
    finish   the server is known: the ports are its own
    withdraw the pod said no and another one is asked: twins of the ports go, the rest stays
    undo     nobody took the server: what was made for it goes
    abandon  nobody knows: all stays where the sweep finds it

Between ``resolve`` and ``finish`` any process may die at any line: see ``usecases.release``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tricircle.core.bodies import set_value
from tricircle.core.model import (
    BottomId,
    Caller,
    Kind,
    Origin,
    Pod,
    ProjectId,
    TopId,
    Version,
)
from tricircle.core.network.asking import Asking
from tricircle.core.network.objects import Port, SecurityGroup


@dataclass(frozen=True, slots=True)
class TopPort:
    """A port of the top that a server gets, and whether the gateway made it."""

    port: Port
    origin: Origin


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a body means at the top. Valid until ``finish`` or ``undo``, for one pod after another.

    ``groups`` are security groups that were read on the way, by id. ``shown_groups`` is
    what the answer must show as the server's groups, None for Nova's own answer.
    """

    body: bytes
    asking: Asking
    project_id: ProjectId
    request_id: str
    ports: tuple[TopPort, ...] = ()
    groups: Mapping[str, SecurityGroup] | None = None
    shown_groups: object = None


@dataclass(frozen=True, slots=True)
class Placed:
    """What goes to a pod: ``body`` is sent, ``port_ids`` stand for ``resolved.ports``."""

    resolved: Resolved
    pod: Pod
    body: bytes
    port_ids: tuple[BottomId, ...] = ()

    def restore(self, answer: bytes) -> bytes:
        """Return the pod's answer with what was taken from the body put back."""
        if self.resolved.shown_groups is None:
            return answer
        return set_value(answer, "server.security_groups", self.resolved.shown_groups)


class ServerNetworks:
    """The networks of servers. One for each process."""

    async def resolve(
        self, caller: Caller, body: bytes, version: Version, request_id: str
    ) -> Resolved:
        """Return what the networks of a ``POST /servers`` body mean. Raises in Nova's words."""
        raise NotImplementedError

    async def resolve_interface(
        self, caller: Caller, body: bytes, project_id: ProjectId, request_id: str
    ) -> Resolved:
        """Return the same for a ``POST /servers/{id}/os-interface`` body of a project's server."""
        raise NotImplementedError

    async def place(self, resolved: Resolved, pod: Pod) -> Placed:
        """Ensure every twin in a pod and return the body for it."""
        raise NotImplementedError

    async def finish(self, placed: Placed, server_id: TopId, zone: str) -> None:
        """Make the ports the server's own. Never raises: what fails is left to the sweep."""
        raise NotImplementedError

    async def withdraw(self, placed: Placed) -> None:
        """Remove the twins of the ports from a pod that said no; ``resolved`` stays usable."""
        raise NotImplementedError

    async def undo(self, outcome: Resolved | Placed) -> None:
        """Remove what was made for a server that nobody took."""
        raise NotImplementedError

    async def abandon(self, placed: Placed) -> None:
        """Leave everything to the sweep: whether the pod took the server is unknown."""
        raise NotImplementedError

    async def to_bottom(
        self, kind: Kind, top_ids: Sequence[str], pod: Pod
    ) -> Mapping[str, BottomId]:
        """Return the ids that a pod knows for ids of the top; unknown ones are left out."""
        raise NotImplementedError

    async def to_top(self, kind: Kind, bottom_ids: Sequence[str], pod: Pod) -> Mapping[str, TopId]:
        """Return the top's ids for ids of a pod; unknown ones are left out."""
        raise NotImplementedError

