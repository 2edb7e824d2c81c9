"""Volumes, snapshots, types and attachments as Cinder's database has them."""

from dataclasses import dataclass, field
from datetime import datetime

from tricircle.testing.cloud.http import Document


@dataclass(slots=True, eq=False)
class VolumeType:
    """A kind of volumes."""

    id: str
    name: str
    description: str | None = None
    is_public: bool = True
    extra_specs: dict[str, str] = field(default_factory=dict)
    qos_specs_id: str | None = None
    projects: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class GroupType:
    """A kind of groups."""

    id: str
    name: str
    description: str | None = None
    is_public: bool = True
    group_specs: dict[str, str] = field(default_factory=dict)
    projects: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class VolumeAttachment:
    """What connects a volume with a server."""

    id: str
    volume_id: str
    instance_uuid: str | None
    status: str
    mountpoint: str | None = None
    host: str | None = None
    mode: str = "null"
    attach_time: datetime | None = None
    detach_time: datetime | None = None
    connector: Document = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Volume:
    """A volume. `encoded` holds its view for the last kind of request."""

    id: str
    project_id: str
    user_id: str
    size: int
    created_at: datetime
    updated_at: datetime | None
    availability_zone: str
    volume_type: VolumeType
    host: str
    display_name: str | None = None
    display_description: str | None = None
    status: str = "available"
    snapshot_id: str | None = None
    source_volid: str | None = None
    bootable: bool = False
    multiattach: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    admin_metadata: dict[str, str] = field(default_factory=dict)
    image_metadata: dict[str, str] = field(default_factory=dict)
    migration_status: str | None = None
    group_id: str | None = None
    service_uuid: str | None = None
    attachments: list[VolumeAttachment] = field(default_factory=list)
    encoded: tuple[object, bytes] | None = None

    @property
    def volume_type_id(self) -> str:
        """The id of its type."""
        return self.volume_type.id


@dataclass(slots=True, eq=False)
class Snapshot:
    """A snapshot of a volume."""

    id: str
    project_id: str
    user_id: str
    volume_id: str
    volume_size: int
    created_at: datetime
    updated_at: datetime | None
    display_name: str | None = None
    display_description: str | None = None
    status: str = "available"
    metadata: dict[str, str] = field(default_factory=dict)
    group_snapshot_id: str | None = None
    progress: str = "100%"
