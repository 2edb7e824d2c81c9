"""Every API of Cinder, one row each.

The words of the paths are those of Cinder's own router (cinder/api/v3/router.py and
its extensions, Cinder 29 and 26), so that the two can be compared.
``docs/reference/api-coverage.md`` is generated from this table.
"""

from __future__ import annotations

from tricircle.core.model import Kind
from tricircle.core.table import (
    NOT_YET,
    ById,
    Create,
    Local,
    Merge,
    Ref,
    Row,
    Table,
    rows_of,
)
from tricircle.volume import groups, joints, operators, types
from tricircle.volume.listings import SNAPSHOTS, SNAPSHOTS_DETAIL, VOLUMES, VOLUMES_DETAIL

_VOLUME_ZONE = "volume.availability_zone"
_ITEM_ZONE = "availability_zone"

_VOLUME_REFS = (
    Ref("volume.snapshot_id", Kind.SNAPSHOT, None, "Snapshot {id} could not be found."),
    Ref("volume.source_volid", Kind.VOLUME, None, "Volume {id} could not be found."),
    Ref("volume.backup_id", Kind.BACKUP, None, "Backup {id} could not be found."),
    Ref(
        "OS-SCH-HNT:scheduler_hints.same_host[]",
        Kind.VOLUME,
        None,
        "Volume {id} could not be found.",
    ),
    Ref(
        "OS-SCH-HNT:scheduler_hints.same_host",
        Kind.VOLUME,
        None,
        "Volume {id} could not be found.",
    ),
)
_SNAPSHOT_REFS = (Ref("snapshot.volume_id", Kind.VOLUME, None, "Volume {id} could not be found."),)

_VOLUME = ById(Kind.VOLUME, whole=True, zones=(_VOLUME_ZONE,))
_SNAPSHOT = ById(Kind.SNAPSHOT, whole=True)
_VOLUME_ACTION = ById(
    Kind.VOLUME,
    refs=(Ref("os-migrate_volume_completion.new_volume", Kind.VOLUME, absent=None),),
    hosts=operators.host_refs("os-migrate_volume"),
)


_VOLUMES = [
    Row("GET", "/volumes", Merge(VOLUMES)),
    Row("GET", "/volumes/detail", Merge(VOLUMES_DETAIL, zones=(_ITEM_ZONE,))),
    Row("POST", "/volumes", Create(
        Kind.VOLUME, "volume.id", _VOLUME_REFS, "volume.availability_zone", zones=(_VOLUME_ZONE,)
    )),
    *rows_of(_VOLUME, "GET /volumes/{id}", "PUT /volumes/{id}", "DELETE /volumes/{id}"),
    *rows_of(_VOLUME_ACTION, "POST /volumes/{id}/action"),
    *rows_of(
        ById(Kind.VOLUME, "volume_id"),
        "GET /volumes/{volume_id}/encryption",
        "GET /volumes/{volume_id}/encryption/{id}",
        "GET /volumes/{volume_id}/metadata",
        "POST /volumes/{volume_id}/metadata",
        "PUT /volumes/{volume_id}/metadata",
        "GET /volumes/{volume_id}/metadata/{id}",
        "PUT /volumes/{volume_id}/metadata/{id}",
        "DELETE /volumes/{volume_id}/metadata/{id}",
    ),
]  # fmt: skip

_SNAPSHOTS = [
    Row("GET", "/snapshots", Merge(SNAPSHOTS)),
    Row("GET", "/snapshots/detail", Merge(SNAPSHOTS_DETAIL)),
    Row("POST", "/snapshots", Create(Kind.SNAPSHOT, "snapshot.id", _SNAPSHOT_REFS)),
    *rows_of(_SNAPSHOT, "GET /snapshots/{id}", "PUT /snapshots/{id}", "DELETE /snapshots/{id}"),
    *rows_of(ById(Kind.SNAPSHOT), "POST /snapshots/{id}/action"),
    *rows_of(
        ById(Kind.SNAPSHOT, "snapshot_id"),
        "GET /snapshots/{snapshot_id}/metadata",
        "POST /snapshots/{snapshot_id}/metadata",
        "PUT /snapshots/{snapshot_id}/metadata",
        "GET /snapshots/{snapshot_id}/metadata/{id}",
        "PUT /snapshots/{snapshot_id}/metadata/{id}",
        "DELETE /snapshots/{snapshot_id}/metadata/{id}",
    ),
]

_ZONES_AND_VERSIONS = [
    Row("GET", "/", Local("version")),
    Row("GET", "/os-availability-zone", Local("zones")),
    Row("GET", "/extensions", joints.EXTENSIONS),
    Row("GET", "/resource_filters", joints.RESOURCE_FILTERS),
]

_NOT_YET = rows_of(
    NOT_YET,
    "GET /attachments",
    "POST /attachments",
    "GET /attachments/detail",
    "DELETE /attachments/{id}",
    "GET /attachments/{id}",
    "PUT /attachments/{id}",
    "POST /attachments/{id}/action",
    "GET /backups",
    "POST /backups",
    "GET /backups/detail",
    "POST /backups/import_record",
    "DELETE /backups/{id}",
    "GET /backups/{id}",
    "PUT /backups/{id}",
    "POST /backups/{id}/action",
    "GET /backups/{id}/export_record",
    "POST /backups/{id}/restore",
    "GET /limits",
    "GET /messages",
    "DELETE /messages/{id}",
    "GET /messages/{id}",
    "GET /os-quota-class-sets/{name}",
    "PUT /os-quota-class-sets/{name}",
    "DELETE /os-quota-sets/{project_id}",
    "GET /os-quota-sets/{project_id}",
    "PUT /os-quota-sets/{project_id}",
    "GET /os-quota-sets/{project_id}/defaults",
    "GET /os-volume-transfer",
    "POST /os-volume-transfer",
    "GET /os-volume-transfer/detail",
    "DELETE /os-volume-transfer/{id}",
    "GET /os-volume-transfer/{id}",
    "POST /os-volume-transfer/{id}/accept",
    "GET /volume-transfers",
    "POST /volume-transfers",
    "GET /volume-transfers/detail",
    "DELETE /volume-transfers/{id}",
    "GET /volume-transfers/{id}",
    "POST /volume-transfers/{id}/accept",
    "GET /volumes/summary",
    "GET /{admin_project_id}/os-quota-class-sets/{name}",
    "PUT /{admin_project_id}/os-quota-class-sets/{name}",
    "DELETE /{admin_project_id}/os-quota-sets/{project_id}",
    "GET /{admin_project_id}/os-quota-sets/{project_id}",
    "PUT /{admin_project_id}/os-quota-sets/{project_id}",
    "GET /{admin_project_id}/os-quota-sets/{project_id}/defaults",
)

ROWS = types.with_namings(
    (
        *_VOLUMES,
        *_SNAPSHOTS,
        *_ZONES_AND_VERSIONS,
        *types.ROWS,
        *groups.ROWS,
        *operators.ROWS,
        *_NOT_YET,
    )
)
TABLE = Table(ROWS)
