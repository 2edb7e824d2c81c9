"""The lists of Cinder that are merged, as data.

Truth: cinder/api/common.py, cinder/api/v3/{volumes,snapshots,backups,attachments,messages,
volume_transfer}.py, cinder/api/contrib/volume_transfer.py, their views, and
process_sort_params in cinder/db/api.py of Cinder 29.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tricircle.core.merge import Listing
from tricircle.core.model import Kind
from tricircle.core.sorting import Compare, Dialect, SortField, SortTerm

EVERYTHING = 1_000_000
"""How many rows a list may have of which Cinder gives no pages."""

_VOLUME_SORT_FIELDS: Mapping[str, SortField] = {
    "availability_zone": SortField(("availability_zone",), nullable=True),
    "bootable": SortField(("bootable",), Compare.FLAG),
    "consistencygroup_id": SortField(("consistencygroup_id",), Compare.EXACT, nullable=True),
    "created_at": SortField(("created_at",), Compare.TIME),
    "display_description": SortField(("description",), nullable=True),
    "display_name": SortField(("name",), nullable=True),
    "group_id": SortField(("group_id",), Compare.EXACT, nullable=True),
    "host": SortField(("os-vol-host-attr:host",), nullable=True),
    "id": SortField(("id",), Compare.EXACT),
    "migration_status": SortField(("migration_status",), nullable=True),
    "multiattach": SortField(("multiattach",), Compare.FLAG),
    "name": SortField(("name",), nullable=True),
    "project_id": SortField(("os-vol-tenant-attr:tenant_id",), Compare.EXACT),
    "replication_status": SortField(("replication_status",), nullable=True),
    "size": SortField(("size",), Compare.NUMBER),
    "snapshot_id": SortField(("snapshot_id",), Compare.EXACT, nullable=True),
    "source_volid": SortField(("source_volid",), Compare.EXACT, nullable=True),
    "status": SortField(("status",)),
    "updated_at": SortField(("updated_at",), Compare.TIME, nullable=True),
    "user_id": SortField(("user_id",), Compare.EXACT),
    "volume_type_id": SortField(("volume_type_id",), Compare.EXACT),
}
"""Where a volume shows its sort keys; any other column sorts, unseen."""

_SNAPSHOT_SORT_FIELDS: Mapping[str, SortField] = {
    "created_at": SortField(("created_at",), Compare.TIME),
    "display_description": SortField(("description",), nullable=True),
    "display_name": SortField(("name",), nullable=True),
    "group_snapshot_id": SortField(("group_snapshot_id",), Compare.EXACT, nullable=True),
    "id": SortField(("id",), Compare.EXACT),
    "name": SortField(("name",), nullable=True),
    "progress": SortField(("os-extended-snapshot-attributes:progress",), nullable=True),
    "project_id": SortField(("os-extended-snapshot-attributes:project_id",), Compare.EXACT),
    "status": SortField(("status",)),
    "updated_at": SortField(("updated_at",), Compare.TIME, nullable=True),
    "user_id": SortField(("user_id",), Compare.EXACT),
    "volume_id": SortField(("volume_id",), Compare.EXACT),
    "volume_size": SortField(("size",), Compare.NUMBER),
}
"""Where a snapshot shows its sort keys."""

VOLUMES_DETAIL = Listing(
    kind=Kind.VOLUME,
    dialect=Dialect.CINDER,
    collection="volumes",
    item="volume",
    path="/volumes/detail",
    detail_path="/volumes/detail",
    sort_fields=_VOLUME_SORT_FIELDS,
)
"""GET /volumes/detail."""

VOLUMES = replace(VOLUMES_DETAIL, path="/volumes", summary=("id", "name", "links"))
"""GET /volumes."""

SNAPSHOTS_DETAIL = Listing(
    kind=Kind.SNAPSHOT,
    dialect=Dialect.CINDER,
    collection="snapshots",
    item="snapshot",
    path="/snapshots/detail",
    detail_path="/snapshots/detail",
    sort_fields=_SNAPSHOT_SORT_FIELDS,
)
"""GET /snapshots/detail."""

SNAPSHOTS = replace(
    SNAPSHOTS_DETAIL,
    path="/snapshots",
    summary=(
        "id",
        "created_at",
        "updated_at",
        "name",
        "description",
        "volume_id",
        "status",
        "size",
        "metadata",
    ),
)
"""GET /snapshots: longer than other short forms, and without links."""

_BACKUP_SORT_FIELDS: Mapping[str, SortField] = {
    "availability_zone": SortField(("availability_zone",), nullable=True),
    "container": SortField(("container",), nullable=True),
    "created_at": SortField(("created_at",), Compare.TIME),
    "data_timestamp": SortField(("data_timestamp",), Compare.TIME, nullable=True),
    "display_description": SortField(("description",), nullable=True),
    "display_name": SortField(("name",), nullable=True),
    "fail_reason": SortField(("fail_reason",), nullable=True),
    "id": SortField(("id",), Compare.EXACT),
    "name": SortField(("name",), nullable=True),
    "object_count": SortField(("object_count",), Compare.NUMBER, nullable=True),
    "project_id": SortField(("os-backup-project-attr:project_id",), Compare.EXACT),
    "size": SortField(("size",), Compare.NUMBER, nullable=True),
    "snapshot_id": SortField(("snapshot_id",), Compare.EXACT, nullable=True),
    "status": SortField(("status",)),
    "updated_at": SortField(("updated_at",), Compare.TIME, nullable=True),
    "user_id": SortField(("user_id",), Compare.EXACT),
    "volume_id": SortField(("volume_id",), Compare.EXACT),
}
"""Where a backup shows its sort keys."""

BACKUPS_DETAIL = Listing(
    kind=Kind.BACKUP,
    dialect=Dialect.CINDER,
    collection="backups",
    item="backup",
    path="/backups/detail",
    detail_path="/backups/detail",
    sort_fields=_BACKUP_SORT_FIELDS,
)
"""GET /backups/detail."""

BACKUPS = replace(BACKUPS_DETAIL, path="/backups", summary=("id", "name", "links"))
"""GET /backups."""

_ATTACHMENT_SORT_FIELDS: Mapping[str, SortField] = {
    "attach_status": SortField(("status",)),
    # Never null and shown nowhere: rows keep their pod's order, and any marker is good.
    "created_at": SortField((), Compare.TIME),
    "id": SortField(("id",), Compare.EXACT),
    "instance_uuid": SortField(("instance",), Compare.EXACT, nullable=True),
    "volume_id": SortField(("volume_id",), Compare.EXACT),
}
"""Where an attachment shows its sort keys."""

ATTACHMENTS = Listing(
    kind=Kind.ATTACHMENT,
    dialect=Dialect.CINDER,
    collection="attachments",
    item="attachment",
    path="/attachments",
    detail_path="/attachments",
    sort_fields=_ATTACHMENT_SORT_FIELDS,
    marker_absent="Volume attachment could not be found with filter: attachment_id = {id}.",
    linked=False,
)
"""GET /attachments. What the detailed form shows more is no help in sorting."""

ATTACHMENTS_DETAIL = replace(
    ATTACHMENTS,
    path="/attachments/detail",
    detail_path="/attachments/detail",
    sort_fields={
        **_ATTACHMENT_SORT_FIELDS,
        "attach_mode": SortField(("attach_mode",), nullable=True),
        "attach_time": SortField(("attached_at",), Compare.TIME, nullable=True, blank=""),
        "detach_time": SortField(("detached_at",), Compare.TIME, nullable=True, blank=""),
    },
)
"""GET /attachments/detail."""

_MESSAGE_SORT_FIELDS: Mapping[str, SortField] = {
    "created_at": SortField(("created_at",), Compare.TIME),
    "event_id": SortField(("event_id",)),
    "expires_at": SortField(("guaranteed_until",), Compare.TIME, nullable=True),
    "id": SortField(("id",), Compare.EXACT),
    "message_level": SortField(("message_level",)),
    "request_id": SortField(("request_id",), nullable=True),
    "resource_type": SortField(("resource_type",), nullable=True),
    "resource_uuid": SortField(("resource_uuid",), nullable=True),
}
"""Where a message shows its sort keys."""

MESSAGES = Listing(
    kind=Kind.MESSAGE,
    dialect=Dialect.CINDER,
    collection="messages",
    item="message",
    path="/messages",
    detail_path="/messages",
    sort_fields=_MESSAGE_SORT_FIELDS,
)
"""GET /messages from microversion 3.5 on, where it has pages."""

ALL_MESSAGES = replace(MESSAGES, whole=True, max_limit=EVERYTHING)
"""GET /messages before: filters, order and limits mean nothing."""

_TRANSFER_SORT_FIELDS: Mapping[str, SortField] = {
    "accepted": SortField(("accepted",), Compare.FLAG, nullable=True),
    "created_at": SortField(("created_at",), Compare.TIME),
    "destination_project_id": SortField(("destination_project_id",), nullable=True),
    "display_name": SortField(("name",), nullable=True),
    "id": SortField(("id",), Compare.EXACT),
    "no_snapshots": SortField(("no_snapshots",), Compare.FLAG, nullable=True),
    "source_project_id": SortField(("source_project_id",), nullable=True),
    "volume_id": SortField(("volume_id",), Compare.EXACT),
}
"""Where a transfer shows its sort keys."""

TRANSFERS_DETAIL = Listing(
    kind=Kind.TRANSFER,
    dialect=Dialect.CINDER,
    collection="transfers",
    item="transfer",
    path="/volume-transfers/detail",
    detail_path="/volume-transfers/detail",
    sort_fields=_TRANSFER_SORT_FIELDS,
    items="/volume-transfers",
)
"""GET /volume-transfers/detail from microversion 3.59 on, where it has pages."""

TRANSFERS = replace(
    TRANSFERS_DETAIL, path="/volume-transfers", summary=("id", "volume_id", "name", "links")
)
"""GET /volume-transfers from microversion 3.59 on."""


@dataclass(frozen=True, slots=True)
class Forms:
    """The two forms of one list."""

    short: Listing
    detailed: Listing


def all_transfers(path: str) -> Forms:
    """Return the list of transfers at a path as it is without pages: the oldest first.

    Cinder takes what asks for a page or an order for a filter that nothing passes.
    """
    fields = _TRANSFER_SORT_FIELDS
    order = tuple(SortTerm(key, fields[key], descending=False) for key in ("created_at", "id"))
    detailed = replace(
        TRANSFERS_DETAIL,
        path=f"{path}/detail",
        detail_path=f"{path}/detail",
        order=order,
        whole=True,
        max_limit=EVERYTHING,
    )
    return Forms(replace(detailed, path=path, summary=TRANSFERS.summary), detailed)
