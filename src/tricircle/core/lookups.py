"""How pods are asked whether they hold a resource: one entry for each kind with a pod's own id."""

from __future__ import annotations

from collections.abc import Mapping

from tricircle.core.model import Kind, Service
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
    ),
}
