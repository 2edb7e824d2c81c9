"""The marks by which our own objects in a Neutron are found again.

A twin keeps the user's name, so the mark is its whole ``description``: Neutron
filters that by exact equality. It names the top's object and the project, and
is believed only on an object that also belongs to that project. So whoever
writes a mark by hand can deceive no project but the own.
"""

from __future__ import annotations

from dataclasses import dataclass

from tricircle.core.model import Kind, PodId, ProjectId, TopId

BOOT_OWNER = "tricircle:boot"
"""``device_owner`` of a top port from its creation until its server is known.

It keeps others from taking the port, and lets a sweep find the ports of boots
that were cut short. ``device_id`` says which boot.
"""

DHCP_OWNER = "network:dhcp"
DHCP_DEVICE = "reserved_dhcp_port"
"""Owner and device of an address kept for a pod's DHCP service.

Neutron removes such ports by itself with their network or subnet.
"""

_TWIN = "tricircle"
_RESERVED = "tricircle-dhcp"
_SPARE = "tricircle-spare"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark says: this is the twin of that object of that project."""

    kind: Kind
    top_id: TopId
    project_id: ProjectId

    def __str__(self) -> str:
        return f"{_TWIN}:{self.kind}:{self.top_id}:{self.project_id}"


def dhcp_mark(subnet_id: TopId, pod_id: PodId) -> str:
    """Return the description of the port that keeps a pod's DHCP address in a subnet."""
    return f"{_RESERVED}:{subnet_id}:{pod_id}"


def spare_mark(network_id: TopId, project_id: ProjectId) -> str:
    """Return the description of a pod's port that is ready for a server on a network."""
    return f"{_SPARE}:{network_id}:{project_id}"


def is_spare_mark(description: str) -> bool:
    """Tell whether a description is that of a port which is, or was, ready for a server."""
    return description.startswith(f"{_SPARE}:")
