"""Volumes, snapshots, types and attachments as Cinder's database has them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

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
    encryption: Document | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(slots=True, eq=False)
class QosSpecs:
    """What volumes of a type may do."""

    id: str
    name: str
    consumer: str | None
    specs: dict[str, str | None] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(slots=True, eq=False)
class GroupType:
    """A kind of groups."""

    id: str
    name: str
    description: str | None = None
    is_public: bool = True
    group_specs: dict[str, str] = field(default_factory=dict)
    projects: set[str] = field(default_factory=set)
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(slots=True, eq=False)
class VolumeAttachment:
    """What connects a volume with a server; `is_in_server` once Nova has it there."""

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
    created_at: datetime | None = None
    is_in_server: bool = False

    @property
    def attach_status(self) -> str:
        """What the database calls its status."""
        return self.status


@dataclass(slots=True, eq=False)
class Volume:
    """A volume. `encoded` holds its view for the last kind of request."""

    consumes_quota: ClassVar[bool] = True
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

    consumes_quota: ClassVar[bool] = True
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


@dataclass(slots=True, eq=False)
class Backup:
    """A backup of a volume; one with a `parent_id` holds only what changed since then."""

    id: str
    project_id: str
    user_id: str
    volume_id: str
    size: int
    created_at: datetime
    updated_at: datetime | None
    availability_zone: str
    host: str
    display_name: str | None = None
    display_description: str | None = None
    status: str = "available"
    container: str | None = None
    service: str = "cinder.backup.drivers.posix.PosixBackupDriver"
    object_count: int = 1
    parent_id: str | None = None
    snapshot_id: str | None = None
    data_timestamp: datetime | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Transfer:
    """An offer of a volume to whoever knows the key."""

    id: str
    volume_id: str
    display_name: str | None
    auth_key: str
    created_at: datetime
    no_snapshots: bool
    source_project_id: str
    destination_project_id: str | None = None
    accepted: bool = False


@dataclass(slots=True, eq=False)
class Message:
    """What users are told of what went wrong behind their backs."""

    id: str
    project_id: str
    event_id: str
    user_message: str
    created_at: datetime
    expires_at: datetime
    request_id: str
    resource_type: str
    resource_uuid: str
    message_level: str = "ERROR"
