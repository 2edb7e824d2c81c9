"""How pods are asked whether they hold a resource: one entry for each kind with a pod's own id."""

from __future__ import annotations

from collections.abc import Mapping

from tricircle.core.model import Kind, Service, Version
from tricircle.core.table import Lookup

LOOKUPS: Mapping[Kind, Lookup] = {
    Kind.SERVER: Lookup(
        Service.COMPUTE,
        "/servers/{id}",
        "server.tenant_id",
        "Instance {id} could not be found.",
    ),
    Kind.VOLUME: Lookup(
        Service.VOLUME,
        "/{project}/volumes/{id}",
        "volume.os-vol-tenant-attr:tenant_id",
        "Volume {id} could not be found.",
    ),
    Kind.SNAPSHOT: Lookup(
        Service.VOLUME,
        "/{project}/snapshots/{id}",
        "snapshot.os-extended-snapshot-attributes:project_id",
        "Snapshot {id} could not be found.",
    ),
    Kind.BACKUP: Lookup(
        Service.VOLUME,
        "/{project}/backups/{id}",
        "backup.os-backup-project-attr:project_id",
        "Backup {id} could not be found.",
        version=Version(3, 18),
    ),
    Kind.ATTACHMENT: Lookup(
        Service.VOLUME,
        "/{project}/attachments/{id}",
        "",
        "Volume attachment could not be found with filter: attachment_id = {id}.",
        holder=(Kind.VOLUME, "attachment.volume_id"),
        version=Version(3, 27),
    ),
    Kind.TRANSFER: Lookup(
        Service.VOLUME,
        "/{project}/os-volume-transfer/{id}",
        "",
        "Transfer {id} could not be found.",
        holder=(Kind.VOLUME, "transfer.volume_id"),
    ),
    # Both know groups of volumes and consistency groups, from the first microversion on.
    Kind.GROUP: Lookup(
        Service.VOLUME,
        "/{project}/consistencygroups/{id}",
        "",
        "Group {id} could not be found.",
    ),
    Kind.GROUP_SNAPSHOT: Lookup(
        Service.VOLUME,
        "/{project}/cgsnapshots/{id}",
        "",
        "GroupSnapshot {id} could not be found.",
    ),
    # Cinder deletes messages by itself, after days, and no answer tells whose they are.
    Kind.MESSAGE: Lookup(
        Service.VOLUME,
        "/{project}/messages/{id}",
        "",
        "Message {id} could not be found.",
        version=Version(3, 3),
        recorded=False,
    ),
}
