"""The values everything else speaks of.

Ids are distinct types, so that a top id used as a bottom id fails the type
check. All values are frozen: whoever wants another one makes it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NewType

PodId = NewType("PodId", str)
ProjectId = NewType("ProjectId", str)
UserId = NewType("UserId", str)
TopId = NewType("TopId", str)
BottomId = NewType("BottomId", str)
ZoneName = NewType("ZoneName", str)


class Service(enum.StrEnum):
    """The services of a pod, by their type in Keystone's catalogue."""

    COMPUTE = "compute"
    VOLUME = "volumev3"
    NETWORK = "network"
    PLACEMENT = "placement"
    IMAGE = "image"
    IDENTITY = "identity"


class Kind(enum.StrEnum):
    """What a routing can speak of. The text is kept in the database: never rename one."""

    SERVER = "server"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    BACKUP = "backup"
    ATTACHMENT = "attachment"
    TRANSFER = "transfer"
    MESSAGE = "message"
    GROUP = "group"
    GROUP_SNAPSHOT = "group_snapshot"
    SERVER_GROUP = "server_group"
    VOLUME_TYPE = "volume_type"
    QOS_SPECS = "qos_specs"
    GROUP_TYPE = "group_type"
    NETWORK = "network"
    SUBNET = "subnet"
    PORT = "port"
    SECURITY_GROUP = "security_group"
    ROUTER = "router"
    FLOATING_IP = "floating_ip"


REPLICATED_KINDS = frozenset({Kind.VOLUME_TYPE, Kind.QOS_SPECS, Kind.GROUP_TYPE})
"""What every pod has alike, with an id of its own: it keeps no pod from being deleted."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A microversion, e.g. ``Version(2, 104)``; ``str()`` gives ``2.104``."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True)
class VersionRange:
    """The microversions a service of a pod can speak, both ends included."""

    minimum: Version
    maximum: Version


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One service of a pod: where it is and what it speaks.

    ``url`` is the root of the service's versioned API without trailing slash
    and without a project, e.g. ``http://host:8774/v2.1`` or
    ``http://host/volume/v3``; for Neutron the root without ``/v2.0``.
    ``versions`` is None for services without microversions.
    """

    service: Service
    url: str
    versions: VersionRange | None = None


@dataclass(frozen=True, slots=True)
class Pod:
    """One bottom OpenStack, i.e. one Keystone region.

    A pod that is not ``enabled`` gets no new resources; what it holds stays
    reachable. Flavors and volume types may demand ``tags``, see ``core.pod_tags``.
    """

    id: PodId
    name: str
    region: str
    enabled: bool = True
    description: str = ""
    endpoints: Mapping[Service, Endpoint] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ZonePod:
    """One line of the zone map: pod ``pod_id`` serves the top's zone ``zone``.

    ``pod_az`` is the availability zone that is sent to the pod; empty means
    that none is sent and the pod uses its own default.
    """

    zone: ZoneName
    pod_id: PodId
    pod_az: str


@dataclass(frozen=True, slots=True)
class Node:
    """A pod shown at the top as one host: its summed capacity and use."""

    pod_id: PodId
    name: str
    vcpus: int = 0
    vcpus_used: int = 0
    memory_mib: int = 0
    memory_mib_used: int = 0
    disk_gib: int = 0
    disk_gib_used: int = 0
    volume_gib: int = 0
    volume_gib_used: int = 0
    running_vms: int = 0
    measured_at: datetime | None = None


class RoutingState(enum.StrEnum):
    """How far the resource behind a routing is."""

    CREATING = "creating"
    ACTIVE = "active"
    DELETING = "deleting"


class Origin(enum.StrEnum):
    """Who asked for a resource: what a gateway made is released with its owner."""

    USER = "user"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Routing:
    """The record "resource ``top_id`` of ``kind`` lives in pod ``pod_id`` as ``bottom_id``".

    ``bottom_id`` is None while the resource is being made. ``owner_id`` is the
    resource whose life bounds this one (a server for a port that was made for
    it). Unique on (kind, top_id, pod_id), which is the lock of ``usecases.ensure``.
    """

    kind: Kind
    top_id: TopId
    pod_id: PodId
    bottom_id: BottomId | None
    project_id: ProjectId
    state: RoutingState = RoutingState.ACTIVE
    origin: Origin = Origin.USER
    owner_id: TopId | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, as Keystone vouches for it, and the token to act with.

    Built only from a validated token, never from headers of the client.
    """

    user_id: UserId
    project_id: ProjectId | None
    roles: frozenset[str]
    token: str = field(repr=False)
    is_admin_project: bool = True
    domain_id: str | None = None
    system_scope: str | None = None
    service_roles: frozenset[str] = frozenset()
    service_token: str | None = field(default=None, repr=False)

    def may_use(self, project_id: ProjectId) -> bool:
        """Tell whether a project's resources are the caller's to see: its own, or all of them.

        For what the top says of its own records only; pods judge by their own policy.
        """
        return self.project_id == project_id or "admin" in self.roles
