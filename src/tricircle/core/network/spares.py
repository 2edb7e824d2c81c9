"""Ports that are ready in a pod before a server asks for one.

A spare is a pod's port on the twin of a network, with addresses that the top has not
given away. A boot takes it, so that the pod's Nova can be asked at once, and makes the
port at the top meanwhile, with the spare's MAC and addresses. The top keeps nothing for
a spare: whoever asks the top for such an address gets it, and the spare is then useless.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tricircle.core.model import BottomId, PodId, ProjectId, TopId
from tricircle.core.network.objects import FixedIp


@dataclass(frozen=True, slots=True)
class SparePort:
    """Port ``port_id`` of a pod, for a server of a project on network ``network_id`` of the top.

    ``addresses`` are of subnets of the top. ``boot_id`` is the boot that has taken it, None
    while it is ready; ``group_ids`` are security groups of the top that this boot gives
    its port, none for the project's default.
    """

    pod_id: PodId
    port_id: BottomId
    network_id: TopId
    project_id: ProjectId
    mac_address: str
    addresses: tuple[FixedIp, ...]
    boot_id: str | None = None
    group_ids: tuple[str, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
