"""What is there of a port on both sides, and which server has it."""

from __future__ import annotations

from dataclasses import dataclass

from tricircle.core.model import Pod, Routing, RoutingState, TopId
from tricircle.core.network.objects import Port
from tricircle.usecases.networking.neutron import Neutrons


@dataclass(frozen=True, slots=True)
class FoundPort:
    """A port's routing, and the port as its pod and the top have it now."""

    row: Routing
    pod: Pod
    bottom: Port | None
    top: Port | None

    @property
    def server_id(self) -> str:
        """The server that the pod has given the port to, '' if none."""
        return self.bottom.device_id if self.bottom is not None else ""

    @property
    def pod_zone(self) -> str:
        """The pod's own name of that server's zone."""
        owner = self.bottom.device_owner if self.bottom is not None else ""
        return owner.partition(":")[2]

    def is_known_to_have(self, server_id: TopId) -> bool:
        """Tell whether our record and the top say that the port is this server's."""
        shown = self.top is None or self.top.device_id == server_id
        return shown and self.row.owner_id == server_id


async def find_holder(neutrons: Neutrons, found: FoundPort, request_id: str) -> TopId | None:
    """Return the server that has a port, or will take it; None when nobody does.

    A server that is being built, or shelved, has its port although Neutron does not
    say so; one that has let a port go has not. Raises PodError.
    """
    row = found.row
    if found.server_id:
        return TopId(found.server_id)
    if row.owner_id is None or row.state is RoutingState.DELETING:
        return None
    has_server = await neutrons.has_server(found.pod, row.owner_id, request_id)
    return row.owner_id if has_server else None
