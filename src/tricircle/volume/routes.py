"""Every API of Cinder, one row each.

The words of the paths are those of Cinder's own router (cinder/api/v3/router.py and
its extensions, Cinder 29 and 26), so that the two can be compared.
``docs/reference/api-coverage.md`` is generated from this table.
"""

from __future__ import annotations

from tricircle.core.model import Kind
from tricircle.core.table import (
    NOT_YET,
    Alter,
    ById,
    Create,
    Local,
    Make,
    Merge,
    Ref,
    Replicated,
    Row,
    Table,
    rows_of,
)
from tricircle.core.wishes import Replica
from tricircle.volume import groups, operators
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
_READ = Replicated()


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
]

# Equal in every pod: read from one of them, changed in one and then in all others.
_REPLICATED = [
    *rows_of(
        _READ,
        "GET /extensions",
        "GET /resource_filters",
        "GET /types",
        "GET /types/{id}",
        "GET /types/{type_id}/extra_specs",
        "GET /types/{type_id}/extra_specs/{id}",
        "GET /types/{type_id}/os-volume-type-access",
    ),
    Row("POST", "/types", Replicated(
        change=Make(Replica.VOLUME_TYPE, "volume_type.id", label="volume_type.name")
    )),
    *rows_of(
        Replicated(change=Alter(Replica.VOLUME_TYPE)),
        "PUT /types/{id}",
        "POST /types/{id}/action",
    ),
    Row("DELETE", "/types/{id}", Replicated(change=Alter(Replica.VOLUME_TYPE, removes=True))),
    *rows_of(
        Replicated(change=Alter(Replica.VOLUME_TYPE, "type_id")),
        "POST /types/{type_id}/extra_specs",
        "PUT /types/{type_id}/extra_specs/{id}",
        "DELETE /types/{type_id}/extra_specs/{id}",
    ),
]  # fmt: skip

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
    "GET /default-types",
    "DELETE /default-types/{id}",
    "GET /default-types/{id}",
    "PUT /default-types/{id}",
    "GET /group_types",
    "POST /group_types",
    "GET /group_types/{group_type_id}/group_specs",
    "POST /group_types/{group_type_id}/group_specs",
    "DELETE /group_types/{group_type_id}/group_specs/{id}",
    "GET /group_types/{group_type_id}/group_specs/{id}",
    "PUT /group_types/{group_type_id}/group_specs/{id}",
    "DELETE /group_types/{id}",
    "GET /group_types/{id}",
    "PUT /group_types/{id}",
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
    "GET /qos-specs",
    "POST /qos-specs",
    "DELETE /qos-specs/{id}",
    "GET /qos-specs/{id}",
    "PUT /qos-specs/{id}",
    "GET /qos-specs/{id}/associate",
    "GET /qos-specs/{id}/associations",
    "PUT /qos-specs/{id}/delete_keys",
    "GET /qos-specs/{id}/disassociate",
    "GET /qos-specs/{id}/disassociate_all",
    "GET /types/{type_id}/encryption",
    "POST /types/{type_id}/encryption",
    "DELETE /types/{type_id}/encryption/{id}",
    "GET /types/{type_id}/encryption/{id}",
    "PUT /types/{type_id}/encryption/{id}",
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

ROWS = (
    *_VOLUMES,
    *_SNAPSHOTS,
    *_ZONES_AND_VERSIONS,
    *_REPLICATED,
    *groups.ROWS,
    *operators.ROWS,
    *_NOT_YET,
)
TABLE = Table(ROWS)
