"""Every API of Cinder, one row each.

The words of the paths are those of Cinder's own router (cinder/api/v3/router.py and
its extensions, Cinder 29 and 26), so that the two can be compared.
``docs/reference/api-coverage.md`` is generated from this table.
"""

from __future__ import annotations

from tricircle.core.model import Kind, Version
from tricircle.core.table import (
    ById,
    ByVersion,
    Composed,
    Create,
    Local,
    Merge,
    Ref,
    Row,
    Table,
    rows_of,
)
from tricircle.volume import groups, joints, listings, operators, types
from tricircle.volume.listings import SNAPSHOTS, SNAPSHOTS_DETAIL, VOLUMES, VOLUMES_DETAIL

_VOLUME_ZONE = "volume.availability_zone"
_ITEM_ZONE = "availability_zone"

_ABSENT_VOLUME = "Volume {id} could not be found."
_ABSENT_SNAPSHOT = "Snapshot {id} could not be found."
_ABSENT_GROUP = "Group {id} could not be found."
_HINTS = "OS-SCH-HNT:scheduler_hints"
_VOLUME_REFS = (
    Ref("volume.snapshot_id", Kind.SNAPSHOT, None, _ABSENT_SNAPSHOT),
    Ref("volume.source_volid", Kind.VOLUME, None, _ABSENT_VOLUME),
    Ref("volume.consistencygroup_id", Kind.GROUP, None, _ABSENT_GROUP),
    Ref("volume.group_id", Kind.GROUP, None, _ABSENT_GROUP),
    Ref("volume.backup_id", Kind.BACKUP, None, "Backup {id} could not be found."),
    # The scheduler looks at hints when the answer is given already.
    Ref(f"{_HINTS}.same_host", Kind.VOLUME, absent=None),
    Ref(f"{_HINTS}.same_host[]", Kind.VOLUME, absent=None),
    Ref(f"{_HINTS}.local_to_instance", Kind.SERVER, absent=None),
)
_APART = (
    Ref(f"{_HINTS}.different_host", Kind.VOLUME, absent=None),
    Ref(f"{_HINTS}.different_host[]", Kind.VOLUME, absent=None),
)
_SNAPSHOT_REFS = (Ref("snapshot.volume_id", Kind.VOLUME, None, _ABSENT_VOLUME),)

_VOLUME = ById(Kind.VOLUME, whole=True, zones=(_VOLUME_ZONE,), hook="counted")
_SNAPSHOT = ById(Kind.SNAPSHOT, whole=True, hook="counted")
_VOLUME_ACTION = ById(
    Kind.VOLUME,
    refs=(
        Ref("os-migrate_volume_completion.new_volume", Kind.VOLUME, absent=None),
        Ref("os-attach.instance_uuid", Kind.SERVER, absent=None),
    ),
    hosts=operators.host_refs("os-migrate_volume"),
    hook="change_volume",
)


_BACKUP_ZONES = ("backup.availability_zone",)
_BACKUP = ById(Kind.BACKUP, whole=True, zones=_BACKUP_ZONES, hook="counted")
_BACKUP_REFS = (
    Ref("backup.volume_id", Kind.VOLUME, None, _ABSENT_VOLUME),
    Ref("backup.snapshot_id", Kind.SNAPSHOT, None, _ABSENT_SNAPSHOT),
)
_RESTORE = ById(
    Kind.BACKUP,
    refs=(Ref("restore.volume_id", Kind.VOLUME, None, _ABSENT_VOLUME),),
    made=(Kind.VOLUME, "restore.volume_id"),
    hook="restore",
)
# Whoever attaches volumes without Nova may call a server by any id.
_ATTACHMENT_REFS = (
    Ref("attachment.volume_uuid", Kind.VOLUME, None, _ABSENT_VOLUME),
    Ref("attachment.instance_uuid", Kind.SERVER, absent=None),
)
_TRANSFER_REFS = (Ref("transfer.volume_id", Kind.VOLUME, None, _ABSENT_VOLUME),)
_TRANSFER = Create(Kind.TRANSFER, "transfer.id", _TRANSFER_REFS)
_TRANSFER_PAGES_FROM = Version(3, 59)


_VOLUMES = [
    Row("GET", "/volumes", Merge(VOLUMES)),
    Row("GET", "/volumes/detail", Merge(VOLUMES_DETAIL, zones=(_ITEM_ZONE,))),
    Row("GET", "/volumes/summary", joints.SUMMARY),
    Row("POST", "/volumes", Create(
        Kind.VOLUME, "volume.id", _VOLUME_REFS, "volume.availability_zone", zones=(_VOLUME_ZONE,),
        hook="create_volume", rule="volume:create", apart=_APART,
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
    Row(
        "POST",
        "/snapshots",
        Create(
            Kind.SNAPSHOT,
            "snapshot.id",
            _SNAPSHOT_REFS,
            hook="create_snapshot",
        ),
    ),
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

_BACKUPS = [
    Row("GET", "/backups", Merge(listings.BACKUPS)),
    Row("GET", "/backups/detail", Merge(listings.BACKUPS_DETAIL, zones=(_ITEM_ZONE,))),
    Row("POST", "/backups", Create(
        Kind.BACKUP, "backup.id", _BACKUP_REFS, "backup.availability_zone", hook="create_backup",
    )),
    Row("POST", "/backups/import_record", Create(
        Kind.BACKUP, "backup.id", hook="import_record",
    )),
    *rows_of(_BACKUP, "GET /backups/{id}", "PUT /backups/{id}", "DELETE /backups/{id}"),
    *rows_of(
        ById(Kind.BACKUP),
        "POST /backups/{id}/action",
        "GET /backups/{id}/export_record",
    ),
    Row("POST", "/backups/{id}/restore", _RESTORE),
]  # fmt: skip

_ATTACHMENTS = [
    Row("GET", "/attachments", Merge(listings.ATTACHMENTS)),
    Row("GET", "/attachments/detail", Merge(listings.ATTACHMENTS_DETAIL)),
    Row("POST", "/attachments", Create(Kind.ATTACHMENT, "attachment.id", _ATTACHMENT_REFS)),
    *rows_of(ById(Kind.ATTACHMENT, whole=True), "GET /attachments/{id}", "PUT /attachments/{id}"),
    Row("DELETE", "/attachments/{id}", ById(Kind.ATTACHMENT, whole=True, ends=True)),
    Row("POST", "/attachments/{id}/action", ById(Kind.ATTACHMENT)),
]

_OLD_TRANSFERS = listings.all_transfers("/os-volume-transfer")
_NEW_TRANSFERS = listings.all_transfers("/volume-transfers")
_TRANSFERS = [
    Row("GET", "/os-volume-transfer", Merge(_OLD_TRANSFERS.short)),
    Row("GET", "/os-volume-transfer/detail", Merge(_OLD_TRANSFERS.detailed)),
    Row("GET", "/volume-transfers", ByVersion(
        Merge(_NEW_TRANSFERS.short), _TRANSFER_PAGES_FROM, Merge(listings.TRANSFERS),
    )),
    Row("GET", "/volume-transfers/detail", ByVersion(
        Merge(_NEW_TRANSFERS.detailed), _TRANSFER_PAGES_FROM, Merge(listings.TRANSFERS_DETAIL),
    )),
    *rows_of(_TRANSFER, "POST /os-volume-transfer", "POST /volume-transfers"),
    *rows_of(
        ById(Kind.TRANSFER, whole=True),
        "GET /os-volume-transfer/{id}",
        "GET /volume-transfers/{id}",
    ),
    *rows_of(
        ById(Kind.TRANSFER, whole=True, ends=True),
        "DELETE /os-volume-transfer/{id}",
        "DELETE /volume-transfers/{id}",
    ),
    *rows_of(
        Composed("accept_transfer"),
        "POST /os-volume-transfer/{id}/accept",
        "POST /volume-transfers/{id}/accept",
    ),
]  # fmt: skip

_MESSAGES = [
    Row("GET", "/messages", ByVersion(
        Merge(listings.ALL_MESSAGES), Version(3, 5), Merge(listings.MESSAGES)
    )),
    *rows_of(ById(Kind.MESSAGE, whole=True), "GET /messages/{id}"),
    *rows_of(ById(Kind.MESSAGE, whole=True, ends=True), "DELETE /messages/{id}"),
]  # fmt: skip

_ZONES_AND_VERSIONS = [
    Row("GET", "/", Local("version")),
    Row("GET", "/os-availability-zone", Local("zones")),
    Row("GET", "/extensions", joints.EXTENSIONS),
    Row("GET", "/resource_filters", joints.RESOURCE_FILTERS),
]

# A project in a path is taken off before, so that those with another one end in the pod's 404.
_QUOTAS = [
    Row("GET", "/limits", Composed("show_limits")),
    *(
        Row(method, path + name, Composed(answer))
        for path in ("", "/{admin_project_id}")
        for method, name, answer in (
            ("GET", "/os-quota-sets/{project_id}", "show_quotas"),
            ("PUT", "/os-quota-sets/{project_id}", "update_quotas"),
            ("DELETE", "/os-quota-sets/{project_id}", "delete_quotas"),
            ("GET", "/os-quota-sets/{project_id}/defaults", "show_quota_defaults"),
            ("GET", "/os-quota-class-sets/{name}", "show_quota_class"),
            ("PUT", "/os-quota-class-sets/{name}", "update_quota_class"),
        )
    ),
]

ROWS = types.with_namings(
    (
        *_VOLUMES,
        *_SNAPSHOTS,
        *_BACKUPS,
        *_ATTACHMENTS,
        *_TRANSFERS,
        *_MESSAGES,
        *_ZONES_AND_VERSIONS,
        *types.ROWS,
        *groups.ROWS,
        *operators.ROWS,
        *_QUOTAS,
    )
)
TABLE = Table(ROWS)
